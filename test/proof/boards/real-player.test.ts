/** The player of real boards, over a board and a hub that do what they are told. */
import { beforeEach, describe, expect, it } from 'vitest'
import { writeFactoryRecord } from '../../../core/boot-partition.ts'
import { bootPartition } from '../../../core/boot-record.ts'
import { faultOf, orThrow } from '../../../core/errors.ts'
import { sceneLimits } from '../../../core/limits.ts'
import type { BlockDevice } from '../../../core/ports.ts'
import { type BootSeen, recordRanges, seenRecord } from '../../../proof/boards/outcome.ts'
import type { RealBoard } from '../../../proof/boards/real-board.ts'
import { type DeviceSeen, playReal, type RealScene } from '../../../proof/boards/real-player.ts'
import { readScenario, type Scenario } from '../../../proof/scenario.ts'
import { memoryDevice } from '../../core/memory-device.ts'

const done: string[] = []
let device: DeviceSeen
let disk: BlockDevice
let broken: Error | null
let nowMs: number
let cuts = 0
/** What happens with the time, one thing at each look. */
let happens: (() => void)[]

const parts = (): Promise<Uint8Array[]> =>
  Promise.all(
    recordRanges.map(async ({ offset, bytes }) => {
      const into = disk.allocate(bytes)
      await disk.read(offset, into)
      return into
    }),
  )
const boots: BootSeen[] = []
const board: RealBoard = {
  kind: 'qemu',
  boots,
  get cuts() {
    return cuts
  },
  onLog: () => {},
  powerOn: async () => void done.push('on'),
  powerOff: async (left) => void done.push(`off ${left}`),
  async powerCycle(left) {
    cuts += 1
    done.push(`cycle ${left}`)
  },
  cutAt: ({ operation, next }) => void done.push(`cut ${operation} and ${next.length}`),
  rot: async (slot, where) => void done.push(`rot ${slot} ${where}`),
  lose: async (what) => void done.push(`lose ${what}`),
  recordParts: parts,
  broken: () => broken,
  close: async () => {},
}
const scene: RealScene = {
  board,
  publish: async (name) => void done.push(`publish ${name}`),
  assign: async (name) => void done.push(`assign ${name}`),
  device: async () => device,
  clock: {
    nowMs: () => nowMs,
    async sleep(durationMs) {
      nowMs += durationMs
      happens.shift()?.()
    },
  },
  say: () => {},
}
const scenario = (steps: readonly object[], prepare: readonly object[] = []): Scenario =>
  orThrow(
    readScenario(
      JSON.stringify({
        ...{ v: 1, name: 'told', about: 'What a test tells.', releases: { v2: {} }, prepare, steps },
        expect: { result: null, runs: 'factory' },
      }),
      'told',
    ),
  )
const unseen = { digests: [], text: '' }
const rest = { do: 'wait', for: 'rest' }
const standing = (boot: string): void => board.onLog({ event: 'standing', standing: 'committed', boot })
const settled = (): void => board.onLog({ event: 'settled' })
function boot(id: string): void {
  boots.push({ slot: 'a', record: unseen })
  standing(id)
  settled()
  device = { ...device, bootId: id, state: 'IDLE' }
}

beforeEach(async () => {
  done.length = 0
  boots.length = 0
  broken = null
  nowMs = 0
  disk = memoryDevice(bootPartition.bytesMin)
  await writeFactoryRecord(disk, 1)
  device = { state: null, bootId: null, attempts: [], notices: [] }
  happens = [() => boot('one')]
})

describe('a story on a real board', () => {
  it('is played word by word: releases first, then power, then each step when the one before has come', async () => {
    happens.push(() => {
      device = { ...device, attempts: [{ state: 'succeeded', code: null }] }
    })
    const steps = [
      { do: 'cut-at', operation: '^boot write', next: [{ operation: '^slot b write' }] },
      { do: 'assign', release: 'v2' },
      rest,
      { do: 'rot', slot: 'b', where: 'head' },
      { do: 'lose', what: 'stamp' },
    ]
    const outcome = await playReal(scene, scenario(steps))
    expect(done).toEqual([
      ...['publish v2', 'on', 'cut ^boot write and 1', 'assign v2', 'rot b head', 'lose stamp'],
    ])
    expect(outcome).toEqual({
      boots: [{ slot: 'a', record: unseen }],
      rest: seenRecord(await parts()),
      attempts: ['ok'],
    })
  })

  it('is not over before the hub has heard of the boot that runs and the agent has settled', async () => {
    const steps = [{ do: 'power-cycle' }, rest]
    const playing = playReal(scene, scenario(steps))
    happens.push(
      () => {},
      () => void boots.push({ slot: 'a', record: unseen }),
      () => standing('two'),
      () => {
        device = { ...device, bootId: 'two' }
      },
      // The record may still change: the agent has come to no verdict yet.
      () => {},
      settled,
    )
    const { boots: seen } = await playing
    expect(seen).toHaveLength(2)
    expect(happens).toHaveLength(0)
  })

  it('carries out orders at the moment that they wait for', async () => {
    const order = {
      do: 'when',
      logged: { event: 'reboot' },
      nth: 1,
      deeds: [{ do: 'rot', slot: 'b', where: 'image' }],
    }
    happens.push(
      () => board.onLog({ event: 'reboot' }),
      () => expect(done).not.toContain('rot b image'),
      () => board.onLog({ event: 'reboot' }),
      () => {
        device = { ...device, attempts: [{ state: 'failed', code: 'EB-NO-VERDICT' }] }
      },
    )
    const { attempts } = await playReal(scene, scenario([order, { do: 'assign', release: 'v2' }, rest]))
    expect(done).toContain('rot b image')
    expect(attempts).toEqual(['EB-NO-VERDICT'])
  })

  it('that does not go on ends with what was seen last', async () => {
    const fault = faultOf(
      await playReal(scene, scenario([{ do: 'wait', for: 'boot' }])).catch((it: unknown) => it),
    )
    expect(fault.code).toBe('EB-TIMEOUT')
    expect(fault.what).toContain('wait for boot; boots a, hub {"state":"IDLE","bootId":"one"')
    expect(nowMs).toBeGreaterThan(sceneLimits.waitMs)
  })

  it('ends when the board breaks down, or an order cannot be carried out', async () => {
    happens.push(() => {
      broken = new Error('QEMU has ended')
    })
    await expect(playReal(scene, scenario([{ do: 'wait', for: 'boot' }]))).rejects.toThrow('QEMU has ended')
  })

  it('with a word for simulated boards only is refused before anything happens', async () => {
    const fault = faultOf(await playReal(scene, scenario([{ do: 'kill-agent' }])).catch((it: unknown) => it))
    expect(fault.code).toBe('EB-UNSUPPORTED')
    expect(done).toEqual([])
  })
})
