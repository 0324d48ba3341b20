/** Writing and reading back, on a disk in memory that can go wrong in every way. */
import { createHash, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { raise } from '../../../core/errors.ts'
import { flashLimits } from '../../../core/limits.ts'
import type { BlockDevice } from '../../../core/ports.ts'
import { type DiskImage, writeDisk } from '../../../images/flash/disk-writer.ts'
import { codeOf } from '../../device/adapters/real.ts'

const chunk = flashLimits.chunkBytes

interface Faults {
  /** Changes what a write puts there. */
  write?(offset: number, bytes: Uint8Array, disk: Uint8Array): void
  /** Fails a read. */
  read?(offset: number): void
}

function memoryDisk(bytes: number, faults: Faults = {}) {
  const disk = Buffer.alloc(bytes, 0xee)
  let allocated = 0
  const device: BlockDevice = {
    sizeBytes: bytes,
    sectorBytes: 512,
    allocate(count) {
      allocated += count
      return new Uint8Array(count)
    },
    async read(offset, into) {
      faults.read?.(offset)
      into.set(disk.subarray(offset, offset + into.length))
      return into.length
    },
    async write(offset, part) {
      await new Promise((done) => setImmediate(done))
      disk.set(part, offset)
      faults.write?.(offset, part, disk)
      return part.length
    },
    flush: async () => {},
    close: async () => {},
  }
  return { disk, device, allocated: () => allocated }
}

function imageOf(bytes: Uint8Array, step: number, sha256: string | null = null): DiskImage {
  const feed: DiskImage['feed'] = async (take) => {
    const room = new Uint8Array(step)
    for (let at = 0; at < bytes.length; at += step) {
      const part = bytes.subarray(at, at + step)
      room.set(part)
      await take(room.subarray(0, part.length))
      room.fill(0xaa)
    }
  }
  return { name: 'the image', bytes: bytes.length, sha256: sha256 as DiskImage['sha256'], feed }
}

const write = (device: BlockDevice, image: DiskImage): Promise<string> =>
  writeDisk({ device, name: 'the disk', image, signal: new AbortController().signal, progress: () => {} })

const sum = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

describe('writing a disk', () => {
  it('puts every byte in its place in memory of three chunks, whatever the steps', async () => {
    const sizes = fc.integer({ min: 1, max: 4 * chunk })
    const property = fc.asyncProperty(
      sizes,
      fc.integer({ min: 1000, max: 2 * chunk }),
      async (size, step) => {
        const bytes = randomBytes(size)
        const { disk, device, allocated } = memoryDisk(5 * chunk)
        expect(await write(device, imageOf(bytes, step))).toBe(sum(bytes))
        expect(disk.subarray(0, size).equals(bytes)).toBe(true)
        const end = Math.ceil(size / 512) * 512
        expect(disk.subarray(size, end).every((it) => it === 0)).toBe(true)
        expect(disk.subarray(end).every((it) => it === 0xee)).toBe(true)
        expect(allocated()).toBe(3 * chunk)
      },
    )
    await fc.assert(property, { numRuns: 12 })
  })

  const bytes = randomBytes(3 * chunk + 700)

  it.each([0, 1, chunk - 1, chunk, 2 * chunk + 5, 3 * chunk + 699])(
    'sees one wrong byte at %i',
    async (wrong) => {
      const flip = (_: number, __: unknown, disk: Uint8Array): void => {
        disk[wrong] = (bytes[wrong] ?? 0) ^ 1
      }
      const { device } = memoryDisk(5 * chunk, { write: flip })
      expect(await codeOf(() => write(device, imageOf(bytes, 65_536)))).toBe('EB-DISK-READBACK')
    },
  )

  it('sees a disk that is smaller than it says and begins anew at its end', async () => {
    const wrap = (offset: number, part: Uint8Array, disk: Uint8Array): void => {
      if (offset >= 2 * chunk) disk.set(part, offset - 2 * chunk)
    }
    const { device } = memoryDisk(5 * chunk, { write: wrap })
    const code = await codeOf(() => write(device, imageOf(bytes, 65_536)))
    // The first chunk is written last, over what began anew: the third one tells.
    expect(code).toBe('EB-DISK-READBACK')
  })

  it('leaves no partition table when it fails at any write', async () => {
    for (let failing = 1; failing <= 4; failing += 1) {
      let count = 0
      const fail = (): void => {
        count += 1
        if (count === failing) raise('EB-DISK-GONE', 'pulled')
      }
      const { disk, device } = memoryDisk(5 * chunk, { write: fail })
      expect(await codeOf(() => write(device, imageOf(bytes, 65_536)))).toBe('EB-DISK-GONE')
      expect(disk.subarray(0, chunk).every((it) => it === 0)).toBe(true)
    }
  })

  it('leaves no partition table when anything else was not read back', async () => {
    const bad = (offset: number): void => {
      if (offset === 2 * chunk) raise('EB-DISK-IO', 'unreadable')
    }
    const { disk, device } = memoryDisk(5 * chunk, { read: bad })
    expect(await codeOf(() => write(device, imageOf(bytes, 65_536)))).toBe('EB-DISK-IO')
    expect(disk.subarray(0, chunk).every((it) => it === 0)).toBe(true)
  })

  it('refuses an image that became longer, shorter or another one', async () => {
    const { device } = memoryDisk(5 * chunk)
    for (const length of [bytes.length - 1, bytes.length + 1]) {
      const image = { ...imageOf(bytes, 65_536), bytes: length }
      expect(await codeOf(() => write(device, image))).toBe('EB-IMAGE')
    }
    expect(await codeOf(() => write(device, imageOf(bytes, 65_536, sum(randomBytes(1)))))).toBe('EB-IMAGE')
    expect(await write(device, imageOf(bytes, 65_536, sum(bytes)))).toBe(sum(bytes))
  })
})
