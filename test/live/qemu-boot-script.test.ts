/**
 * The boot script of the QEMU board in a stock U-Boot, against the boot table of the emulated loader: same rows,
 * same slot, same bytes on the boot partition, for records that are usual, rare, damaged and absurd.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readRecord, readStamp, writeRecord } from '../../core/boot-partition.ts'
import { type BootRecord, bootPartition, encodeRecord, type SlotState } from '../../core/boot-record.ts'
import { encodeStamp } from '../../core/commit-stamp.ts'
import { encodeEnvironment } from '../../core/environment-block.ts'
import { slotLimits } from '../../core/limits.ts'
import { seededRandom } from '../../core/prng.ts'
import { type Digest, MiB, type SlotId, slotIds } from '../../core/units.ts'
import {
  makeDisk,
  makeEnvironmentFlash,
  makeProgramFlash,
  putScript,
} from '../../images/boards/qemu-arm64/adapters/disk.ts'
import { openWindow } from '../../images/boards/qemu-arm64/adapters/disk-window.ts'
import { bootScript } from '../../images/boards/qemu-arm64/boot-script.ts'
import { layOutDisk, partitionNumbers } from '../../images/boards/qemu-arm64/layout.ts'
import { stockUBoot } from '../../images/build/adapters/host-tools.ts'
import { encodeSeal } from '../../images/release/seal.ts'
import { sealOffset } from '../../images/release/slot-layout.ts'
import { type Contents, play } from '../bootloader-sim/play-boot.ts'
import { memoryDevice } from '../core/memory-device.ts'
import { testSigner } from '../keys/signers.ts'
import { runQemu, whyNoQemu } from './qemu-process.ts'

const missing = await whyNoQemu()
if (missing !== null) console.info(`skipped: the boot script in U-Boot: ${missing}`)

/** What lies on the disk before a boot: whole blocks, null for zeros. */
interface Case {
  readonly name: string
  readonly copies: readonly [Uint8Array | null, Uint8Array | null]
  readonly stamp: Uint8Array | null
  readonly contents: Contents
}

const layout = layOutDisk(MiB, 4 * MiB)
const signer = testSigner('seal')
const bootMs = 20_000
const randomCases = 40

const state = (text: string): SlotState => {
  const [ok = '', sv = '', tries = ''] = text.split('/')
  return { ok: ok === '1', sv: Number(sv), tries: Number(tries) }
}
const record = (a: string, b: string, priority: SlotId, floor = 0, sequence = 7): BootRecord => ({
  ...{ a: state(a), b: state(b), floor, priority, sequence },
  others: new Map([
    ['alien', 'x = "1"; $y'],
    ['zoo', 'floor=9'],
  ]),
})
const block = (it: BootRecord): Uint8Array => encodeRecord(it) ?? new Uint8Array()
const stampOf = (floor: number, priority: SlotId): Uint8Array | null => encodeStamp({ floor, priority })
const torn = (bytes: Uint8Array): Uint8Array => Uint8Array.from(bytes, (it, at) => (at < 40_000 ? it : 0xff))

/** A record with a good checksum and one value of a form that no writer writes. */
function misshapen(key: string, value: string): Uint8Array | null {
  const usual = { a_ok: '1', a_sv: '1', a_tries: '8', b_ok: '0', b_sv: '2', b_tries: '3' }
  const whole = { ...usual, floor: '0', st_pri: 'b', st_seq: '99', [key]: value }
  const variables = Object.entries(whole).filter(([, it]) => it !== '')
  return encodeEnvironment(new Map(variables), slotLimits.recordCopyBytes)
}

const both = { a: 1, b: 2 }
const committed = record('1/1/8', '0/0/0', 'a')
const trial = record('1/1/8', '0/2/3', 'b', 1)
const last = slotLimits.numberMax
const one = (name: string, it: BootRecord, contents: Contents = both, stamp = stampOf(0, 'a')): Case => ({
  name,
  copies: [block(it), null],
  stamp,
  contents,
})
const told: readonly Case[] = [
  one('a committed slot', committed),
  one('a trial', trial),
  one('a trial without a seal gives way', trial, { a: 1, b: null }),
  one('a trial below the floor of the stamp', trial, both, stampOf(3, 'a')),
  one('nobody has tries', record('1/1/0', '0/2/0', 'b', 1)),
  one('nobody has tries, one was never armed', record('1/1/0', '0/0/0', 'a'), both),
  one('only an unfinished spare is left', record('1/1/0', '0/0/0', 'b'), { a: null, b: null }),
  one('a record that is wrong about the floor', record('1/1/8', '1/2/8', 'a', 5), { a: 6, b: 5 }),
  one('counters that nobody writes', record('1/1/255', `0/2/${last}`, 'b')),
  one('the last number', { ...trial, sequence: last }),
  one('the last but one', { ...trial, sequence: last - 1 }),
  { name: 'all lost', copies: [null, null], stamp: null, contents: both },
  { name: 'record lost', copies: [torn(block(trial)), null], stamp: stampOf(2, 'b'), contents: both },
  { name: 'all lost, nothing sealed', copies: [null, null], stamp: null, contents: { a: null, b: null } },
  {
    name: 'the first copy torn',
    copies: [torn(block(trial)), block({ ...committed, sequence: 6 })],
    stamp: null,
    contents: both,
  },
  {
    name: 'equal numbers',
    copies: [block(committed), block({ ...trial, sequence: 7 })],
    stamp: stampOf(0, 'a'),
    contents: both,
  },
  ...(
    [
      ['a_tries', '08'],
      ['a_tries', ''],
      ['b_tries', 'A'],
      ['a_ok', '2'],
      ['a_ok', ''],
      ['floor', '100000000'],
      ['b_sv', '*0'],
      ['b_sv', '0x2'],
      ['st_pri', 'c'],
      ['st_seq', '-1'],
    ] as const
  ).map(([key, value]) => ({
    name: `${key}=${value}`,
    copies: [block({ ...committed, sequence: 3 }), misshapen(key, value)] as const,
    stamp: stampOf(0, 'a'),
    contents: both,
  })),
]

function drawn(seed: number): Case {
  const random = seededRandom(seed)
  const of = <T>(...values: readonly T[]): T => values[random.below(values.length)] as T
  const slot = (): SlotState => ({ ok: of(true, false), sv: of(0, 1, 2, 3), tries: of(0, 0, 1, 2, 3, 8, 9) })
  const draw = (): BootRecord => ({
    ...{ a: slot(), b: slot(), floor: of(0, 1, 2, 3), priority: of('a', 'b') },
    sequence: of(1, 2, 9, 10, 255, 256, last - 1, last),
    others: new Map(of([], [['alien', 'b c']], [['Z', '1'] as const])),
  })
  const copy = (): Uint8Array | null => of(block(draw()), block(draw()), torn(block(draw())), null)
  return {
    name: `seed ${seed}`,
    copies: [copy(), copy()],
    stamp: of(null, stampOf(of(0, 1, 2, 3), of('a', 'b'))),
    contents: { a: of(null, 1, 2, 3), b: of(null, 1, 2, 3) },
  }
}

describe.skipIf(missing !== null)('the boot script in U-Boot', () => {
  let room = ''
  const at = (name: string): string => join(room, name)
  beforeAll(async () => {
    room = await mkdtemp(join(tmpdir(), 'everboot-uboot-'))
    await makeDisk(at('disk.img'), layout)
    const files = { kernel: 'boot/Image', initramfs: 'boot/initrd.img' }
    const script = bootScript({ partitions: partitionNumbers, ...files, commandLine: '', act: 'print' })
    await putScript(at('disk.img'), layout, script, room)
    await makeProgramFlash(at('flash0.img'), stockUBoot)
    await makeEnvironmentFlash(at('flash1.img'), '')
  })
  afterAll(() => rm(room, { recursive: true, force: true }))

  /** Lays the case out on the disk. @returns the bytes of the boot partition */
  async function lay(it: Case): Promise<Uint8Array> {
    const bytes = new Uint8Array(layout.partitions.record.bytes)
    it.copies.forEach((copy, index) => {
      if (copy !== null) bytes.set(copy, bootPartition.copyOffsets[index])
    })
    if (it.stamp !== null) bytes.set(it.stamp, bootPartition.stampOffset)
    await put('record', 0, bytes)
    for (const slot of slotIds) {
      const area = new Uint8Array(slotLimits.sealAreaBytes)
      const securityVersion = it.contents[slot]
      if (securityVersion !== null) area.set(sealOf(securityVersion))
      await put(slot, sealOffset(layout.partitions[slot].bytes), area)
    }
    return bytes
  }

  async function put(partition: 'record' | SlotId, offset: number, bytes: Uint8Array): Promise<void> {
    const window = await openWindow(at('disk.img'), layout.partitions[partition])
    await window.write(offset, bytes)
    await window.close()
  }

  async function bootPartitionNow(): Promise<Uint8Array> {
    const window = await openWindow(at('disk.img'), layout.partitions.record)
    const bytes = new Uint8Array(window.sizeBytes)
    await window.read(0, bytes)
    await window.close()
    return bytes
  }

  const cases = [...told, ...Array.from({ length: randomCases }, (_, seed) => drawn(seed))]
  it.each(cases)('takes the steps of the table: $name', async (it) => {
    const before = await lay(it)
    const model = memoryDevice(before.length, 512, before)
    const copies = await readRecord(model)
    const now = copies.current === null ? null : copies.copies[copies.current]
    const run = play(now, await readStamp(model), it.contents)
    let written = copies
    for (const next of run.writes) written = await writeRecord(model, written, next)
    const console = await runQemu({ directory: room, until: null, deadlineMs: bootMs })
    const rows = [...console.matchAll(/^everboot: \[(\S+)\]/gm)].map((row) => row[1])
    expect(rows, console).toEqual(run.rows)
    expect(/^everboot: starts (.)/m.exec(console)?.[1] ?? null).toBe(run.started)
    expect(Buffer.compare(await bootPartitionNow(), model.medium), 'the boot partition').toBe(0)
  })
})

function sealOf(securityVersion: number): Uint8Array {
  const images = [{ name: 'rootfs', bytes: 4096, paddedBytes: 4096, verityRoot: 'ab'.repeat(32) as Digest }]
  const names = { releaseId: 'demo-1-0123456789ab', product: 'demo', version: '1' }
  return encodeSeal({ ...names, securityVersion, floorAfterCommit: null, images }, signer)
}
