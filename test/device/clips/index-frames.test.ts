/** Frames of the index file: sealed by number and file, found again behind damage, read through a window. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type SimFiles, simFiles } from '../../../bootloader-sim/devices/file-store.ts'
import { indexLimits } from '../../../core/clip-limits.ts'
import { KiB, MiB } from '../../../core/units.ts'
import {
  type FrameReader,
  firstFrameOffset,
  frameSealer,
  openFrames,
} from '../../../device/clips/index-frames.ts'
import { bytesOf } from './fixtures.ts'

const key = new Uint8Array(32).fill(1)
const nonce = new Uint8Array(16).fill(2)

/** A file of frames, numbered from 0, and where each begins. */
function fileOf(bodies: readonly Uint8Array[], snapshots = 1): { bytes: Buffer; offsets: readonly number[] } {
  const sealer = frameSealer(key, nonce)
  const frames = bodies.map((it, number) => sealer.frame(number, number < snapshots, it))
  const offsets: number[] = []
  let at = firstFrameOffset
  for (const frame of frames) {
    offsets.push(at)
    at += frame.length
  }
  return { bytes: Buffer.concat([sealer.head, ...frames]), offsets }
}

async function opened(bytes: Uint8Array, files = simFiles()): Promise<FrameReader> {
  files.put('index', bytes)
  const reader = await openFrames(files, 'index', key)
  if (reader === null || reader === 'foreign') throw new Error(`${reader}`)
  return reader
}

/** Bodies of all frames from the first, as long as one follows the other. */
async function inOrder(reader: FrameReader): Promise<readonly Buffer[]> {
  const bodies: Buffer[] = []
  let offset = firstFrameOffset
  for (let number = 0; ; number += 1) {
    const frame = await reader.at(offset, number)
    if (frame === null) return bodies
    bodies.push(Buffer.from(frame.records))
    offset = frame.endOffset
  }
}

const bodies = ['one', 'two', 'three', 'four'].map((it) => Buffer.from(`records of ${it}`))

describe('frames', () => {
  it('come back in order, with the mark of a snapshot, up to the end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 700 }), { maxLength: 20 }),
        fc.nat(20),
        async (parts, snapshots) => {
          const { bytes, offsets } = fileOf(parts, snapshots)
          const reader = await opened(bytes)
          expect(await inOrder(reader)).toEqual(parts.map((it) => Buffer.from(it)))
          for (const [number, offset] of offsets.entries()) {
            expect(await reader.at(offset, 0)).toMatchObject({ number, snapshot: number < snapshots })
            expect(await reader.isEnd(offset)).toBe(false)
          }
          expect(await reader.isEnd(bytes.length)).toBe(true)
        },
      ),
      { numRuns: 40 },
    )
  })

  it('are not there when the file is not, or is of another form', async () => {
    const files = simFiles()
    expect(await openFrames(files, 'index', key)).toBeNull()
    const { bytes } = fileOf(bodies)
    for (let length = 0; length < firstFrameOffset; length += 1) {
      files.put('index', bytes.subarray(0, length))
      expect(await openFrames(files, 'index', key)).toBe('foreign')
    }
    files.put('index', Buffer.concat([Buffer.from('EBX2'), bytes.subarray(4)]))
    expect(await openFrames(files, 'index', key)).toBe('foreign')
  })

  it('do not open with any bit of the file changed that they depend on', async () => {
    const { bytes, offsets } = fileOf(bodies)
    const [, second = 0, third = 0] = offsets
    for (let bit = second * 8; bit < third * 8; bit += 1) {
      const changed = Buffer.from(bytes)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      const reader = await opened(changed)
      expect(await reader.at(second, 0)).toBeNull()
      expect(await reader.find(second, 0)).toBe(third)
    }
  })

  it('do not open in another file, under another key, or before their turn', async () => {
    const { bytes, offsets } = fileOf(bodies)
    const other = frameSealer(key, new Uint8Array(16).fill(3))
    const foreign = Buffer.concat([other.head, bytes.subarray(firstFrameOffset)])
    expect(await (await opened(foreign)).at(firstFrameOffset, 0)).toBeNull()
    const files = simFiles()
    files.put('index', bytes)
    const reader = await openFrames(files, 'index', new Uint8Array(32))
    expect(reader !== null && reader !== 'foreign' && (await reader.at(firstFrameOffset, 0))).toBeNull()
    const right = await opened(bytes)
    expect(await right.at(offsets[1] ?? 0, 2)).toBeNull()
    expect(await right.at(offsets[1] ?? 0, 1)).toMatchObject({ number: 1 })
  })

  it('are found behind damage of any length, also across the edge of what is looked at', async () => {
    const { bytes, offsets } = fileOf(bodies)
    const [first = 0, second = 0] = offsets
    const kinds = [
      (gap: number) => Buffer.alloc(gap),
      (gap: number) => bytesOf('junk', gap),
      (gap: number) => Buffer.alloc(gap, 'E'),
      (gap: number) => Buffer.alloc(Math.min(gap, 4_097), 'EBF1'),
    ]
    for (const gap of [1, 3, 4, 64 * KiB - 1, 64 * KiB, 64 * KiB + 1, 256 * KiB, MiB]) {
      for (const junk of kinds.map((kind) => kind(gap))) {
        // The first frame is damaged, junk lies between it and the second.
        const damaged = Buffer.concat([bytes.subarray(0, second), junk, bytes.subarray(second)])
        damaged[first + 20] = (damaged[first + 20] ?? 0) ^ 1
        expect(await (await opened(damaged)).find(first, 0), `${gap}`).toBe(second + junk.length)
      }
    }
  })

  it('that are no frames are looked through to the end', async () => {
    for (const junk of [
      Buffer.alloc(300 * KiB),
      Buffer.from('EBF1'.repeat(50)),
      Buffer.from('EBF'),
      Buffer.alloc(0),
    ]) {
      const { bytes } = fileOf([])
      const reader = await opened(Buffer.concat([bytes, junk]))
      expect(await reader.find(firstFrameOffset, 0)).toBeNull()
    }
  })

  it('that say that they are larger than a frame may be are no frames', async () => {
    const sealer = frameSealer(key, nonce)
    const most = Buffer.alloc(indexLimits.frameBytesMax - 17)
    const reader = await opened(Buffer.concat([sealer.head, sealer.frame(0, true, most)]))
    expect((await reader.at(firstFrameOffset, 0))?.records.length).toBe(most.length)
    const larger = Buffer.concat([most, Buffer.alloc(1)])
    const refusing = await opened(Buffer.concat([sealer.head, sealer.frame(0, true, larger)]))
    expect(await refusing.at(firstFrameOffset, 0)).toBeNull()
  })

  it('are read in few and bounded reads, however many there are', async () => {
    const files = simFiles()
    const sizes: number[] = []
    const counting: SimFiles = {
      ...files,
      readAt(name, offset, into) {
        sizes.push(into.length)
        return files.readAt(name, offset, into)
      },
    }
    const { bytes } = fileOf(Array.from({ length: 5_000 }, (_, index) => bytesOf(`${index}`, 300)))
    files.put('index', bytes)
    const reader = await openFrames(counting, 'index', key)
    expect(reader !== null && reader !== 'foreign' && (await inOrder(reader)).length).toBe(5_000)
    expect(sizes.length).toBeLessThan(bytes.length / (100 * KiB))
    expect(Math.max(...sizes)).toBeLessThanOrEqual(indexLimits.frameBytesMax)
  })
})
