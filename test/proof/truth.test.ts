/**
 * What lies on a simulated board, read past all code: every byte counts, and every change is seen.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { createPower } from '../../bootloader-sim/devices/power.ts'
import { writeRecord, writeStamp } from '../../core/boot-partition.ts'
import { type BootRecord, bootPartition } from '../../core/boot-record.ts'
import { slotLimits } from '../../core/limits.ts'
import { sealOffset } from '../../images/release/slot-layout.ts'
import { createStorage, type Storage, writeFactory } from '../../proof/board-storage.ts'
import { type MadeRelease, pieceBytes, publisher } from '../../proof/publisher.ts'
import { type Truth, truthOf } from '../../proof/truth.ts'

let v1: MadeRelease
let v2: MadeRelease
let two: MadeRelease
beforeAll(async () => {
  const make = publisher()
  v1 = await make.make('1', 'healthy', { pieces: 6 })
  v2 = await make.make('2', 'healthy', { pieces: 6 })
  two = await make.make('two', 'healthy', { pieces: 6, more: ['boot'] })
})

async function board(release = v1, partitions = ['rootfs']): Promise<{ storage: Storage; truth: Truth }> {
  const storage = createStorage({ partitions, slotBytes: 256 * 1024, sectorBytes: 512 }, createPower())
  await writeFactory(storage, release)
  return { storage, truth: truthOf(storage, partitions, () => [v2, two, v1]) }
}

describe('the truth about a slot', () => {
  it('is the release that it holds whole', async () => {
    const { truth } = await board()
    expect([truth.slot('a'), truth.verifies('a'), truth.sealed('a')]).toEqual([v1, v1, v1])
    expect([truth.slot('b'), truth.verifies('b'), truth.sealed('b')]).toEqual([null, null, null])
  })

  it('tells damage to seal, padding, image and tree apart, wherever it is', async () => {
    const disk = 256 * 1024
    const tree = v1.image.length
    const cases: readonly [string, number, boolean, boolean][] = [
      ['first byte of the seal', sealOffset(disk), false, false],
      [
        'last byte of the seal',
        sealOffset(disk) + Buffer.from(v1.manifest.seal, 'base64').length - 1,
        false,
        false,
      ],
      [
        'first byte behind the seal',
        sealOffset(disk) + Buffer.from(v1.manifest.seal, 'base64').length,
        true,
        true,
      ],
      ['last byte of the slot', disk - 1, true, true],
      ['first byte of the image', 0, true, false],
      ['last byte of the image', tree - 1, true, false],
      ['a zero in the image', 3 * pieceBytes + 5, true, false],
      ['first byte of the tree', tree, true, false],
    ]
    for (const [what, offset, sealed, verifies] of cases) {
      const { storage, truth } = await board()
      expect(truth.slot('a')).toBe(v1)
      storage.partition('a', 'rootfs').rot(offset)
      expect(truth.slot('a'), what).toBeNull()
      expect(truth.sealed('a') === v1, what).toBe(sealed)
      expect(truth.verifies('a') === v1, what).toBe(verifies)
    }
  })

  it('does not count what was not flushed, nor what a crash took', async () => {
    const { storage, truth } = await board()
    const disk = storage.partition('a', 'rootfs')
    await disk.write(0, new Uint8Array(512))
    expect(truth.slot('a')).toBe(v1)
    storage.crash(['lost'])
    expect(truth.slot('a')).toBe(v1)
    await disk.write(0, new Uint8Array(512))
    storage.crash(['kept'])
    expect(truth.slot('a')).toBeNull()
  })

  it('follows an image that is restored', async () => {
    const { storage, truth } = await board()
    const image = storage.image()
    storage.partition('a', 'rootfs').rot(0)
    expect(truth.slot('a')).toBeNull()
    storage.restore(image)
    expect(truth.slot('a')).toBe(v1)
  })

  it('needs every image of the release, on a board that has a place for it', async () => {
    const { storage, truth } = await board(two, ['rootfs', 'boot'])
    expect(truth.slot('a')).toBe(two)
    storage.partition('a', 'boot').rot(17)
    expect([truth.slot('a'), truth.sealed('a')]).toEqual([null, two])
    const narrow = await board()
    const seal = Buffer.from(two.manifest.seal, 'base64')
    narrow.storage.partition('a', 'rootfs').plant(sealOffset(256 * 1024), seal)
    narrow.storage.partition('a', 'rootfs').plant(0, two.image)
    expect([narrow.truth.verifies('a'), narrow.truth.sealed('a')]).toEqual([null, two])
  })

  it('counts pieces that are not there as they should be', async () => {
    const { storage, truth } = await board()
    expect(truth.missing('a', v1, 'rootfs', 6)).toBe(0)
    storage.partition('a', 'rootfs').rot(pieceBytes)
    storage.partition('a', 'rootfs').rot(5 * pieceBytes + 9)
    expect([1, 2, 5, 6].map((it) => truth.missing('a', v1, 'rootfs', it))).toEqual([0, 1, 1, 2])
    // Zeros are there in an empty slot.
    expect(truth.missing('b', v1, 'rootfs', 6)).toBe(4)
    expect(truth.missing('a', v1, 'nothing', 6)).toBe(0)
  })
})

describe('the truth about the boot partition', () => {
  async function written(): Promise<{ storage: Storage; truth: Truth; record: BootRecord }> {
    const at = await board()
    const record = at.truth.record()
    if (record === null) throw new Error('no record')
    await writeRecord(at.storage.boot, { copies: [record, null], current: 0 }, { ...record, floor: 2 })
    return { ...at, record: { ...record, floor: 2 } }
  }

  it('is the newest copy, and how many are bad', async () => {
    const { truth, storage } = await written()
    expect(truth.record()).toMatchObject({ floor: 2, sequence: 3 })
    expect([truth.newestCopy(), truth.badCopies()]).toEqual([1, 0])
    storage.boot.rot(bootPartition.copyOffsets[1] + 3)
    expect(truth.record()).toMatchObject({ floor: 0, sequence: 1 })
    expect([truth.newestCopy(), truth.badCopies()]).toEqual([0, 1])
    storage.boot.rot(bootPartition.copyOffsets[0] + slotLimits.recordCopyBytes - 1)
    expect([truth.record(), truth.badCopies(), truth.copies()]).toEqual([null, 2, [null, null]])
  })

  it('has the higher floor of record and stamp, and sees both change', async () => {
    const { truth, storage } = await written()
    expect([truth.floor(), truth.stamp()]).toEqual([2, { floor: 0, priority: 'a' }])
    await writeStamp(storage.boot, { floor: 5, priority: 'b' })
    expect([truth.floor(), truth.stamp()]).toEqual([5, { floor: 5, priority: 'b' }])
    storage.boot.rot(bootPartition.stampOffset)
    expect([truth.floor(), truth.stamp()]).toEqual([2, null])
  })
})
