/** Whole transfers over a device that moves less than asked, or more, or nothing, or part of a sector. */
import { expect, test } from 'vitest'
import { AssertionFailed } from '../../core/assert.ts'
import { readWhole, writeWhole } from '../../core/block-io.ts'
import { EverbootError } from '../../core/errors.ts'
import type { BlockDevice } from '../../core/ports.ts'
import { memoryDevice } from './memory-device.ts'

const sector = 512
const pattern = (bytes: number): Uint8Array => Uint8Array.from({ length: bytes }, (_, at) => at % 251)

/** A device that says of each transfer that it moved `moved(asked)` bytes, and does no more than that. */
function moving(
  moved: (asked: number) => number,
  device: BlockDevice = memoryDevice(8 * sector),
): BlockDevice {
  const part = (bytes: Uint8Array): Uint8Array => bytes.subarray(0, Math.max(0, moved(bytes.length)))
  return {
    ...device,
    read: async (offset, into) => {
      await device.read(offset, part(into))
      return moved(into.length)
    },
    write: async (offset, bytes) => {
      await device.write(offset, part(bytes))
      return moved(bytes.length)
    },
  }
}

async function refusal(work: Promise<unknown>): Promise<string> {
  const caught = await work.catch((it: unknown) => it)
  return caught instanceof EverbootError ? `${caught.fault.code} ${caught.fault.what}` : `${caught}`
}

test('a transfer goes on from the last whole sector until all is moved', async () => {
  for (const step of [sector, sector + 1, 2 * sector - 1, 3 * sector]) {
    const device = memoryDevice(8 * sector)
    const slow = moving((asked) => Math.min(asked, step), device)
    await writeWhole(slow, sector, pattern(5 * sector), 'it')
    expect(device.operations(), `steps of ${step}`).toBe(Math.ceil(5 / Math.floor(step / sector)))
    const again = new Uint8Array(5 * sector)
    await readWhole(slow, sector, again, 'it')
    expect(again).toEqual(pattern(5 * sector))
    await device.flush()
    const around = [...device.medium.subarray(0, sector), ...device.medium.subarray(6 * sector)]
    expect(around.every((it) => it === 0)).toBe(true)
  }
})

test.each([
  ['nothing', 0],
  ['less than nothing', -sector],
  ['less than a sector', sector - 1],
  ['more than was asked for', 3 * sector],
])('a device that moves %s is an error that says where', async (_, moved) => {
  const device = moving(() => moved)
  const text = `${moved} of ${2 * sector} bytes at ${sector}`
  const buffer = new Uint8Array(2 * sector)
  expect(await refusal(readWhole(device, sector, buffer, 'the slot'))).toBe(
    `EB-SLOT-IO reading the slot: ${text}`,
  )
  expect(await refusal(writeWhole(device, sector, buffer, 'the slot'))).toBe(
    `EB-SLOT-IO writing the slot: ${text}`,
  )
})

test('a transfer past the end of the device is refused before it begins, one up to the end is not', async () => {
  const device = memoryDevice(8 * sector)
  const text = `${2 * sector} bytes at ${7 * sector} of a device of ${8 * sector}`
  expect(await refusal(readWhole(device, 7 * sector, new Uint8Array(2 * sector), 'it', 'EB-RECORD'))).toBe(
    `EB-RECORD reading it: ${text}`,
  )
  expect(await refusal(writeWhole(device, 7 * sector, new Uint8Array(2 * sector), 'it', 'EB-RECORD'))).toBe(
    `EB-RECORD writing it: ${text}`,
  )
  expect(device.operations()).toBe(0)
  await writeWhole(device, 6 * sector, pattern(2 * sector), 'it')
  expect(device.pending()).toBe(1)
})

test('part of a sector, or a start inside one, is a bug of the caller', async () => {
  const device = memoryDevice(8 * sector)
  await expect(readWhole(device, 1, new Uint8Array(sector), 'it')).rejects.toThrow(AssertionFailed)
  await expect(writeWhole(device, 0, new Uint8Array(sector + 1), 'it')).rejects.toThrow(AssertionFailed)
  expect(device.operations()).toBe(0)
})
