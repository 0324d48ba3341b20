/**
 * Work on one thing goes one after the other, work on different things at once; places under way are limited.
 */
import { describe, expect, it } from 'vitest'
import { hubClipLimits } from '../../../core/clip-limits.ts'
import { admission } from '../../../hub/clips/admission.ts'
import { turnsByKey } from '../../../hub/clips/turns.ts'

const settle = () => new Promise((resolve) => setImmediate(resolve))

describe('turns', () => {
  it('come one after the other for one key, whatever fails, and at once for others', async () => {
    const turns = turnsByKey()
    const log: string[] = []
    const first = Promise.withResolvers<void>()
    const all = [
      turns('a', async () => {
        log.push('a1')
        await first.promise
        throw new Error('a1 fails')
      }),
      turns('a', async () => {
        log.push('a2')
        return 2
      }),
      turns('b', async () => void log.push('b1')),
    ]
    await settle()
    expect(log).toEqual(['a1', 'b1'])
    first.resolve()
    expect(await Promise.allSettled(all)).toMatchObject([
      { status: 'rejected' },
      { value: 2 },
      { status: 'fulfilled' },
    ])
    expect(log).toEqual(['a1', 'b1', 'a2'])
    expect(await turns('a', async () => 3)).toBe(3)
  })
})

describe('admission', () => {
  const { uploadsMax, uploadsPerDeviceMax } = hubClipLimits

  it('gives one device its share and all devices theirs, and takes places back', () => {
    const places = admission()
    const leaves: (() => void)[] = []
    for (let at = 0; at < uploadsPerDeviceMax; at += 1) leaves.push(places.enter('dev0'))
    expect(() => places.enter('dev0')).toThrow(/EB-LIMIT: device dev0/)
    for (let at = uploadsPerDeviceMax; at < uploadsMax; at += 1) leaves.push(places.enter(`dev${at}`))
    expect(() => places.enter('other')).toThrow(/EB-LIMIT: devices have/)
    leaves.shift()?.()
    leaves.push(places.enter('dev0'))
    for (const it of leaves) it()
    for (let at = 0; at < uploadsMax; at += 1) places.enter(`again${at}`)
    expect(() => places.enter('other')).toThrow(/EB-LIMIT/)
  })

  it('keeps places for operators, whatever devices do, and no more than those', () => {
    const places = admission()
    for (let at = 0; at < uploadsMax; at += 1) places.enter(`dev${at}`)
    const leaves = Array.from({ length: uploadsMax }, () => places.enter(null))
    expect(() => places.enter(null)).toThrow(/EB-LIMIT: operators/)
    leaves[0]?.()
    places.enter(null)
  })
})
