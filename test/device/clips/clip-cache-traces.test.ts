/**
 * The hit rate of the clip cache on traces: that of an exact LRU; high where the hot clips fit; and what sharing saves.
 */
import { expect, test } from 'vitest'
import { createClipCache } from '../../../device/clips/clip-cache.ts'
import { hearing } from './clip-pair.ts'
import { comparedTraces, hotTrace, limitsOf, play, playToLibrary, playToMap, skillSet } from './traces.ts'

const length = 60_000

test.each(Object.entries(comparedTraces(length)))(
  'on %s it hits as often as an exact LRU',
  (name, [trace, room]) => {
    const own = play(createClipCache(limitsOf(room), hearing()), trace)
    expect(own).toBe(playToMap(trace, room))
    expect(own).toBe(playToLibrary(trace, room))
    if (name === 'loop') expect(own).toBe(0)
    else expect(own).toBeGreaterThan(0.2)
    expect(own).toBeLessThan(0.9)
  },
)

test('nine of ten requests hit when most are for clips that fit', () => {
  const [trace, room] = hotTrace(length)
  expect(play(createClipCache(limitsOf(room), hearing()), trace)).toBeGreaterThanOrEqual(0.9)
})

test('a quarter of clips with shared contents saves about a quarter of the bytes', () => {
  const cache = createClipCache(limitsOf({ items: 1e6, bytes: 1e12 }), hearing())
  const clips = skillSet(20, 100, 0.25, 5)
  for (const { clip, ...it } of clips) cache.put(clip, it, 0)
  const each = clips.reduce((all, { bytes }) => all + bytes, 0)
  const once = new Map(clips.map(({ content, bytes }) => [content, bytes]))
  const { bytesSaved, sizeBytes } = cache.stats()
  expect(sizeBytes).toBe([...once.values()].reduce((all, bytes) => all + bytes, 0))
  expect(bytesSaved).toBe(each - sizeBytes)
  expect(bytesSaved / each).toBeGreaterThan(0.2)
  expect(bytesSaved / each).toBeLessThan(0.3)
})
