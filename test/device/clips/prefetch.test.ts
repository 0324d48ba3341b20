/** What is fetched ahead: a few at a time, in order, at rest while the hub is away, and not for ever. */
import { describe, expect, it } from 'vitest'
import { listEntry } from '../../../audio/list-entry.ts'
import { virtualTime } from '../../../bootloader-sim/devices/clock.ts'
import { servingLimits } from '../../../core/clip-limits.ts'
import type { ListedClip } from '../../../core/wire/skills.ts'
import { Prefetch } from '../../../device/clips/prefetch.ts'
import { newTurn } from '../../../proof/adapters/turn.ts'
import { hour, minute, someAudio } from './fixtures.ts'

const clips = (...ids: readonly string[]): readonly ListedClip[] =>
  ids.map((id) => listEntry(id, Buffer.from(id), someAudio, { language: null }))
const many = (count: number) => clips(...Array.from({ length: count }, (_, at) => `clip-${at}`))

/** Fetches take a second; those of `away` fail. */
function scene() {
  const time = virtualTime(newTurn(), 0)
  const seen = {
    begun: [] as string[],
    running: 0,
    most: 0,
    away: (_skill: string, _clip: string): boolean => false,
  }
  const prefetch = new Prefetch(time.clock, async (skill, { id }) => {
    seen.begun.push(`${skill} ${id}`)
    seen.running += 1
    seen.most = Math.max(seen.most, seen.running)
    await time.clock.sleep(1_000)
    seen.running -= 1
    return !seen.away(skill, id)
  })
  return Object.assign(seen, { time, prefetch })
}

describe('prefetches', () => {
  it('come in the order of the list, skill by skill, and leave a place to those who wait', async () => {
    const it = scene()
    it.prefetch.want('red', clips('a', 'b', 'c', 'd'))
    it.prefetch.want('blue', clips('e', 'f'))
    it.prefetch.want('green', [])
    await it.time.pass(minute)
    expect(it.begun).toEqual(['red a', 'red b', 'red c', 'red d', 'blue e', 'blue f'])
    expect(it.most).toBe(servingLimits.fetchesMax - 1)
    expect(it.time.timers()).toBe(0)
  })

  it('of ten thousand clips take no more room than those of a few', async () => {
    const it = scene()
    it.prefetch.want('red', many(10_000))
    await it.time.pass(10_000)
    expect(it.begun.length).toBeLessThanOrEqual(33)
    expect(it.time.timers()).toBe(servingLimits.fetchesMax - 1)
    await it.time.pass(2 * hour)
    expect(it.begun).toHaveLength(10_000)
  })

  it('rest while the hub is away, go on where they stopped, and try again what failed', async () => {
    const it = scene()
    it.away = () => true
    it.prefetch.want('red', clips('a', 'b', 'c', 'd', 'e'))
    await it.time.pass(20_000)
    expect(it.begun).toEqual(['red a', 'red b', 'red c'])
    it.away = () => false
    it.prefetch.goOn()
    await it.time.pass(20_000)
    expect(it.begun.slice(3)).toEqual(['red d', 'red e', 'red a', 'red b', 'red c'])
    expect(it.time.timers()).toBe(0)
  })

  it('try the hub now and then, and not for ever', async () => {
    const it = scene()
    it.away = () => true
    it.prefetch.want('red', clips('a', 'b'))
    await it.time.pass(servingLimits.breakerMs - 1)
    expect(it.begun).toHaveLength(2)
    await it.time.pass(hour)
    expect(it.begun).toHaveLength(2 * servingLimits.prefetchRounds)
    expect(it.time.timers()).toBe(0)
    it.away = () => false
    it.prefetch.want('red', clips('a', 'b'))
    await it.time.pass(minute)
    expect(it.begun).toHaveLength(2 * servingLimits.prefetchRounds + 2)
  })

  it('get past a clip that the hub never gives', async () => {
    const it = scene()
    it.away = (_, clip) => clip === 'a'
    it.prefetch.want('red', clips('a', 'b', 'c', 'd', 'e', 'f'))
    await it.time.pass(hour)
    expect(it.begun.filter((one) => one === 'red a')).toHaveLength(servingLimits.prefetchRounds)
    for (const other of ['b', 'c', 'd', 'e', 'f'])
      expect(it.begun.filter((one) => one === `red ${other}`)).toHaveLength(1)
  })

  it('of a skill whose list changes are those of the new list', async () => {
    const it = scene()
    it.prefetch.want('red', many(100))
    await it.time.pass(1_500)
    const before = it.begun.length
    it.prefetch.want('red', clips('x', 'y'))
    await it.time.pass(hour)
    expect(it.begun.slice(before)).toEqual(['red x', 'red y'])
    it.away = () => true
    it.prefetch.want('red', clips('z'))
    await it.time.pass(500)
    it.away = () => false
    it.prefetch.want('red', [])
    await it.time.pass(hour)
    expect(it.begun.slice(before + 2)).toEqual(['red z'])
  })

  it('end when they are closed', async () => {
    const it = scene()
    it.away = () => true
    it.prefetch.want('red', many(100))
    await it.time.pass(1_500)
    it.prefetch.close()
    it.prefetch.want('blue', many(10))
    const before = it.begun.length
    await it.time.pass(hour)
    expect([it.begun.length, it.time.timers()]).toEqual([before, 0])
  })
})
