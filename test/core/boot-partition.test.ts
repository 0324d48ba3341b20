/** The boot partition: whole, flushed, read-back writes to the copy that does not count. */
import { describe, expect, it } from 'vitest'
import {
  currentRecord,
  readRecord,
  readStamp,
  recordText,
  writeFactoryRecord,
  writeRecord,
  writeRecordTwice,
  writeStamp,
} from '../../core/boot-partition.ts'
import { type BootRecord, bootPartition, encodeRecord } from '../../core/boot-record.ts'
import { EverbootError, raise } from '../../core/errors.ts'
import { slotLimits } from '../../core/limits.ts'
import { MiB } from '../../core/units.ts'
import { type MemoryDevice, memoryDevice } from './memory-device.ts'

const record: BootRecord = {
  a: { ok: true, sv: 1, tries: 8 },
  b: { ok: false, sv: 0, tries: 0 },
  floor: 1,
  priority: 'a',
  sequence: 1,
  others: new Map([['board_serial', '42']]),
}

async function deviceWith(...writes: readonly BootRecord[]): Promise<MemoryDevice> {
  const device = memoryDevice(4 * MiB)
  let copies = await readRecord(device)
  for (const it of writes) copies = await writeRecord(device, copies, it)
  return device
}

async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (caught) {
    if (caught instanceof EverbootError) return caught.fault.code
    throw caught
  }
  return 'nothing was refused'
}

describe('boot partition', () => {
  it('has no record on an empty medium', async () => {
    const copies = await readRecord(memoryDevice(4 * MiB))
    expect(copies).toEqual({ copies: [null, null], current: null })
    expect(currentRecord(copies)).toBeNull()
    expect(await readStamp(memoryDevice(4 * MiB))).toBeNull()
  })

  it('writes the copies in turn with rising sequence numbers and keeps foreign keys', async () => {
    const device = memoryDevice(4 * MiB)
    let copies = await readRecord(device)
    for (const [target, sequence] of [
      [0, 1],
      [1, 2],
      [0, 3],
      [1, 4],
    ] as const) {
      copies = await writeRecord(device, copies, { ...record, floor: sequence })
      expect(copies.current).toBe(target)
      expect(await readRecord(device)).toEqual(copies)
      expect(currentRecord(copies)).toMatchObject({ sequence, floor: sequence })
      expect(currentRecord(copies)?.others.get('board_serial')).toBe('42')
    }
    expect(device.pending()).toBe(0)
  })

  it('leaves the factory with slot a committed in both copies and in the stamp', async () => {
    const device = memoryDevice(4 * MiB)
    await writeFactoryRecord(device, 5)
    const { copies, current } = await readRecord(device)
    const factory = { ...record, a: { ok: true, sv: 5, tries: 8 }, floor: 0, others: new Map() }
    expect(copies).toEqual([factory, { ...factory, sequence: 2 }])
    expect(current).toBe(1)
    expect(await readStamp(device)).toEqual({ floor: 0, priority: 'a' })
    expect(device.pending()).toBe(0)
  })

  it('writes both copies when a promise is withdrawn', async () => {
    const device = await deviceWith(record, { ...record, b: { ok: true, sv: 2, tries: 8 } })
    await writeRecordTwice(device, await readRecord(device), { ...record, b: { ok: false, sv: 0, tries: 0 } })
    const { copies } = await readRecord(device)
    expect(copies.map((it) => it?.b.ok)).toEqual([false, false])
  })

  it('overwrites the bad copy, whichever it is', async () => {
    for (const bad of [0, 1] as const) {
      const device = await deviceWith(record, { ...record, floor: 2 }, { ...record, floor: 3 })
      device.medium[bootPartition.copyOffsets[bad] + 10] = 0xff
      const again = device.afterCrash(() => 0)
      const before = await readRecord(again)
      expect(before.current).toBe(bad === 0 ? 1 : 0)
      const after = await writeRecord(again, before, { ...record, floor: 9 })
      expect(after.current).toBe(bad)
      expect(after.copies.every((it) => it !== null)).toBe(true)
    }
  })

  it('goes on from one after the last sequence number, with the old or the new record after any cut', async () => {
    const last = { ...record, sequence: slotLimits.numberMax, floor: 2 }
    for (const copy of [0, 1] as const) {
      for (let operation = 0; operation <= 6; operation += 1) {
        const device = await deviceWith(record, record)
        device.medium.set(encodeRecord(last) ?? new Uint8Array(0), bootPartition.copyOffsets[copy])
        const from = device.afterCrash(() => 0)
        const before = await readRecord(from)
        expect(before.current).toBe(copy)
        if (operation < 6) from.cutAt(operation)
        const work = writeRecord(from, before, { ...record, floor: 3 })
        const after = await Promise.race([work, tick()])
        expect(after === false).toBe(operation < 6)
        if (after !== false) {
          expect(after.copies.map((it) => it?.sequence).sort()).toEqual([1, 2])
          expect(await readRecord(from)).toEqual(after)
          expect((await writeRecord(from, after, record)).copies.map((it) => it?.sequence).sort()).toEqual([
            2, 3,
          ])
          continue
        }
        for (const sectors of [0, 1, 8, 64, 127, 128]) {
          const left = currentRecord(await readRecord(from.afterCrash(() => sectors)))
          expect([2, 3], `cut at ${operation}`).toContain(left?.floor)
        }
      }
    }
  })

  it('says EB-RECORD when the medium cannot be flushed', async () => {
    const device = await deviceWith(record)
    const sick = { ...device, flush: async () => raise('EB-SLOT-IO', 'planted') }
    expect(await refusal(writeRecord(sick, await readRecord(sick), record))).toBe('EB-RECORD')
    const wrong = { ...device, flush: () => Promise.reject(new TypeError('planted')) }
    await expect(writeRecord(wrong, await readRecord(wrong), record)).rejects.toThrow(TypeError)
  })

  it('leaves the old or the new record after a cut at every operation and any tear', async () => {
    let cuts = 0
    for (let operation = 0; ; operation += 1) {
      const device = await deviceWith(record, { ...record, floor: 2 })
      const before = await readRecord(device)
      device.cutAt(operation)
      const work = writeRecord(device, before, { ...record, floor: 3 })
      const ended = await Promise.race([work.then(() => true), tick()])
      if (ended === true) break
      cuts += 1
      expect(device.fired()).toBe(true)
      for (const sectors of [0, 1, 8, 64, 127, 128]) {
        const left = currentRecord(await readRecord(device.afterCrash(() => sectors)))
        expect([2, 3]).toContain(left?.floor)
      }
    }
    expect(cuts).toBe(3)
  })

  it('writes nothing when the record cannot be encoded', async () => {
    const device = await deviceWith(record)
    const operations = device.operations()
    const before = await readRecord(device)
    expect(await refusal(writeRecord(device, before, { ...record, floor: 2 ** 32 }))).toBe('EB-RECORD')
    expect(await refusal(writeStamp(device, { floor: -1, priority: 'a' }))).toBe('EB-RECORD')
    expect(device.operations()).toBe(operations + 2)
  })

  it('refuses to go on when the medium did not keep what was written', async () => {
    const device = memoryDevice(4 * MiB)
    const lossy = { ...device, write: async (_offset: number, bytes: Uint8Array) => bytes.length }
    expect(await refusal(writeRecord(lossy, await readRecord(device), record))).toBe('EB-RECORD')
    expect(await refusal(writeStamp(lossy, { floor: 1, priority: 'a' }))).toBe('EB-RECORD')
  })

  it('reads the copy that can be read, and says when none can', async () => {
    const device = await deviceWith(record, { ...record, floor: 2 })
    const second = bootPartition.copyOffsets[1]
    device.fail('read', (offset) => {
      if (offset >= second && offset < second + slotLimits.recordCopyBytes) raise('EB-SLOT-IO', 'planted')
    })
    expect(currentRecord(await readRecord(device))?.floor).toBe(1)
    device.fail('read', () => raise('EB-SLOT-IO', 'planted'))
    expect(await refusal(readRecord(device))).toBe('EB-RECORD')
    expect(await readStamp(device)).toBeNull()
  })

  it('takes no bug of a port for a bad copy', async () => {
    const device = memoryDevice(4 * MiB)
    device.fail('read', () => {
      throw new TypeError('planted')
    })
    await expect(readRecord(device)).rejects.toThrow(TypeError)
  })

  it('keeps floor and priority in the stamp and refuses every changed byte of it', async () => {
    const device = memoryDevice(4 * MiB)
    await writeStamp(device, { floor: 0x1a, priority: 'b' })
    expect(await readStamp(device)).toEqual({ floor: 0x1a, priority: 'b' })
    for (let at = 0; at < 64; at += 1) {
      const damaged = device.afterCrash(() => 0)
      const place = bootPartition.stampOffset + at
      damaged.medium[place] = (damaged.medium[place] ?? 0) ^ 0x04
      expect(await readStamp(damaged.afterCrash(() => 0))).toBeNull()
    }
  })

  it('goes on after short transfers and stops at one that makes no progress', async () => {
    const device = await deviceWith(record)
    const short = {
      ...device,
      read: (offset: number, into: Uint8Array) => device.read(offset, into.subarray(0, 1024)),
      write: (offset: number, bytes: Uint8Array) => device.write(offset, bytes.subarray(0, 512)),
    }
    const after = await writeRecord(short, await readRecord(short), { ...record, floor: 7 })
    expect(await readRecord(device)).toEqual(after)
    const stuck = { ...device, read: async () => 100 }
    expect(await refusal(readRecord(stuck))).toBe('EB-RECORD')
  })

  it('has room for both copies and the stamp, apart from each other', () => {
    const [first, second] = bootPartition.copyOffsets
    expect(second - first).toBeGreaterThanOrEqual(slotLimits.recordCopyBytes)
    expect(bootPartition.stampOffset - second).toBeGreaterThanOrEqual(MiB)
    expect(encodeRecord(record)?.length).toBe(slotLimits.recordCopyBytes)
    expect(recordText(record)).toBe('a ok sv=1 tries=8, b not ok sv=0 tries=0, floor=1 priority=a seq=1')
  })
})

const tick = (): Promise<false> => new Promise((resolve) => setImmediate(() => resolve(false)))
