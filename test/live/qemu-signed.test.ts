/**
 * Signed boot of the QEMU board: a stock U-Boot that demands signatures refuses kernels and boot scripts that the
 * publisher did not sign, and what it refuses falls back as the boot table says.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { present } from '../../core/assert.ts'
import { currentRecord, readRecord, readStamp, writeRecordTwice } from '../../core/boot-partition.ts'
import type { BootRecord } from '../../core/boot-record.ts'
import { slotLimits } from '../../core/limits.ts'
import type { BlockDevice } from '../../core/ports.ts'
import { KiB, MiB, type SlotId } from '../../core/units.ts'
import { tool } from '../../images/boards/arm64/adapters/disk-file.ts'
import { openWindow } from '../../images/boards/arm64/adapters/disk-window.ts'
import { boardPackages } from '../../images/boards/arm64/adapters/packages.ts'
import { buildQemuBoard, type QemuBoard } from '../../images/boards/qemu-arm64/adapters/board.ts'
import { putLoaderFile } from '../../images/boards/qemu-arm64/adapters/disk.ts'
import { makeKernelFit, makeScriptFit } from '../../images/boards/qemu-arm64/adapters/fit.ts'
import { buildQemuRelease } from '../../images/boards/qemu-arm64/adapters/release.ts'
import { bootFiles, qemuInitramfs } from '../../images/boards/qemu-arm64/adapters/rootfs.ts'
import type { PartitionName } from '../../images/boards/qemu-arm64/layout.ts'
import { sealOffset } from '../../images/release/slot-layout.ts'
import { addBootKey, createKeyDirectory, keyDirectory } from '../../keys/adapters/key-directory.ts'
import { type Contents, play } from '../bootloader-sim/play-boot.ts'
import { type RunningBoard, startBoard, whyNoQemu } from './qemu-rig.ts'

const missing = await whyNoQemu()
if (missing !== null) console.info(`skipped: signed boot: ${missing}`)

const bootMs = 150_000
const securityVersion = 3
/** Of a record that somebody has written who wants U-Boot not to look. */
const wishes = new Map([
  ['verify', 'no'],
  ['everboot_args', 'rdinit=/bin/sh'],
])

describe.skipIf(missing !== null)('signed boot', () => {
  let room = ''
  let board: QemuBoard
  let running: RunningBoard
  let armed: BootRecord
  const at = (name: string): string => join(room, name)

  beforeAll(async () => {
    room = await mkdtemp(join(tmpdir(), 'everboot-signed-'))
    const [keys, release] = [at('keys'), at('release.ebr')]
    await createKeyDirectory(keys, ['board-1'])
    await addBootKey(keys)
    await buildQemuRelease({ out: release, keys, version: '1.0', securityVersion, signed: true })
    const nowhere = { mqtt: 'mqtt://127.0.0.1:9', http: 'http://127.0.0.1:9', ca: '', token: 'none' }
    const identity = { v: 1, deviceId: 'board-1', ...nowhere }
    const directory = at('board')
    board = await buildQemuBoard({ directory, release, keys, identity, signed: true, watchdogSeconds: 90 })
    const step = new Uint8Array(MiB)
    for (let done = 0; done < board.layout.partitions.a.bytes; done += step.length) {
      await on('a', (it) => it.read(done, step))
      await on('b', (it) => it.write(done, step))
    }
    const factory = present(currentRecord(await on('record', readRecord)), 'record')
    armed = { ...factory, b: { ok: false, sv: securityVersion, tries: slotLimits.trialTries }, priority: 'b' }
    running = await startBoard(directory, board.deviceTree)
  })
  afterAll(async () => {
    await running?.close()
    await rm(room, { recursive: true, force: true })
  })

  async function on<T>(name: PartitionName, act: (it: BlockDevice) => Promise<T>): Promise<T> {
    const window = await openWindow(board.disk, board.layout.partitions[name])
    try {
      return await act(window)
    } finally {
      await window.close()
    }
  }

  const arm = (record: BootRecord): Promise<unknown> =>
    on('record', async (it) => writeRecordTwice(it, await readRecord(it), record))

  /** Puts another file in the place of the FIT of slot b; null: takes it away. */
  async function putFit(file: string | null): Promise<void> {
    const slot = `${board.disk}?offset=${board.layout.partitions.b.offset}`
    const path = bootFiles.signed.fit
    await tool('debugfs', ['-w', '-R', `rm ${path}`, slot])
    if (file !== null) await tool('debugfs', ['-w', '-R', `write ${file} ${path}`, slot])
  }

  /** Resets the board and waits until its console says `end`. @returns what it said */
  async function boot(end: RegExp): Promise<string> {
    const { console, reset } = running.machine
    console.log.skip()
    const first = console.log.ended()
    await reset()
    await console.waitFor(end, bootMs)
    return console.log
      .lines()
      .slice(first - console.log.dropped())
      .join('\n')
  }

  const started = (console: string): readonly SlotId[] =>
    [...console.matchAll(/^everboot: starts ([ab])$/gm)].map((it) => it[1] as SlotId)

  /** What the table says of one boot after another, until it starts slot a. */
  async function expected(contents: Contents): Promise<{ slots: SlotId[]; record: BootRecord }> {
    let record = present(currentRecord(await on('record', readRecord)), 'record')
    const stamp = await on('record', readStamp)
    const slots: SlotId[] = []
    while (slots.at(-1) !== 'a' && slots.length <= slotLimits.trialTries) {
      const run = play(record, stamp, contents)
      const { sequence } = record
      record = { ...present(run.writes.at(-1), 'write'), sequence: sequence + run.writes.length }
      slots.push(present(run.started, 'slot'))
    }
    return { slots, record }
  }
  const recordNow = async (): Promise<BootRecord> =>
    present(currentRecord(await on('record', readRecord)), 'record')

  const good = (): string => at('good.itb')
  const kernelOf = async (): Promise<{ kernel: string; initramfs: Uint8Array }> => {
    const packages = await boardPackages()
    const trust = await keyDirectory(at('keys')).trust()
    const kernel = join(packages.root, `boot/vmlinuz-${packages.kernel}`)
    return { kernel, initramfs: await qemuInitramfs(packages, trust.seal) }
  }

  it('starts what the publisher has signed', async () => {
    await arm({ ...armed, others: wishes })
    const told = play(await recordNow(), await on('record', readStamp), { a: 3, b: 3 })
    const console = await boot(/^init: Everboot/)
    expect(console.match(/Verifying Hash Integrity .* OK$/gm)).toHaveLength(4)
    expect(started(console)).toEqual(['b'])
    expect(console).toMatch(/^initramfs: slot b holds demo-1\.0-\w+, security version 3, floor 0$/m)
    expect(await recordNow()).toMatchObject({ a: armed.a, b: present(told.writes[0], 'write').b })
  })

  it('burns three tries on a signed kernel under a seal that its initramfs refuses', async () => {
    const seal = new Uint8Array(slotLimits.sealAreaBytes)
    const place = sealOffset(board.layout.partitions.b.bytes)
    await on('b', (it) => it.read(place, seal))
    const signature = 168 + 80 + 32
    await on('b', (it) => it.write(place, flipped(seal, signature)))
    await arm(armed)
    const told = await expected({ a: securityVersion, b: securityVersion })
    const console = await boot(/^everboot: starts a$/)
    expect(console.match(/^initramfs: slot b is refused: the seal has a wrong signature$/gm)).toHaveLength(3)
    expect(started(console)).toEqual(told.slots)
    expect(told.slots).toEqual(['b', 'b', 'b', 'a'])
    expect(await recordNow()).toEqual(told.record)
    await on('b', (it) => it.write(place, seal))
  })

  const made = {
    async 'a kernel with one bit flipped'() {
      const slot = `${board.disk}?offset=${board.layout.partitions.a.offset}`
      await tool('debugfs', ['-R', `dump ${bootFiles.signed.fit} ${good()}`, slot])
      await writeFile(at('tampered.itb'), flipped(await readFile(good()), 5 * MiB))
      return at('tampered.itb')
    },
    async 'a FIT without a signature'() {
      await makeKernelFit({ out: at('unsigned.itb'), ...(await kernelOf()) }, null)
      return at('unsigned.itb')
    },
    async 'a FIT that another key has signed'() {
      await createKeyDirectory(at('others'), [])
      await addBootKey(at('others'))
      const key = await keyDirectory(at('others')).bootKey()
      await makeKernelFit({ out: at('foreign.itb'), ...(await kernelOf()) }, key)
      return at('foreign.itb')
    },
    async 'a slot without a FIT'() {
      return null
    },
  }

  it.each([
    ['a kernel with one bit flipped', /everboot-image- Failed to verify required signature/],
    ['a FIT without a signature', /Failed to verify required signature 'key-everboot/],
    ['a FIT that another key has signed', /sha256,rsa3072:everboot- +error!/],
    ['a slot without a FIT', /Failed to load 'boot\/kernel\.itb'/],
  ] as const)('%s gives way to the other slot in the same boot', async (name, words) => {
    await putFit(await made[name]())
    await arm({ ...armed, others: wishes })
    const told = await expected({ a: securityVersion, b: null })
    const console = await boot(/^Starting kernel/)
    expect(console).toMatch(words)
    expect(console).toMatch(/^everboot: slot b does not start$/m)
    expect(started(console).at(-1)).toBe('a')
    expect(told.slots).toEqual(['a'])
    expect(await recordNow()).toEqual({ ...told.record, others: new Map([['verify', 'no']]) })
  })

  const strange = 'echo "a strange script runs"\n'
  const scripts = {
    async 'without a signature'(out: string) {
      await makeScriptFit(out, strange, null, null)
    },
    async 'of the old kind'(out: string) {
      await writeFile(at('strange'), strange)
      await tool('mkimage', ['-A', 'arm64', '-T', 'script', '-C', 'none', '-d', at('strange'), out])
    },
    /** The signature holds for what `data-position` points to; `source` would run what is in `data`. */
    async 'with other data beside the signed'(out: string) {
      const signed = 'echo "a signed script"\n'
      await makeScriptFit(out, signed, await keyDirectory(at('keys')).bootKey(), null)
      const text = await tool('dtc', ['-I', 'dtb', '-O', 'dts', out])
      const position = 64 * KiB
      const beside = `data = ${JSON.stringify(strange)}; data-size = <${signed.length}>; data-position = <${position}>;`
      await writeFile(at('beside.dts'), text.replace(/\bdata = .*;/, beside))
      await tool('dtc', ['-I', 'dts', '-O', 'dtb', '-o', out, at('beside.dts')])
      const tree = await readFile(out)
      await writeFile(out, Buffer.concat([tree, Buffer.alloc(position - tree.length), Buffer.from(signed)]))
    },
  }

  it.each([
    ['without a signature', /^Bad Data Hash$/m],
    ['of the old kind', /boot\.itb|bytes read/],
    ['with other data beside the signed', /^everboot: the script keeps its data elsewhere$/m],
  ] as const)('does not run a boot script %s', async (name, words) => {
    const out = at('script.itb')
    await scripts[name](out)
    await putLoaderFile(board.disk, board.layout, out, 'signed')
    const console = await boot(/^resetting/)
    expect(console).toMatch(words)
    expect(console).not.toMatch(/script runs|^everboot: record/m)
  })
})

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.map((it, index) => (index === at ? it ^ 1 : it))
}
