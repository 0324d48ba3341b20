/** A hub that fails is left alone for a while, and what it does not have is not asked for again at once. */
import { describe, expect, it } from 'vitest'
import { servingLimits } from '../../../core/clip-limits.ts'
import { Breaker, Negatives } from '../../../device/clips/breaker.ts'

const { breakerFailures, breakerMs, negativeMs, negativesMax } = servingLimits

function clock() {
  const it = { nowMs: 5_000, monotonicMs: () => it.nowMs }
  return it
}

describe('the breaker', () => {
  it('lets everything through until the hub has failed several times in a row', () => {
    const breaker = new Breaker(clock())
    for (let failure = 1; failure < breakerFailures; failure += 1) {
      breaker.failed()
      expect([breaker.waitMs(), breaker.enter()]).toEqual([0, 0])
    }
    breaker.answered()
    for (let failure = 1; failure < breakerFailures; failure += 1) breaker.failed()
    expect(breaker.enter()).toBe(0)
    breaker.failed()
    expect([breaker.waitMs(), breaker.enter()]).toEqual([breakerMs, breakerMs])
  })

  it('lets one through after the pause, and others when that was answered', () => {
    const time = clock()
    const breaker = new Breaker(time)
    for (let failure = 0; failure < breakerFailures; failure += 1) breaker.failed()
    time.nowMs += breakerMs - 1
    expect(breaker.enter()).toBe(1)
    time.nowMs += 1
    // Looking does not use it up.
    expect([breaker.waitMs(), breaker.waitMs()]).toEqual([0, 0])
    expect(breaker.enter()).toBe(0)
    expect([breaker.waitMs(), breaker.enter()]).toEqual([breakerMs, breakerMs])
    breaker.answered()
    expect([breaker.enter(), breaker.enter()]).toEqual([0, 0])
  })

  it('closes again when the one that was let through fails, from then on', () => {
    const time = clock()
    const breaker = new Breaker(time)
    for (let failure = 0; failure < breakerFailures; failure += 1) breaker.failed()
    time.nowMs += breakerMs
    expect(breaker.enter()).toBe(0)
    time.nowMs += 10_000
    breaker.failed()
    expect(breaker.waitMs()).toBe(breakerMs)
  })

  it('lets another through when nothing was heard of the first', () => {
    const time = clock()
    const breaker = new Breaker(time)
    for (let failure = 0; failure < breakerFailures; failure += 1) breaker.failed()
    time.nowMs += breakerMs
    expect(breaker.enter()).toBe(0)
    time.nowMs += breakerMs
    expect(breaker.enter()).toBe(0)
  })
})

describe('what the hub does not have', () => {
  it('is remembered for a while, and anew when it is said again', () => {
    const time = clock()
    const negatives = new Negatives(time)
    negatives.add('a')
    time.nowMs += negativeMs - 1
    expect([negatives.has('a'), negatives.has('b')]).toEqual([true, false])
    negatives.add('a')
    time.nowMs += negativeMs - 1
    expect(negatives.has('a')).toBe(true)
    time.nowMs += 1
    expect(negatives.has('a')).toBe(false)
  })

  it('is forgotten when the hub is heard of, and the oldest when it is too much', () => {
    const negatives = new Negatives(clock())
    for (let count = 0; count <= negativesMax; count += 1) negatives.add(`${count}`)
    expect([negatives.has('0'), negatives.has('1'), negatives.has(`${negativesMax}`)]).toEqual([
      false,
      true,
      true,
    ])
    negatives.clear()
    expect(negatives.has('1')).toBe(false)
  })
})
