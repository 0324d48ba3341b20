/**
 * Writes an image to a whole disk and reads it back.
 * Promise: memory of three chunks; the first chunk, where the partition table is, is zeros from before the first
 * byte until all others were read back, so that a disk whose flashing was interrupted never looks whole;
 * returns only when every byte was read from the disk and compared by SHA-256.
 * Leaves to others: opening the disk, expanding the image, progress.
 */
import { createHash, type Hash } from 'node:crypto'
import { assert } from '../../core/assert.ts'
import { readWhole, writeWhole } from '../../core/block-io.ts'
import { raise } from '../../core/errors.ts'
import { flashLimits } from '../../core/limits.ts'
import type { BlockDevice } from '../../core/ports.ts'
import { type Digest, hex, roundUp } from '../../core/units.ts'

export type Take = (bytes: Uint8Array) => Promise<void>

export interface DiskImage {
  readonly name: string
  readonly bytes: number
  /** SHA-256, when it is known already: the image must be the same that was checked. */
  readonly sha256: Digest | null
  /** Gives all bytes, in order. */
  feed(take: Take): Promise<void>
}

export interface WriteJob {
  readonly device: BlockDevice
  /** Names the disk in messages. */
  readonly name: string
  readonly image: DiskImage
  readonly signal: AbortSignal
  readonly progress: (phase: 'writing' | 'reading back', done: number, total: number) => void
}

interface Pass extends WriteJob {
  /** SHA-256 of each chunk as it was written, its padding included. */
  readonly sums: Uint8Array[]
  readonly buffers: readonly [Uint8Array, Uint8Array]
  /** The first chunk, held until the end. */
  readonly first: Uint8Array
}

const code = 'EB-DISK-IO'

/**
 * @returns the SHA-256 of the image
 * @throws EverbootError EB-DISK-READBACK, EB-DISK-IO and others of the device, EB-IMAGE, EB-CANCELLED
 */
export async function writeDisk(job: WriteJob): Promise<Digest> {
  const chunk = flashLimits.chunkBytes
  const { device, image } = job
  assert(chunk % device.sectorBytes === 0, 'chunks are whole sectors')
  assert(image.bytes > 0, 'an empty image is refused before')
  const room = (): Uint8Array => device.allocate(chunk)
  const pass: Pass = { ...job, sums: [], buffers: [room(), room()], first: room() }
  pass.first.fill(0)
  await put(pass, 0, pass.first.subarray(0, chunkBytes(pass, 0)))
  await device.flush()
  const sha256 = await writeRest(pass)
  await device.flush()
  await readBack(pass, 1, pass.sums.length)
  await put(pass, 0, pass.first.subarray(0, chunkBytes(pass, 0)))
  await device.flush()
  await readBack(pass, 0, 1)
  return sha256
}

/** Everything but the first chunk, which is only filled. One chunk is written while the next comes in. */
async function writeRest(pass: Pass): Promise<Digest> {
  const { image } = pass
  const whole = createHash('sha256')
  let done = 0
  let written: Promise<void> = Promise.resolve()
  const take: Take = async (bytes) => {
    stopIfAsked(pass)
    if (done + bytes.length > image.bytes) changed(pass)
    whole.update(bytes)
    for (let at = 0; at < bytes.length; ) {
      const chunk = Math.floor(done / flashLimits.chunkBytes)
      const inside = done % flashLimits.chunkBytes
      const buffer = bufferOf(pass, chunk)
      const part = bytes.subarray(at, at + flashLimits.chunkBytes - inside)
      buffer.set(part, inside)
      at += part.length
      done += part.length
      if (inside + part.length < flashLimits.chunkBytes && done < image.bytes) continue
      await written
      written = finishChunk(pass, chunk, buffer, inside + part.length)
      // Whoever waits for it sees the error; until then it must not count as unhandled.
      written.catch(() => {})
      pass.progress('writing', done, image.bytes)
    }
  }
  try {
    await image.feed(take)
  } catch (caught) {
    // Whoever expands the image is stopped too, but knows nothing of the disk.
    stopIfAsked(pass)
    throw caught
  } finally {
    // The buffer is in use until then.
    await written.catch(() => {})
  }
  await written
  if (done !== image.bytes) changed(pass)
  return checkedSum(pass, whole)
}

function bufferOf({ first, buffers }: Pass, chunk: number): Uint8Array {
  if (chunk === 0) return first
  return chunk % 2 === 0 ? buffers[0] : buffers[1]
}

/** Pads to whole sectors, remembers the sum, writes. */
async function finishChunk(pass: Pass, chunk: number, buffer: Uint8Array, filled: number): Promise<void> {
  const bytes = buffer.subarray(0, chunkBytes(pass, chunk))
  bytes.fill(0, filled)
  pass.sums.push(sumOf(bytes))
  if (chunk > 0) await put(pass, chunk, bytes)
}

function checkedSum({ image }: Pass, whole: Hash): Digest {
  const sha256 = whole.digest('hex') as Digest
  if (image.sha256 !== null && image.sha256 !== sha256) {
    raise(
      'EB-IMAGE',
      `${image.name} changed while it was flashed: SHA-256 ${sha256}, first ${image.sha256}`,
      {
        todo: 'leave the file alone, then flash again',
      },
    )
  }
  return sha256
}

async function readBack(pass: Pass, from: number, to: number): Promise<void> {
  const { image } = pass
  if (from >= to) return
  let next = get(pass, from)
  for (let chunk = from; chunk < to; chunk += 1) {
    const bytes = await next
    if (chunk + 1 < to) {
      next = get(pass, chunk + 1)
      next.catch(() => {})
    }
    stopIfAsked(pass)
    const sum = sumOf(bytes)
    if (Buffer.compare(sum, pass.sums[chunk] ?? new Uint8Array(0)) !== 0) mismatch(pass, chunk, sum)
    if (chunk > 0)
      pass.progress('reading back', Math.min(image.bytes, (chunk + 1) * flashLimits.chunkBytes), image.bytes)
  }
}

function mismatch({ name, sums }: Pass, chunk: number, sum: Uint8Array): never {
  const start = chunk * flashLimits.chunkBytes
  const wanted = hex(sums[chunk] ?? new Uint8Array(0)).slice(0, 16)
  raise(
    'EB-DISK-READBACK',
    `${name} does not hold what was written at byte ${start}: SHA-256 ${hex(sum).slice(0, 16)}…, expected ${wanted}…`,
  )
}

/** Bytes of a chunk on the disk: whole sectors. */
function chunkBytes({ image, device }: Pass, chunk: number): number {
  const left = roundUp(image.bytes, device.sectorBytes) - chunk * flashLimits.chunkBytes
  return Math.max(0, Math.min(flashLimits.chunkBytes, left))
}

function put({ device, name }: Pass, chunk: number, bytes: Uint8Array): Promise<void> {
  return writeWhole(device, chunk * flashLimits.chunkBytes, bytes, name, code)
}

async function get(pass: Pass, chunk: number): Promise<Uint8Array> {
  const bytes = pass.buffers[chunk % 2 === 0 ? 0 : 1].subarray(0, chunkBytes(pass, chunk))
  await readWhole(pass.device, chunk * flashLimits.chunkBytes, bytes, pass.name, code)
  return bytes
}

function sumOf(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest()
}

function changed({ image }: Pass): never {
  raise('EB-IMAGE', `${image.name} has not ${image.bytes} bytes any more`, {
    todo: 'leave the file alone, then flash again',
  })
}

function stopIfAsked({ signal, name }: Pass): void {
  if (!signal.aborted) return
  raise('EB-CANCELLED', `flashing ${name} was stopped; it holds no system now`, { todo: 'flash it again' })
}
