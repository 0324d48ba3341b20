/** The count of boots: what a shell can read and write, and nothing that is believed by mistake. */
import { describe, expect, it } from 'vitest'
import { decodeBootCount, encodeBootCount, readBootCount, writeBootCount } from '../../core/boot-count.ts'
import { bootPartition, encodeRecord } from '../../core/boot-record.ts'
import { EverbootError, fault } from '../../core/errors.ts'
import { MiB } from '../../core/units.ts'
import { memoryDevice } from './memory-device.ts'

describe('the count of boots', () => {
  it('is a short text, one digit at most', () => {
    expect(Buffer.from(encodeBootCount('b', 3)).toString('latin1')).toBe(`b 3\n${'\0'.repeat(508)}`)
    for (let boots = 0; boots <= 20; boots += 1) {
      expect(decodeBootCount(encodeBootCount('a', boots), 'a')).toBe(Math.min(boots, 8))
      expect(decodeBootCount(encodeBootCount('a', boots), 'b')).toBe(0)
    }
  })

  it('is none where a byte of it is another', () => {
    const sector = encodeBootCount('a', 7)
    for (let at = 0; at < sector.length; at += 1) {
      const flipped = Uint8Array.from(sector)
      flipped[at] = (flipped[at] ?? 0) ^ 0x80
      expect(decodeBootCount(flipped, 'a')).toBe(0)
    }
  })

  it.each([512, 4096])(
    'leaves everything else on the partition alone (sectors of %i)',
    async (sectorBytes) => {
      const device = memoryDevice(4 * MiB, sectorBytes, new Uint8Array(4 * MiB).fill(0x55))
      expect(await readBootCount(device, 'a')).toBe(0)
      await writeBootCount(device, 'a', 2)
      expect(await readBootCount(device, 'a')).toBe(2)
      const other: number[] = []
      for (let at = 0; at < device.medium.length; at += 1) if (device.medium[at] !== 0x55) other.push(at)
      expect([other[0], other.length]).toEqual([bootPartition.countOffset, 512])
    },
  )

  it('lies apart from record and stamp, inside the smallest partition', () => {
    const { copyOffsets, stampOffset, countOffset, bytesMin } = bootPartition
    const record = encodeRecord({
      a: { ok: true, sv: 1, tries: 8 },
      b: { ok: false, sv: 0, tries: 0 },
      ...{ floor: 0, priority: 'a', sequence: 1, others: new Map() },
    })
    for (const at of [...copyOffsets, stampOffset])
      expect(at + (record?.length ?? 0)).toBeLessThanOrEqual(countOffset)
    expect(countOffset + 4096).toBeLessThanOrEqual(bytesMin)
  })

  it('that cannot be read counts as none', async () => {
    const device = memoryDevice(4 * MiB)
    device.fail('read', () => {
      throw new EverbootError(fault('EB-SLOT-IO', 'EIO'))
    })
    expect(await readBootCount(device, 'a')).toBe(0)
    device.fail('read', () => {
      throw new TypeError('a bug')
    })
    await expect(readBootCount(device, 'a')).rejects.toThrow('a bug')
  })
})
