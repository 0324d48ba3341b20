/** Partition tables made by sfdisk and sgdisk, damaged ones, and FAT boot sectors. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { EverbootError } from '../../../core/errors.ts'
import { findFat, type Partition, readPartitions } from '../../../images/flash/partition-table.ts'
import { type ByteSource, memorySource } from '../../../images/release/byte-source.ts'

const MiB = 1 << 20
const diskBytes = 64 * MiB

/** The start of a disk; the rest is zeros. */
function diskOf(head: Uint8Array, bytes = diskBytes): ByteSource {
  return {
    ...memorySource(head, 'disk'),
    bytes,
    async read(offset, into) {
      const room = into.subarray(0, Math.max(0, bytes - offset))
      room.fill(0)
      room.set(head.subarray(offset, offset + room.length))
      return room.length
    },
  }
}

/** What sfdisk and sgdisk made on a disk of 64 MiB: `make.sh` beside the vectors says how. */
function vector(name: string): Buffer {
  return gunzipSync(readFileSync(join(import.meta.dirname, '../../vectors/partition-tables', `${name}.gz`)))
}

const at = (number: number, start: number, sectors: number): Partition => ({
  number,
  start: start * 512,
  bytes: sectors * 512,
})

const tables: readonly (readonly [string, readonly Partition[]])[] = [
  ['mbr-sfdisk', [at(1, 2048, 4096), at(2, 8192, 16_384), at(4, 32_768, 2048)]],
  ['mbr-logical-sfdisk', [at(1, 64, 64), at(5, 320, 64), at(6, 640, 128), at(7, 1280, 64)]],
  ['gpt-sfdisk', [at(1, 2048, 4096), at(2, 8192, 16_384), at(7, 32_768, 2048)]],
  ['gpt-sgdisk', [at(1, 2048, 8192), at(2, 10_240, 20_480), at(128, 40_960, 4096)]],
  ['gpt-4096-sectors', [at(1, 2048, 16_384), at(2, 20_480, 40_960)]],
]

describe('partition tables', () => {
  it.each(tables)('%s is read as the tool made it', async (name, partitions) => {
    expect(await readPartitions(diskOf(vector(name)))).toEqual(partitions)
  })

  it('no table is no partitions', async () => {
    expect(await readPartitions(diskOf(new Uint8Array(512)))).toEqual([])
    expect(await readPartitions(diskOf(new Uint8Array(0), 0))).toEqual([])
  })

  it.each(tables)(
    '%s cut off anywhere, or with any byte of it flipped, ends in partitions or in a code',
    async (name) => {
      const whole = vector(name)
      const outcome = async (head: Uint8Array, bytes = diskBytes): Promise<string> => {
        try {
          const found = await readPartitions(diskOf(head, bytes))
          for (const it of found) expect(it.start + it.bytes).toBeLessThanOrEqual(bytes)
          return 'read'
        } catch (caught) {
          if (!(caught instanceof EverbootError)) throw caught
          return caught.fault.code
        }
      }
      const used = [...whole.keys()].filter((it) => whole[it] !== 0)
      for (const position of used) {
        const changed = Uint8Array.from(whole)
        changed[position] = (changed[position] ?? 0) ^ 0xff
        expect(['read', 'EB-FIRST-BOOT']).toContain(await outcome(changed))
      }
      for (let bytes = 0; bytes < whole.length; bytes += 509) {
        expect(['read', 'EB-FIRST-BOOT']).toContain(await outcome(whole.subarray(0, bytes), bytes))
      }
    },
  )

  it.each(['gpt-sfdisk', 'gpt-sgdisk'])(
    'a flipped byte of the header or entries of %s is refused',
    async (name) => {
      const whole = vector(name)
      for (const position of [512 + 8, 512 + 16, 512 + 40, 512 + 72, 512 + 88, 1024, 1024 + 32, 1024 + 60]) {
        const changed = Uint8Array.from(whole)
        changed[position] = (changed[position] ?? 0) ^ 1
        await expect(readPartitions(diskOf(changed))).rejects.toThrow('checksum')
      }
    },
  )

  it('a chain of logical partitions that leads back is refused', async () => {
    const changed = Uint8Array.from(vector('mbr-logical-sfdisk'))
    // The second entry of the first table of the chain: where the next one is.
    new DataView(changed.buffer).setUint32(256 * 512 + 446 + 16 + 8, 0, true)
    await expect(readPartitions(diskOf(changed))).rejects.toThrow('leads to sector')
  })

  it('a partition that reaches past the end of the disk is refused', async () => {
    for (const name of ['mbr-sfdisk', 'gpt-sfdisk']) {
      await expect(readPartitions(diskOf(vector(name), 32_770 * 512))).rejects.toThrow(
        'partition 4 of disk'.slice(0, 9),
      )
    }
  })
})

describe('FAT', () => {
  it.each(['fat12', 'fat16', 'fat32'])('%s by mkfs.vfat is found, without a table too', async (name) => {
    const boot = vector(name)
    expect(await findFat(diskOf(boot))).toMatchObject({ number: 0, start: 0 })
    const disk = Buffer.concat([vector('mbr-sfdisk'), Buffer.alloc(8192 * 512)]).subarray(0, 8193 * 512)
    disk.set(boot, 8192 * 512)
    expect(await findFat(diskOf(disk))).toEqual(at(2, 8192, 16_384))
  })

  it('other file systems and empty partitions are none', async () => {
    expect(await findFat(diskOf(vector('gpt-sfdisk')))).toBe(null)
    const boot = Uint8Array.from(vector('fat32'))
    boot[13] = 3
    expect(await findFat(diskOf(boot))).toBe(null)
  })
})
