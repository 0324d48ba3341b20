/**
 * A QEMU board from nothing but packages: the factory system comes up with its agent, a slot that `fw_setenv` armed
 * and the initramfs does not believe burns its tries and gives way, what the agent then writes is read right by
 * `fw_printenv`, and lost records do not keep it from starting.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../../bootloader-sim/adapters/wait.ts'
import { present } from '../../core/assert.ts'
import { currentRecord, readRecord, writeStamp } from '../../core/boot-partition.ts'
import { type BootRecord, bootPartition } from '../../core/boot-record.ts'
import { slotLimits } from '../../core/limits.ts'
import type { BlockDevice } from '../../core/ports.ts'
import { MiB } from '../../core/units.ts'
import { openWindow } from '../../images/boards/arm64/adapters/disk-window.ts'
import { buildQemuBoard, type QemuBoard } from '../../images/boards/qemu-arm64/adapters/board.ts'
import { buildQemuRelease } from '../../images/boards/qemu-arm64/adapters/release.ts'
import type { PartitionName } from '../../images/boards/qemu-arm64/layout.ts'
import { sealOffset } from '../../images/release/slot-layout.ts'
import { createKeyDirectory } from '../../keys/adapters/key-directory.ts'
import { recordLines } from '../core/record-lines.ts'
import { environmentTools } from './environment-tools.ts'
import { startBoard, whyNoQemu } from './qemu-rig.ts'

const missing = await whyNoQemu()
if (missing !== null) console.info(`skipped: the QEMU board: ${missing}`)

const healthy = /"event":"health","verdict":"healthy"/
const deadlineMs = 180_000

describe.skipIf(missing !== null)('the QEMU board', () => {
  let room = ''
  let board: QemuBoard
  beforeAll(async () => {
    room = await mkdtemp(join(tmpdir(), 'everboot-qemu-'))
    const keys = join(room, 'keys')
    const release = join(room, 'release.ebr')
    await createKeyDirectory(keys, ['board-1'])
    await buildQemuRelease({ out: release, keys, version: '1.0', securityVersion: 3 })
    const nowhere = { mqtt: 'mqtt://127.0.0.1:9', http: 'http://127.0.0.1:9', ca: '', token: 'none' }
    const identity = { v: 1, deviceId: 'board-1', ...nowhere }
    board = await buildQemuBoard({
      directory: join(room, 'board'),
      release,
      keys,
      identity,
      watchdogSeconds: 90,
    })
  })
  afterAll(() => rm(room, { recursive: true, force: true }))

  async function on<T>(name: PartitionName, act: (it: BlockDevice) => Promise<T>): Promise<T> {
    const window = await openWindow(board.disk, board.layout.partitions[name])
    try {
      return await act(window)
    } finally {
      await window.close()
    }
  }

  const tools = environmentTools(() => ({ path: board.disk, offset: board.layout.partitions.record.offset }))

  /** The record that counts; both copies are what `fw_printenv` says. */
  async function recordNow(): Promise<BootRecord> {
    const read = await on('record', readRecord)
    for (const copy of [0, 1] as const) {
      const there = present(read.copies[copy], 'copy of the record')
      expect(await tools.print(copy)).toEqual(recordLines(there))
    }
    return present(currentRecord(read), 'record')
  }

  /** Switches the board on, until its console says `end` and its record is as wanted. @returns the console */
  async function run(end: RegExp, wanted: (it: BootRecord) => boolean = () => true): Promise<string> {
    const running = await startBoard(board.directory)
    try {
      await running.machine.console.waitFor(end, deadlineMs)
      const settled = async (): Promise<boolean> => {
        const record = currentRecord(await on('record', readRecord))
        return record !== null && wanted(record)
      }
      expect(await until(deadlineMs, settled), 'the record comes to be as wanted').toBe(true)
      return running.text()
    } finally {
      await running.close()
    }
  }

  /** Slot b becomes slot a with one bit of its seal's signature flipped. */
  async function copyWithFlippedSeal(): Promise<void> {
    const { bytes } = board.layout.partitions.a
    const step = new Uint8Array(MiB)
    for (let at = 0; at < bytes; at += step.length) {
      await on('a', (it) => it.read(at, step))
      await on('b', (it) => it.write(at, step))
    }
    const area = new Uint8Array(slotLimits.sealAreaBytes)
    await on('b', (it) => it.read(sealOffset(bytes), area))
    const signature = 168 + 80 + 32
    area[signature] = (area[signature] ?? 0) ^ 1
    await on('b', (it) => it.write(sealOffset(bytes), area))
  }

  it('comes up with its factory release, the agent healthy', async () => {
    const console = await run(healthy)
    expect(console).toMatch(/^everboot: starts a$/m)
    expect(console).toMatch(/^initramfs: slot a holds demo-1\.0-\w+, security version 3, floor 0$/m)
    expect(console).toMatch(/"standing":"committed","boot":"boot-[0-9a-f]{16}"/)
  })

  it('burns three tries on a slot that its initramfs refuses, and returns', async () => {
    await copyWithFlippedSeal()
    for (const copy of [0, 1] as const)
      await tools.set(copy, { b_sv: '3', b_tries: '3', st_pri: 'b', floor: '2' })
    await on('record', (it) => writeStamp(it, { floor: 3, priority: 'a' }))
    const console = await run(healthy, (it) => it.a.tries === slotLimits.committedTries)
    expect([...console.matchAll(/^everboot: starts (.)/gm)].map((it) => it[1])).toEqual(['b', 'b', 'b', 'a'])
    expect(console.match(/slot b is refused: the seal has a wrong signature/g)).toHaveLength(3)
    expect(console).toMatch(/^initramfs: slot a holds .*, floor 3$/m)
    // The agent has seen the fallback: its own slot first, the floor of the stamp.
    const after = { priority: 'a', floor: 3, a: { ok: true, tries: 8 }, b: { ok: false, tries: 0 } }
    expect(await recordNow()).toMatchObject(after)
  })

  it('starts when both copies of the record are zeros', async () => {
    const zeros = new Uint8Array(slotLimits.recordCopyBytes)
    for (const offset of bootPartition.copyOffsets) await on('record', (it) => it.write(offset, zeros))
    const console = await run(/^init: started$/)
    expect(console).toMatch(/^everboot: \[lost-rebuild\]/m)
    expect(console).toMatch(/^everboot: starts a$/m)
    const after = { floor: 3, priority: 'a', a: { ok: false, sv: 3, tries: 2 } }
    expect(await recordNow()).toMatchObject(after)
  })
})
