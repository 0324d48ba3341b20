/**
 * Figures of a fleet: sums of the newest of each device.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ClipStats } from '../../../core/wire/skills.ts'
import { fleetStats } from '../../../hub/telemetry/fleet.ts'
import type { TelemetryRecord } from '../../../hub/telemetry/telemetry.ts'
import { clipStats } from '../fixtures.ts'

const record = (device: string, clips: ClipStats | null): TelemetryRecord => ({
  device,
  number: 1,
  atMs: 1,
  telemetry: { v: 1, bootId: 'b', ...(clips === null ? {} : { clips }) },
})

describe('the figures of a fleet', () => {
  it('are the sums of what devices say, by skill too, and rates of the sums', () => {
    const skill = (id: string, hits: number, misses: number) => ({
      id,
      seq: 1,
      items: 2,
      bytes: 10,
      hits,
      misses,
    })
    const stats = fleetStats([
      record('dev1', clipStats({ hits: 9, misses: 1, bytesSaved: 100, skills: [skill('s', 3, 1)] })),
      record(
        'dev2',
        clipStats({ hits: 1, misses: 9, bytesSaved: 11, skills: [skill('s', 1, 3), skill('a', 0, 0)] }),
      ),
      record('dev3', null),
    ])
    expect(stats).toMatchObject({ devices: 2, hits: 10, misses: 10, hitRate: 0.5, bytesSaved: 111 })
    expect(stats.skills).toEqual([
      { id: 'a', devices: 1, items: 2, bytes: 10, hits: 0, misses: 0, hitRate: 0 },
      { id: 's', devices: 2, items: 4, bytes: 20, hits: 4, misses: 4, hitRate: 0.5 },
    ])
    expect(fleetStats([])).toMatchObject({ devices: 0, hits: 0, hitRate: 0, skills: [] })
  })

  it('are the same whatever the order, and a rate is never past 1', () => {
    const one = fc.tuple(fc.nat({ max: 1000 }), fc.nat({ max: 1000 }))
    fc.assert(
      fc.property(fc.array(one, { maxLength: 20 }), (pairs) => {
        const records = pairs.map(([hits, misses], at) => record(`d${at}`, clipStats({ hits, misses })))
        const stats = fleetStats(records)
        expect(fleetStats([...records].reverse())).toEqual(stats)
        expect(stats.hitRate).toBeGreaterThanOrEqual(0)
        expect(stats.hitRate).toBeLessThanOrEqual(1)
        expect(stats.hits).toBe(pairs.reduce((sum, [hits]) => sum + hits, 0))
      }),
    )
  })
})
