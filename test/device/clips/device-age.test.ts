/** The age of a device: counts what ran and what is known of off-times, whatever its clocks show. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { days, hours } from '../../../core/units.ts'
import { type AgeMark, type DeviceAge, deviceAge } from '../../../device/clips/device-age.ts'
import { earliestWallMs } from './fixtures.ts'

const born = Date.parse('2026-06-01T00:00:00Z')

/** A device whose clocks a test turns. */
class Device {
  realMs = born
  /** What its wall clock is wrong by; null: it shows 1970. */
  errorMs: number | null = 0
  mark: AgeMark | null = null
  #bootMs = born
  #age: DeviceAge

  constructor() {
    this.#age = this.#boot()
  }

  get age(): DeviceAge {
    return this.#age
  }

  run(durationMs: number): void {
    this.realMs += durationMs
  }

  /** It is switched off for a while; what it had marked last is what it knows afterwards. */
  off(durationMs: number, errorMs: number | null = 0): void {
    this.realMs += durationMs
    this.errorMs = errorMs
    this.#age = this.#boot()
  }

  keep(): void {
    this.mark = this.#age.mark()
  }

  #boot(): DeviceAge {
    this.#bootMs = this.realMs
    const clock = {
      monotonicMs: () => this.realMs - this.#bootMs + 17.25,
      wallMs: () => (this.errorMs === null ? this.realMs - this.#bootMs : this.realMs + this.errorMs),
    }
    return deviceAge(clock, earliestWallMs, this.mark)
  }
}

describe('the age of a device', () => {
  it('counts what it ran and how long it was off, once', () => {
    const device = new Device()
    device.run(hours(1))
    device.keep()
    expect(device.age.nowMs()).toBe(hours(1))
    device.off(hours(5))
    expect(device.age.nowMs()).toBe(hours(6))
    device.keep()
    expect(device.age.nowMs()).toBe(hours(6))
    device.off(0)
    expect(device.age.nowMs()).toBe(hours(6))
  })

  it('counts the off-time when the clock is set late, and not again', () => {
    const device = new Device()
    device.run(hours(1))
    device.keep()
    device.off(hours(5), null)
    expect(device.age.nowMs()).toBe(hours(1))
    device.run(hours(1))
    expect(device.age.nowMs()).toBe(hours(2))
    device.errorMs = 0
    expect(device.age.nowMs()).toBe(hours(7))
    device.run(hours(1))
    expect(device.age.nowMs()).toBe(hours(8))
  })

  it('counts the off-time of several runs whose clock was never set, once it is', () => {
    const device = new Device()
    device.run(hours(1))
    device.keep()
    for (let boot = 0; boot < 3; boot += 1) {
      device.off(hours(5), null)
      device.run(hours(1))
      device.keep()
    }
    expect(device.age.nowMs()).toBe(hours(4))
    device.off(hours(2))
    expect(device.age.nowMs()).toBe(hours(21))
  })

  it('is not moved by a clock that jumps within a run', () => {
    const device = new Device()
    device.run(hours(1))
    for (const errorMs of [days(3_650), -days(30), null, 0]) {
      device.errorMs = errorMs
      expect(device.age.nowMs()).toBe(hours(1))
    }
    device.run(hours(1))
    expect(device.age.nowMs()).toBe(hours(2))
  })

  it('does not take a clock that was set back in the run before for an off-time', () => {
    const device = new Device()
    device.run(hours(1))
    device.keep()
    device.errorMs = -days(100)
    device.run(hours(1))
    device.keep()
    device.off(hours(3))
    expect(device.age.nowMs()).toBe(hours(5))
  })

  it('without a clock that can be trusted counts what it ran, and nothing else', () => {
    const device = new Device()
    device.errorMs = null
    expect(device.age.trustedWallMs()).toBe(0)
    device.off(0, null)
    for (let boot = 1; boot <= 4; boot += 1) {
      device.run(hours(1))
      device.keep()
      device.off(hours(9), null)
      expect(device.age.nowMs()).toBe(hours(boot))
    }
  })

  it('says the time since 1970 only when it is to be trusted', () => {
    const device = new Device()
    expect(device.age.trustedWallMs()).toBe(born)
    device.errorMs = earliestWallMs - born - 1
    expect(device.age.trustedWallMs()).toBe(0)
    device.errorMs += 1
    expect(device.age.trustedWallMs()).toBe(earliestWallMs)
  })

  const step = fc.oneof(
    fc.record({ do: fc.constant('run' as const), ms: fc.nat(days(2)) }),
    fc.record({ do: fc.constant('off' as const), ms: fc.nat(days(40)), set: fc.boolean() }),
    fc.record({ do: fc.constant('keep' as const) }),
    fc.record({
      do: fc.constant('clock' as const),
      errorMs: fc.option(fc.integer({ min: -days(400), max: days(4_000) })),
    }),
  )

  it('never goes back, and whole milliseconds are told, whatever the clocks do', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const device = new Device()
        let before = 0
        for (const it of steps) {
          // What was not marked before it was switched off is not known any more.
          if (it.do === 'run') device.run(it.ms)
          else if (it.do === 'clock') device.errorMs = it.errorMs
          else if (it.do === 'keep') device.keep()
          else {
            device.keep()
            device.off(it.ms, it.set ? 0 : null)
          }
          const now = device.age.nowMs()
          expect(now).toBeGreaterThanOrEqual(before)
          expect(Number.isSafeInteger(now)).toBe(true)
          const mark = device.age.mark()
          expect(mark.ageMs).toBe(device.age.nowMs())
          expect(Number.isSafeInteger(mark.wallMs)).toBe(true)
          before = now
        }
      }),
      { numRuns: 300 },
    )
  })

  it('is what really passed while the clock is right or shows 1970, and it is set in the end', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const device = new Device()
        // The first clock that was right is where counting of off-times begins.
        device.keep()
        for (const it of steps) {
          if (it.do === 'run') device.run(it.ms)
          else if (it.do === 'clock') device.errorMs = it.errorMs === null ? null : 0
          else if (it.do === 'keep') device.keep()
          else {
            device.keep()
            device.off(it.ms, it.set ? 0 : null)
          }
          expect(device.age.nowMs()).toBeLessThanOrEqual(device.realMs - born)
        }
        device.errorMs = 0
        expect(device.age.nowMs()).toBe(device.realMs - born)
      }),
      { numRuns: 300 },
    )
  })

  it('is at most wrong by the off-times when a clock lies about one of them', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const device = new Device()
        let ranMs = 0
        for (const it of steps) {
          if (it.do === 'run') {
            device.run(it.ms)
            ranMs += it.ms
          } else if (it.do === 'clock') device.errorMs = it.errorMs
          else if (it.do === 'keep') device.keep()
          else {
            device.keep()
            // At the start the clock is right or not set; what it shows later does not matter.
            device.off(it.ms, it.set ? 0 : null)
          }
          expect(device.age.nowMs()).toBeGreaterThanOrEqual(ranMs)
        }
      }),
      { numRuns: 300 },
    )
  })
})
