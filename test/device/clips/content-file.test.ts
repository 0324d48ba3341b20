/** The sealed file of one content: any part of it is read and checked; damage of any kind opens nothing wrong. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type SimFiles, simFiles } from '../../../bootloader-sim/devices/file-store.ts'
import { clipLimits } from '../../../core/clip-limits.ts'
import { KiB } from '../../../core/units.ts'
import {
  readContent,
  readWhole,
  type StoredContent,
  sealedBytes,
  writeContent,
} from '../../../device/clips/content-file.ts'
import { bytesOf, shaOf } from './fixtures.ts'

const key = new Uint8Array(32).fill(1)
const nonce = new Uint8Array(16).fill(2)
const chunk = clipLimits.pieceBytes
const sizes = [1, chunk - 1, chunk, chunk + 1, 200_000]

async function written(
  clear: Uint8Array,
  parts: readonly number[] = [clear.length],
  name = 'c',
  own = nonce,
) {
  const files = simFiles()
  const writer = writeContent(files, name, key, own)
  let at = 0
  for (const length of parts) {
    await writer.write(clear.subarray(at, at + length))
    at += length
  }
  await writer.write(clear.subarray(at))
  const finished = await writer.finish()
  return { files, finished, stored: { file: name, key, nonce: own, bytes: clear.length } }
}

/** What is read of a part; `null` at the end: it is damaged. */
async function part(files: SimFiles, stored: StoredContent, start: number, end: number) {
  const parts: (Uint8Array | null)[] = []
  for await (const it of readContent(files, stored, start, end)) parts.push(it)
  return parts
}

const clearOf = (parts: readonly (Uint8Array | null)[]): Buffer =>
  Buffer.concat(parts.filter((it) => it !== null))

describe('a content', () => {
  it.each(sizes)('of %i bytes comes back whole and in parts', async (size) => {
    const clear = bytesOf('sound', size)
    const { files, finished, stored } = await written(clear)
    expect(finished).toEqual({ sha256: Buffer.from(shaOf(clear), 'hex'), bytes: size })
    expect(files.content('c')?.length).toBe(sealedBytes(size))
    expect(await readWhole(files, stored)).toEqual(clear)
    const edges = [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, size - 1, size].filter((it) => it <= size)
    for (const start of edges) {
      for (const end of edges.filter((it) => it >= start)) {
        const got = await part(files, stored, start, end)
        expect(got).not.toContain(null)
        expect(clearOf(got).equals(clear.subarray(start, end)), `${start}-${end}`).toBe(true)
        expect(got.every((it) => it !== null && it.length <= chunk)).toBe(true)
      }
    }
  })

  it('is the same file however its bytes came', async () => {
    const clear = bytesOf('sound', 200_000)
    const whole = Buffer.from((await written(clear)).files.content('c') ?? [])
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(90_000), { maxLength: 12 }), async (parts) => {
        const { files, finished } = await written(clear, parts)
        expect(whole.equals(files.content('c') ?? new Uint8Array())).toBe(true)
        expect(finished.bytes).toBe(200_000)
      }),
      { numRuns: 20 },
    )
  })

  it('shows nothing of its bytes', async () => {
    const { files } = await written(Buffer.from('a voice that says a secret '.repeat(4_000)))
    expect(Buffer.from(files.content('c') ?? []).includes('secret')).toBe(false)
  })

  it('is written in bounded memory, a chunk at a time', async () => {
    const lengths: number[] = []
    const files = simFiles()
    const watched: SimFiles = {
      ...files,
      append(name, bytes) {
        lengths.push(bytes.length)
        return files.append(name, bytes)
      },
    }
    const writer = writeContent(watched, 'c', key, nonce)
    await writer.write(bytesOf('sound', 5 * chunk))
    await writer.finish()
    expect(lengths).toEqual([20 + chunk + 16, ...Array.from({ length: 4 }, () => chunk + 16)])
  })

  it.each(sizes)('of %i bytes with any byte changed is damaged there, and right before', async (size) => {
    const clear = bytesOf('sound', size)
    const { files, stored } = await written(clear)
    const sealed = Buffer.from(files.content('c') ?? [])
    const chunks = Math.ceil(size / chunk)
    const places = new Set([0, 3, 4, 19, sealed.length - 1, sealed.length - 16])
    for (let one = 0; one < chunks; one += 1) {
      const begin = 20 + one * (chunk + 16)
      for (const place of [begin, begin + 1, begin + chunk - 1, begin + chunk, begin + chunk + 15])
        places.add(place)
    }
    for (const place of [...places].filter((it) => it < sealed.length)) {
      const changed = Buffer.from(sealed)
      changed[place] = (changed[place] ?? 0) ^ 0x80
      files.put('c', changed)
      expect(await readWhole(files, stored), `byte ${place}`).toBeNull()
      if (place < 20) continue
      const got = await part(files, stored, 0, size)
      const good = Math.floor((place - 20) / (chunk + 16)) * chunk
      expect(got.at(-1), `byte ${place}`).toBeNull()
      expect(got.filter((it) => it === null)).toHaveLength(1)
      expect(clearOf(got).equals(clear.subarray(0, good))).toBe(true)
    }
  })

  it('that is cut off, too long, zeroed, gone, moved or mixed does not open', async () => {
    const clear = bytesOf('sound', 200_000)
    const { files, stored } = await written(clear)
    const sealed = Buffer.from(files.content('c') ?? [])
    const at = (one: number) => 20 + one * (chunk + 16)
    const chunkOf = (one: number) => sealed.subarray(at(one), Math.min(sealed.length, at(one + 1)))
    const head = sealed.subarray(0, 20)
    const damaged: readonly (readonly [string, Buffer])[] = [
      ...[0, 1, 19, 20, 21, at(1), at(1) + 1, sealed.length - 1].map(
        (length) => [`cut at ${length}`, sealed.subarray(0, length)] as const,
      ),
      ['with its end zeroed', Buffer.from(sealed).fill(0, at(3))],
      ['with its begin zeroed', Buffer.from(sealed).fill(0, 0, 4_096)],
      ['with two chunks swapped', Buffer.concat([head, chunkOf(1), chunkOf(0), chunkOf(2), chunkOf(3)])],
      ['with a chunk twice', Buffer.concat([head, chunkOf(0), chunkOf(0), chunkOf(2), chunkOf(3)])],
    ]
    for (const [how, bytes] of damaged) {
      files.put('c', bytes)
      expect(await readWhole(files, stored), how).toBeNull()
      const got = await part(files, stored, 0, clear.length)
      // The head is only looked at by who reads the whole: chunks are bound to the nonce anyway.
      const right = clearOf(got)
      expect(right.equals(clear.subarray(0, right.length)), how).toBe(true)
    }
    await files.remove('c')
    expect(await readWhole(files, stored)).toBeNull()
    expect(await part(files, stored, 5, 10)).toEqual([null])
    expect(await part(files, stored, 5, 5)).toEqual([])
  })

  it('in the place of another does not open, even with the same key and length', async () => {
    const one = await written(bytesOf('one', 100_000))
    const two = await written(bytesOf('two', 100_000), undefined, 'c', new Uint8Array(16).fill(3))
    one.files.put('c', two.files.content('c') ?? new Uint8Array())
    expect(await readWhole(one.files, one.stored)).toBeNull()
    expect(await part(one.files, one.stored, 0, 100_000)).toEqual([null])
    expect(await readWhole(one.files, two.stored)).toEqual(bytesOf('two', 100_000))
  })

  it('that is said to be longer or shorter than it is does not open to its end', async () => {
    const clear = bytesOf('sound', 100_000)
    const { files, stored } = await written(clear)
    for (const bytes of [99_999, 100_001, chunk, 2 * chunk, 64 * KiB * 3]) {
      const said = { ...stored, bytes }
      expect(await readWhole(files, said), `${bytes}`).toBeNull()
      expect((await part(files, said, 0, bytes)).at(-1)).toBeNull()
    }
  })

  it('does not open with another key', async () => {
    const { files, stored } = await written(bytesOf('sound', 1_000))
    expect(await readWhole(files, { ...stored, key: new Uint8Array(32) })).toBeNull()
  })
})
