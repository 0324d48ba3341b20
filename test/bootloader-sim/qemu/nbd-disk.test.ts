/**
 * The disk of the QEMU board: its cache beside the disk of the simulated world, its cuts, what it tells.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { simDisk } from '../../../bootloader-sim/devices/block-device.ts'
import { everyFates, type Fate, fatesOf, tearEdge } from '../../../bootloader-sim/devices/fate.ts'
import { createPower } from '../../../bootloader-sim/devices/power.ts'
import type { DiskOperation } from '../../../bootloader-sim/qemu/disk-tally.ts'
import { nbdDisk, type PlannedCut } from '../../../bootloader-sim/qemu/nbd-disk.ts'
import { applyFates } from '../../../bootloader-sim/qemu/volatile-cache.ts'
import { diskServerLimits } from '../../../core/limits.ts'
import { seededRandom } from '../../../core/prng.ts'
import { KiB, MiB } from '../../../core/units.ts'
import { memoryMedium, request } from './memory-medium.ts'

const sector = 512

function made(options: { sizeBytes?: number; cacheBytesMax?: number; sectorBytes?: number } = {}) {
  const { sizeBytes = MiB, ...rest } = options
  const medium = memoryMedium(sizeBytes)
  const disk = nbdDisk({ name: 'disk', medium, sectorBytes: sector, ...rest })
  const cuts: (DiskOperation | null)[] = []
  disk.onCut = (at) => void cuts.push(at)
  return { medium, disk, client: disk.client(), cuts }
}

/** What a promise that may never settle has come to by now. */
async function sofar<T>(promise: Promise<T>): Promise<T | 'nothing'> {
  const soon = new Promise<'nothing'>((resolve) => void setImmediate(resolve, 'nothing'))
  return Promise.race([promise, soon])
}

describe('the volatile cache', () => {
  it('shows what was written, and has it on the medium after a flush', async () => {
    const { medium, client, disk } = made()
    await client.execute(request('write', 1024, 1024, { byte: 7 }))
    const read = await client.execute(request('read', 512, 2048))
    expect([...new Set(read.bytes?.subarray(512, 1536))]).toEqual([7])
    expect([...new Set(read.bytes?.subarray(0, 512)), ...new Set(read.bytes?.subarray(1536))]).toEqual([0, 0])
    expect(medium.bytes.includes(7)).toBe(false)
    expect(disk.pending()).toEqual([{ what: 'disk 1024+1024', tearable: true }])
    await client.execute(request('flush'))
    expect(medium.bytes.indexOf(7)).toBe(1024)
    expect(disk.pending()).toEqual([])
  })

  it('has a write with FUA on the medium at once, without what was written before it', async () => {
    const { medium, client } = made()
    await client.execute(request('write', 4096, 512, { byte: 1 }))
    await client.execute(request('write', 0, 512, { byte: 2, fua: true }))
    expect([medium.bytes[0], medium.bytes[4096]]).toEqual([2, 0])
  })

  it('never brings an older write back over one with FUA, but leaves the rest of it to fate', async () => {
    const { medium, disk, client } = made()
    await client.execute(request('write', 0, 2048, { byte: 1 }))
    await client.execute(request('write', 512, 512, { byte: 2, fua: true }))
    expect(disk.pending().map((it) => it.what)).toEqual(['disk 0+512', 'disk 1024+1024'])
    await disk.cutNow()
    await disk.powerOn(['kept', 'kept'])
    expect([0, 512, 1024, 1536].map((at) => medium.bytes[at])).toEqual([1, 2, 1, 1])
  })

  it('takes zeroes and trims as writes of zeros that fate may undo', async () => {
    const { medium, disk, client } = made()
    medium.bytes.fill(9)
    await client.execute(request('zeroes', 0, 512 * KiB))
    await client.execute(request('trim', 512 * KiB, 512 * KiB))
    const read = await client.execute(request('read', 0, MiB))
    expect(read.bytes?.every((byte) => byte === 0)).toBe(true)
    await disk.cutNow()
    await disk.powerOn(['lost', 'back'])
    expect([0, 512 * KiB, 768 * KiB].map((at) => medium.bytes[at])).toEqual([9, 9, 0])
  })

  it('holds no more than its limit: the oldest writes go through and are counted', async () => {
    const { medium, disk, client } = made({ cacheBytesMax: 4096 })
    for (let n = 0; n < 10; n += 1) await client.execute(request('write', n * 1024, 1024, { byte: n + 1 }))
    expect(disk.counts().spilled).toBe(6)
    expect(disk.pending()).toHaveLength(4)
    expect([0, 5 * 1024, 6 * 1024].map((at) => medium.bytes[at])).toEqual([1, 6, 0])
    const read = await client.execute(request('read', 9 * 1024, 1024))
    expect(read.bytes?.[0]).toBe(10)
  })

  /** Both disks are given the same; their mediums and what readers see must be the same at each step. */
  it('treats every row of writes and flushes as the disk of the simulated world does', async () => {
    const deed = fc.oneof(
      fc.record({
        kind: fc.constant('write' as const),
        at: fc.nat({ max: 60 }),
        sectors: fc.integer({ min: 1, max: 8 }),
      }),
      fc.constant({ kind: 'flush' as const }),
    )
    const fate = fc.constantFrom<Fate>('lost', 'kept', 'front', 'back')
    const row = fc.array(deed, { maxLength: 30 })
    await fc.assert(
      fc.asyncProperty(
        row,
        fc.array(fate, { maxLength: 30 }),
        fc.constantFrom(512, 4096),
        async (deeds, fates, unit) => {
          const { medium, disk, client } = made({ sizeBytes: 512 * KiB, sectorBytes: unit })
          const model = simDisk('disk', 512 * KiB, unit, createPower())
          for (const [n, it] of deeds.entries()) {
            if (it.kind === 'flush') {
              await client.execute(request('flush'))
              await model.flush()
              continue
            }
            const write = request('write', it.at * unit, it.sectors * unit, { byte: n + 1 })
            await client.execute(write)
            await model.write(write.offset, write.bytes ?? new Uint8Array())
          }
          expect(disk.pending()).toEqual(model.pending())
          const seen = new Uint8Array(512 * KiB)
          await model.read(0, seen)
          expect(
            Buffer.compare(
              (await client.execute(request('read', 0, 512 * KiB))).bytes ?? seen.subarray(1),
              seen,
            ),
          ).toBe(0)
          await disk.cutNow()
          await disk.powerOn(fates)
          model.crash(fates)
          expect(Buffer.compare(medium.bytes, model.medium())).toBe(0)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('leaves the same to fate on a copy of the medium, so that one cut is tried in every way', async () => {
    const { medium, disk, client } = made({ sizeBytes: 64 * KiB })
    await client.execute(request('write', 0, 1024, { byte: 1 }))
    await client.execute(request('write', 512, 1024, { byte: 2 }))
    await disk.cutNow()
    const images = new Set<string>()
    for (const fates of everyFates(disk.pending())) {
      const copy = memoryMedium(64 * KiB)
      copy.bytes.set(medium.bytes)
      await applyFates(copy, disk.unflushed(), fates, sector)
      images.add([0, 512, 1024].map((at) => copy.bytes[at]).join(''))
    }
    expect([...images].toSorted()).toEqual([
      ...['000', '002', '010', '012', '020', '022'],
      ...['100', '102', '110', '112', '120', '122'],
    ])
  })
})

describe('every list of fates', () => {
  it('has each fate of each thing with each of the others, once', () => {
    const lists = [...everyFates([true, false, true].map((tearable) => ({ what: '', tearable })))]
    expect(lists).toHaveLength(4 * 2 * 4)
    expect(new Set(lists.map(String)).size).toBe(lists.length)
    expect(lists[0]).toEqual(['lost', 'lost', 'lost'])
    expect([...everyFates([])]).toEqual([[]])
  })
})

describe('tearing', () => {
  it.each([
    [0, 512, 512, null],
    [0, 1024, 512, 512],
    [0, 1536, 512, 1024],
    [0, 4096, 4096, null],
    [0, 65536, 4096, 32768],
    [512, 4096, 4096, 3584],
    [512, 1024, 4096, null],
    [3584, 8704, 4096, 4608],
  ])('a write at %i of %i bytes in sectors of %i tears at %j', (offset, bytes, unit, edge) => {
    expect(tearEdge(offset, bytes, unit)).toBe(edge)
  })
})

describe('a planned cut', () => {
  const record = { offset: 64 * KiB, bytes: 64 * KiB }
  const cutAt = (cut: Partial<PlannedCut>): PlannedCut => ({ at: 'write', skip: 0, time: 'before', ...cut })

  it('comes at the write that it was planned for, among those that touch a range', async () => {
    const { disk, client, cuts } = made()
    disk.watch('record', record)
    disk.plan(cutAt({ skip: 1, touching: record }))
    for (const offset of [0, record.offset + record.bytes - 512, 512, record.offset + record.bytes]) {
      await client.execute(request('write', offset, 512, { byte: 1 }))
    }
    expect(disk.hasPower()).toBe(true)
    expect(await sofar(client.execute(request('write', record.offset - 512, 1024, { byte: 2 })))).toBe(
      'nothing',
    )
    expect(disk.hasPower()).toBe(false)
    expect(cuts).toEqual([
      { number: 4, kind: 'write', offset: record.offset - 512, length: 1024, fua: false },
    ])
    expect(disk.touched('record')).toBe(2)
  })

  it('comes at the flush that it was planned for, with what was pending', async () => {
    const { disk, client } = made()
    disk.plan(cutAt({ at: 'flush', skip: 1 }))
    await client.execute(request('write', 0, 512, { byte: 1 }))
    await client.execute(request('flush'))
    await client.execute(request('write', 512, 512, { byte: 1 }))
    expect(await sofar(client.execute(request('flush')))).toBe('nothing')
    expect(disk.pending()).toHaveLength(1)
  })

  it.each([
    ['before', false, 'kept', [0, 0], 0],
    ['inside', false, 'front', [5, 0], 1],
    ['inside', true, 'back', [0, 5], 1],
    ['inside', true, 'lost', [0, 0], 1],
    ['after', true, 'lost', [5, 5], 0],
    ['after', false, 'lost', [0, 0], 1],
    ['after', false, 'kept', [5, 5], 1],
  ] as const)('%s a write, FUA %s, fate %s leaves %j', async (time, fua, fate, left, pending) => {
    const { medium, disk, client } = made()
    disk.plan(cutAt({ time }))
    expect(await sofar(client.execute(request('write', 0, 1024, { byte: 5, fua })))).toBe('nothing')
    expect(disk.pending()).toHaveLength(pending)
    await disk.powerOn(disk.pending().map(() => fate))
    expect([medium.bytes[0], medium.bytes[512]]).toEqual(left)
  })

  it('answers nobody any more, and no old client when the power is back', async () => {
    const { medium, disk, client } = made()
    const other = disk.client()
    disk.plan(cutAt({}))
    const waiting = [request('write', 0, 512, { byte: 1 }), request('read', 0, 512)].map((it) =>
      client.execute(it),
    )
    waiting.push(other.execute(request('write', 512, 512, { byte: 1, fua: true })))
    for (const it of waiting) expect(await sofar(it)).toBe('nothing')
    await disk.powerOn([])
    expect(await sofar(client.execute(request('write', 0, 512, { byte: 1, fua: true })))).toBe('nothing')
    expect(medium.bytes.includes(1)).toBe(false)
    const anew = await disk.client().execute(request('read', 0, 512))
    expect(anew.error).toBeNull()
  })

  it('is forgotten when told so, and comes once', async () => {
    const { disk, client, cuts } = made()
    disk.plan(cutAt({}))
    disk.plan(null)
    await client.execute(request('write', 0, 512))
    expect(cuts).toEqual([])
    await disk.cutNow()
    await disk.cutNow()
    expect(cuts).toEqual([null])
  })

  it('leaves the same by the same seed', async () => {
    const { disk, client } = made()
    for (let n = 0; n < 20; n += 1) await client.execute(request('write', n * 1024, 1024, { byte: 1 }))
    const fates = () => fatesOf('torn', disk.pending(), seededRandom(4711))
    expect(fates()).toEqual(fates())
    expect(new Set(fates()).size).toBe(4)
  })
})

describe('what is told', () => {
  it('counts operations and bytes, and remembers the last ones', async () => {
    const { disk, client } = made()
    await client.execute(request('write', 0, 512, { fua: true }))
    await client.execute(request('trim', 0, 1024))
    await client.execute(request('read', 0, 2048))
    await client.execute(request('flush'))
    expect(disk.counts()).toEqual({
      operations: { read: 1, write: 1, flush: 1, trim: 1, zeroes: 0 },
      ...{ fua: 1, readBytes: 2048, writtenBytes: 1536, spilled: 0, failed: 0 },
    })
    for (let n = 0; n < diskServerLimits.operationsKept; n += 1) await client.execute(request('flush'))
    expect(disk.recent()).toHaveLength(diskServerLimits.operationsKept)
    expect(disk.recent()[0]?.number).toBe(4)
  })

  it('answers with an error that was asked for, instead of the effect', async () => {
    const { medium, disk, client } = made()
    disk.failing = (it) => (it.kind === 'write' && it.offset === 512 ? 'EIO' : null)
    const answers = [0, 512].map((at) => client.execute(request('write', at, 512, { byte: 3, fua: true })))
    expect((await Promise.all(answers)).map((it) => it.error)).toEqual([null, 'EIO'])
    expect([medium.bytes[0], medium.bytes[512]]).toEqual([3, 0])
    expect(disk.counts().failed).toBe(1)
  })
})
