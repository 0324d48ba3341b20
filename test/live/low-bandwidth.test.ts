/**
 * A short run of bench/low-bandwidth.ts: 64 kbit/s, 600 ms, connections that break, a reboot in the middle.
 */
import { describe, expect, it } from 'vitest'
import { lowBandwidth } from '../../bench/low-bandwidth.ts'
import { cannotRun } from './rig.ts'

describe.skipIf(cannotRun !== null)(`a bad line${cannotRun === null ? '' : `: ${cannotRun}`}`, () => {
  it('an update completes over a reboot; most of the line carries the image; the hub sees progress', async () => {
    const result = await lowBandwidth(192, 3)
    process.stdout.write(`${JSON.stringify(result)}\n`)
    expect(result.completed).toBe(true)
    // Connections, manifest and index weigh more on so small an image than in the benchmark (1 MiB, 90 %).
    expect(result.imageShare).toBeGreaterThan(0.75)
    expect(result.longestSilenceSeconds).toBeLessThan(10)
    // Half the image was there at the reboot; were it fetched again, this much more would have come.
    expect(result.httpDownBytes).toBeLessThan(result.releaseBytes * 1.3)
  }, 180_000)
})
