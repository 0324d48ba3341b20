/**
 * The boot script of the QEMU board in a stock U-Boot, against the boot table of the emulated loader: same rows,
 * same slot, same bytes on the boot partition, for records that are usual, rare, damaged, absurd, and edited by
 * `fw_setenv`; and what U-Boot wrote is what `fw_printenv` prints.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { currentRecord, readRecord, readStamp, writeRecord } from '../../core/boot-partition.ts'
import { type BootRecord, bootPartition, decodeRecord, encodeRecord } from '../../core/boot-record.ts'
import { slotLimits } from '../../core/limits.ts'
import { MiB, type SlotId, slotIds } from '../../core/units.ts'
import {
  makeDisk,
  makeEnvironmentFlash,
  makeProgramFlash,
  putScript,
} from '../../images/boards/qemu-arm64/adapters/disk.ts'
import { bootScript } from '../../images/boards/qemu-arm64/boot-script.ts'
import { layOutDisk, partitionNumbers } from '../../images/boards/qemu-arm64/layout.ts'
import { stockUBoot } from '../../images/build/adapters/host-tools.ts'
import { sealOffset } from '../../images/release/slot-layout.ts'
import {
  type BootCase,
  committed,
  drawnCase,
  sealOf,
  toldCases,
  trial,
} from '../bootloader-sim/boot-cases.ts'
import { play } from '../bootloader-sim/play-boot.ts'
import { memoryDevice } from '../core/memory-device.ts'
import { recordLines } from '../core/record-lines.ts'
import { environmentTools } from './environment-tools.ts'
import { type RunningBoard, startBoard, whyNoQemu } from './qemu-rig.ts'

const missing = await whyNoQemu()
if (missing !== null) console.info(`skipped: the boot script in U-Boot: ${missing}`)

const layout = layOutDisk(MiB, 4 * MiB)
const bootMs = 20_000
/** What `fw_setenv` is told for one copy, over a committed slot in copy 0 and a newer trial in copy 1. */
const edits: readonly (readonly [copy: 0 | 1, values: Readonly<Record<string, string>>, counts: 0 | 1])[] = [
  [0, { b_tries: '2', alien: 'two words' }, 1],
  [0, { st_seq: '9', b_sv: '2', b_tries: '1' }, 0],
  [0, { st_seq: '9', st_pri: 'b' }, 0],
  [0, { st_seq: '8' }, 0],
  [0, { floor: '' }, 1],
  [1, { b_tries: '0' }, 1],
  [1, { st_pri: 'a', a_tries: '1' }, 1],
  [1, { floor: '3', zoo: '' }, 1],
  [1, { st_seq: '6' }, 0],
  [1, { b_ok: '' }, 0],
  [1, { floor: '03' }, 0],
]
const randomCases = 40

describe.skipIf(missing !== null)('the boot script in U-Boot', () => {
  let room = ''
  let board: RunningBoard
  const at = (name: string): string => join(room, name)
  beforeAll(async () => {
    room = await mkdtemp(join(tmpdir(), 'everboot-uboot-'))
    await makeDisk(at('disk.img'), layout)
    const files = { kernel: 'boot/Image', initramfs: 'boot/initrd.img' }
    const script = bootScript({ partitions: partitionNumbers, files, commandLine: '', act: 'print' })
    await putScript(at('disk.img'), layout, script, room)
    await makeProgramFlash(at('flash0.img'), stockUBoot)
    await makeEnvironmentFlash(at('flash1.img'), '')
    board = await startBoard(room)
  })
  afterAll(async () => {
    await board?.close()
    await rm(room, { recursive: true, force: true })
  })

  /** Lays the case out on the disk of the waiting board. */
  async function lay(it: BootCase): Promise<void> {
    const bytes = new Uint8Array(layout.partitions.record.bytes)
    it.copies.forEach((copy, index) => {
      if (copy !== null) bytes.set(copy, bootPartition.copyOffsets[index])
    })
    if (it.stamp !== null) bytes.set(it.stamp, bootPartition.stampOffset)
    await board.medium.write(layout.partitions.record.offset, bytes)
    for (const slot of slotIds) {
      const area = new Uint8Array(slotLimits.sealAreaBytes)
      const securityVersion = it.contents[slot]
      if (securityVersion !== null) area.set(sealOf(securityVersion))
      const { offset, bytes: size } = layout.partitions[slot]
      await board.medium.write(offset + sealOffset(size), area)
    }
  }

  async function bootPartitionNow(): Promise<Uint8Array> {
    const bytes = new Uint8Array(layout.partitions.record.bytes)
    await board.medium.read(layout.partitions.record.offset, bytes)
    return bytes
  }

  /** One boot from reset to the slot that it would start. */
  async function boot(): Promise<{ rows: readonly string[]; started: SlotId | null; console: string }> {
    const { machine } = board
    const first = machine.console.log.ended()
    machine.console.log.skip()
    await machine.reset()
    await machine.console.waitFor(/^everboot: (starts [ab]|no slot can be started)$/, bootMs)
    const console = machine.console.log
      .lines()
      .slice(first - machine.console.log.dropped())
      .join('\n')
    const rows = [...console.matchAll(/^everboot: \[(\S+)\]/gm)].map((row) => row[1] ?? '')
    const started = /^everboot: starts ([ab])$/m.exec(console)?.[1]
    return { rows, started: (started ?? null) as SlotId | null, console }
  }

  /** One boot of what lies on the disk, by U-Boot and by the table. */
  async function compare(contents: BootCase['contents']): Promise<void> {
    const before = await bootPartitionNow()
    const model = memoryDevice(before.length, 512, before)
    const copies = await readRecord(model)
    const run = play(currentRecord(copies), await readStamp(model), contents)
    let written = copies
    for (const next of run.writes) written = await writeRecord(model, written, next)
    const { rows, started, console } = await boot()
    expect(rows, console).toEqual(run.rows)
    expect(started).toBe(run.started)
    const after = await bootPartitionNow()
    expect(Buffer.compare(after, model.medium), 'the boot partition').toBe(0)
    await compareWithTool(after)
  }

  /** What is valid is printed as it was read here. */
  async function compareWithTool(bytes: Uint8Array): Promise<void> {
    for (const copy of [0, 1] as const) {
      const offset = bootPartition.copyOffsets[copy]
      const record = decodeRecord(bytes.subarray(offset, offset + slotLimits.recordCopyBytes))
      if (record !== null) expect(await tools.print(copy)).toEqual(recordLines(record))
    }
  }

  const tools = environmentTools(() => ({ path: at('disk.img'), offset: layout.partitions.record.offset }))

  const cases = [...toldCases, ...Array.from({ length: randomCases }, (_, seed) => drawnCase(seed))]
  it.each(cases)('takes the steps of the table: $name', async (it) => {
    await lay(it)
    await compare(it.contents)
  })

  it.each(edits)('reads copy %i as `fw_setenv` left it: %o', async (copy, values, counts) => {
    const block = (it: BootRecord): Uint8Array | null => encodeRecord(it)
    const contents = { a: 1, b: 2 }
    const copies = [block({ ...committed, sequence: 7 }), block({ ...trial, sequence: 8 })] as const
    await lay({ name: 'edited', copies, stamp: null, contents })
    await tools.set(copy, values)
    const bytes = await bootPartitionNow()
    const { current, copies: read } = await readRecord(memoryDevice(bytes.length, 512, bytes))
    expect(current).toBe(counts)
    const edited = read[copy]
    const told = Object.entries(values).filter(([, value]) => value !== '')
    if (edited !== null)
      expect(recordLines(edited)).toEqual(
        expect.arrayContaining(told.map(([key, value]) => `${key}=${value}`)),
      )
    await compare(contents)
  })
})
