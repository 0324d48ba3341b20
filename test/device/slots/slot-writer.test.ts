/** Writing a spare slot: each piece where it belongs, nothing counted before its flush, failures not swallowed. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AssertionFailed } from '../../../core/assert.ts'
import { raise } from '../../../core/errors.ts'
import { slotLimits } from '../../../core/limits.ts'
import { holdsSeal, isZero, slotWriter, writeSeal } from '../../../device/slots/slot-writer.ts'
import { memoryDevice } from '../../core/memory-device.ts'

const piece = 4096
const pieces = 8
const imageBytes = pieces * piece
const slotBytes = imageBytes + slotLimits.sealAreaBytes
const filled = (value: number, bytes = piece): Uint8Array => new Uint8Array(bytes).fill(value)
const isFilled = (bytes: Uint8Array, value: number): boolean => bytes.every((it) => it === value)

describe('a slot writer', () => {
  it('puts any pieces in any order where they belong and nothing else anywhere', async () => {
    const order = fc.shuffledSubarray(Array.from({ length: pieces }, (_, at) => at))
    await fc.assert(
      fc.asyncProperty(order, fc.infiniteStream(fc.boolean()), async (numbers, zeros) => {
        const device = memoryDevice(slotBytes, 512, filled(0xaa, slotBytes))
        const expected = filled(0xaa, slotBytes)
        const writer = slotWriter(device, imageBytes, piece)
        // One buffer for all pieces: the writer must have taken its copy when it answers.
        const raw = new Uint8Array(piece)
        for (const number of numbers) {
          const zero = zeros.next().value === true
          expected.fill(zero ? 0 : number + 1, number * piece, (number + 1) * piece)
          if (zero) await writer.writeZeros(number * piece, piece)
          else await writer.write(number * piece, raw.fill(number + 1))
        }
        await writer.flush()
        expect(device.pending()).toBe(0)
        expect(Buffer.compare(device.medium, expected)).toBe(0)
      }),
    )
  })

  it('leaves zeros that are there already unwritten', async () => {
    const device = memoryDevice(slotBytes)
    const writer = slotWriter(device, imageBytes, piece)
    await writer.writeZeros(0, imageBytes / pieces)
    expect(device.pending()).toBe(0)
    await writer.write(piece, filled(7))
    await writer.writeZeros(piece, piece)
    expect(device.pending()).toBe(2)
  })

  it('writes zeros blindly where what is read does not count', async () => {
    const device = memoryDevice(slotBytes)
    const writer = slotWriter(device, imageBytes, piece, true)
    await writer.writeZeros(piece, piece)
    expect(device.pending()).toBe(1)
    await writer.flush()
    expect(isFilled(device.medium.subarray(piece, 2 * piece), 0)).toBe(true)
  })

  it('takes a piece while the one before is on its way, but writes them one after the other', async () => {
    const device = memoryDevice(slotBytes)
    const going: (() => void)[] = []
    const slow = {
      ...device,
      write: (offset: number, bytes: Uint8Array): Promise<number> =>
        new Promise((resolve) => going.push(() => resolve(device.write(offset, bytes)))),
    }
    const writer = slotWriter(slow, imageBytes, piece)
    await writer.write(0, filled(1))
    let taken = false
    const second = writer.write(piece, filled(2)).then(() => {
      taken = true
    })
    await settle()
    expect([going.length, taken]).toEqual([1, false])
    going[0]?.()
    await second
    await settle()
    expect([going.length, taken]).toEqual([2, true])
    const flushed = writer.flush()
    going[1]?.()
    await flushed
    expect(isFilled(device.medium.subarray(0, piece), 1)).toBe(true)
    expect(isFilled(device.medium.subarray(piece, 2 * piece), 2)).toBe(true)
  })

  it.each(['write', 'writeZeros', 'flush'] as const)(
    'shows at the next %s that a write has failed',
    async (next) => {
      const device = memoryDevice(slotBytes)
      device.fail('write', () => raise('EB-SLOT-IO', 'planted'))
      const writer = slotWriter(device, imageBytes, piece)
      await writer.write(0, filled(1))
      await settle()
      const work =
        next === 'flush'
          ? writer.flush()
          : next === 'write'
            ? writer.write(piece, filled(2))
            : writer.writeZeros(piece, piece)
      await expect(work).rejects.toThrow('planted')
    },
  )

  it('takes a piece outside the image, or a larger one than it was made for, for a bug', async () => {
    const device = memoryDevice(slotBytes)
    const writer = slotWriter(device, imageBytes, piece)
    for (const offset of [-512, imageBytes, imageBytes - 512]) {
      await expect(writer.write(offset, filled(1)), `at ${offset}`).rejects.toThrow(AssertionFailed)
      await expect(writer.writeZeros(offset, piece), `at ${offset}`).rejects.toThrow(AssertionFailed)
    }
    await expect(writer.write(0, filled(1, piece + 512))).rejects.toThrow(AssertionFailed)
    await expect(writer.writeZeros(0, piece + 512)).rejects.toThrow(AssertionFailed)
    expect(device.operations()).toBe(0)
  })
})

describe('a seal', () => {
  const seal = Uint8Array.from({ length: 300 }, (_, at) => (at % 255) + 1)

  it('lies in the last 64 KiB, zeros behind it, and is on the medium when its write returns', async () => {
    const device = memoryDevice(slotBytes, 512, filled(0xaa, slotBytes))
    await writeSeal(device, seal)
    expect(device.pending()).toBe(0)
    expect(device.medium.subarray(imageBytes, imageBytes + seal.length)).toEqual(seal)
    expect(isFilled(device.medium.subarray(imageBytes + seal.length), 0)).toBe(true)
    expect(isFilled(device.medium.subarray(0, imageBytes), 0xaa)).toBe(true)
    expect(await holdsSeal(device, seal)).toBe(true)
  })

  it('is wiped whole, and then the slot holds none', async () => {
    const device = memoryDevice(slotBytes, 512, filled(0xaa, slotBytes))
    await writeSeal(device, null)
    expect(device.pending()).toBe(0)
    expect(isFilled(device.medium.subarray(imageBytes), 0)).toBe(true)
    expect(await holdsSeal(device, seal)).toBe(false)
  })

  it('is not there with any byte of its area changed', async () => {
    const device = memoryDevice(slotBytes)
    await writeSeal(device, seal)
    for (let at = 0; at < slotLimits.sealAreaBytes; at += at < 400 ? 1 : 997) {
      const changed = device.medium.slice()
      changed[imageBytes + at] = (changed[imageBytes + at] ?? 0) ^ 0x20
      expect(await holdsSeal(memoryDevice(slotBytes, 512, changed), seal), `byte ${at}`).toBe(false)
    }
  })
})

it('bytes are zero when every one is, also when there is none', () => {
  for (const bytes of [0, 1, 2, 511, 4096]) {
    expect(isZero(new Uint8Array(bytes)), `${bytes} bytes`).toBe(true)
    for (let at = 0; at < bytes; at += 1) {
      const other = new Uint8Array(bytes)
      other[at] = 1
      expect(isZero(other), `byte ${at} of ${bytes}`).toBe(false)
    }
    if (bytes > 0) expect(isZero(filled(1, bytes))).toBe(false)
  }
})

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
