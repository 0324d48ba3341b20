/** Compressed inputs: expanded exactly, sparse, and refused when damaged. */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { constants, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { zipSync } from 'fflate'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { faultOf } from '../../../core/errors.ts'
import { compressOnThreads } from '../../../images/build/adapters/expand.ts'
import { prepareImage } from '../../../images/build/adapters/image-input.ts'

let room = ''
beforeEach(async () => {
  room = await mkdtemp(join(tmpdir(), 'everboot-expand-'))
})
afterEach(() => rm(room, { recursive: true, force: true }))

/** Data, a long hole, data that ends in the middle of a block. */
const image = Buffer.concat([randomBytes(100_000), Buffer.alloc(8 << 20), randomBytes(77_777)])

async function prepare(bytes: Uint8Array, name = 'input.any') {
  const path = join(room, name)
  await writeFile(path, bytes)
  const signal = new AbortController().signal
  const phase = (): void => {}
  return prepareImage({
    path,
    workDirectory: room,
    filesystem: null,
    bytes: null,
    fixed: null,
    signal,
    phase,
  })
}

async function codeOf(bytes: Uint8Array): Promise<string> {
  try {
    const { source, form } = await prepare(bytes)
    await source.close()
    return form
  } catch (caught) {
    return faultOf(caught).code
  }
}

const byXz = (bytes: Uint8Array): Buffer =>
  execFileSync('xz', ['-0', '-c'], { input: bytes, maxBuffer: 16 << 20 })
const zip = (files: Record<string, Uint8Array>, level: 0 | 6 = 6): Uint8Array => zipSync(files, { level })
/** As `pzstd` writes: each frame behind a skippable one that gives its length. */
function pzstd(content: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = []
  for (let at = 0; at < content.length; at += 1 << 20) {
    const frame = zstdCompressSync(content.subarray(at, at + (1 << 20)))
    const head = Buffer.alloc(12)
    head.writeUInt32LE(0x184d_2a50, 0)
    head.writeUInt32LE(4, 4)
    head.writeUInt32LE(frame.length, 8)
    parts.push(head, frame)
  }
  return Buffer.concat(parts)
}

/** The image in a zip with ZIP64 sizes, as large files have: stored, made by hand. */
function zip64(content: Uint8Array): Uint8Array {
  const { crc32 } = process.getBuiltinModule('node:zlib')
  const name = Buffer.from('disk.img')
  const local = Buffer.alloc(30)
  local.writeUInt32LE(0x0403_4b50, 0)
  local.writeUInt16LE(name.length, 26)
  const extra = Buffer.alloc(28)
  extra.writeUInt16LE(1, 0)
  extra.writeUInt16LE(24, 2)
  extra.writeBigUInt64LE(BigInt(content.length), 4)
  extra.writeBigUInt64LE(BigInt(content.length), 12)
  const entry = Buffer.alloc(46)
  entry.writeUInt32LE(0x0201_4b50, 0)
  entry.writeUInt32LE(crc32(content), 16)
  for (const at of [20, 24, 42]) entry.writeUInt32LE(0xffff_ffff, at)
  entry.writeUInt16LE(name.length, 28)
  entry.writeUInt16LE(extra.length, 30)
  const directory = Buffer.concat([entry, name, extra])
  const start = local.length + name.length + content.length
  const end64 = Buffer.alloc(56)
  end64.writeUInt32LE(0x0606_4b50, 0)
  end64.writeBigUInt64LE(1n, 32)
  end64.writeBigUInt64LE(BigInt(directory.length), 40)
  end64.writeBigUInt64LE(BigInt(start), 48)
  const locator = Buffer.alloc(20)
  locator.writeUInt32LE(0x0706_4b50, 0)
  locator.writeBigUInt64LE(BigInt(start + directory.length), 8)
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x0605_4b50, 0)
  end.fill(0xff, 8, 20)
  return Buffer.concat([local, name, content, directory, end64, locator, end])
}

test.each<[string, string, () => Uint8Array]>([
  ['raw', 'raw', () => image],
  ['.gz', 'gz', () => gzipSync(image)],
  [
    '.gz of two members',
    'gz',
    () => Buffer.concat([gzipSync(image.subarray(0, 70_000)), gzipSync(image.subarray(70_000))]),
  ],
  ['.zst', 'zst', () => zstdCompressSync(image)],
  [
    '.zst with a checksum',
    'zst',
    () => zstdCompressSync(image, { params: { [constants.ZSTD_c_checksumFlag]: 1 } }),
  ],
  [
    '.zst of two frames',
    'zst',
    () =>
      Buffer.concat([zstdCompressSync(image.subarray(0, 70_000)), zstdCompressSync(image.subarray(70_000))]),
  ],
  ['.zst by pzstd', 'zst', () => pzstd(image)],
  [
    '.zst of many small frames',
    'zst',
    () =>
      Buffer.concat(
        Array.from({ length: 300 }, (_, at) =>
          zstdCompressSync(image.subarray(at * 30_000, at === 299 ? image.length : (at + 1) * 30_000)),
        ),
      ),
  ],
  ['.xz', 'xz', () => byXz(image)],
  [
    '.xz of two streams',
    'xz',
    () => Buffer.concat([byXz(image.subarray(0, 70_000)), byXz(image.subarray(70_000))]),
  ],
  ['.zip', 'zip', () => zip({ 'disk.img': image })],
  ['.zip, stored', 'zip', () => zip({ 'disk.img': image }, 0)],
  [
    '.zip with a directory entry',
    'zip',
    () => zip({ 'images/': new Uint8Array(0), 'images/disk.img': image }),
  ],
  ['.zip in the ZIP64 form', 'zip', () => zip64(image)],
])('a %s image is read exactly, whatever its name', async (_, form, packed) => {
  const prepared = await prepare(packed())
  expect(prepared.form).toBe(form)
  expect(prepared.source.bytes).toBe(image.length)
  await prepared.source.close()
  expect((await readFile(prepared.source.name)).equals(image)).toBe(true)
  if (form !== 'raw') expect((await stat(prepared.source.name)).blocks * 512).toBeLessThan(1 << 20)
})

test.each<[string, () => Uint8Array]>([
  ['gz', () => gzipSync(image)],
  ['zst', () => zstdCompressSync(image, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })],
  ['zip', () => zip({ 'disk.img': image })],
  ['xz', () => byXz(image)],
])('a truncated or damaged %s is refused', async (_, pack) => {
  const packed = pack()
  for (const share of [0.2, 0.5, 0.9, 0.99]) {
    expect(await codeOf(packed.subarray(0, Math.floor(packed.length * share))), `${share}`).toBe('EB-IMAGE')
  }
  for (const share of [0.3, 0.6]) {
    const changed = Uint8Array.from(packed)
    const at = Math.floor(packed.length * share)
    changed[at] = (changed[at] ?? 0) ^ 0x55
    expect(await codeOf(changed), `${share}`).toBe('EB-IMAGE')
  }
})

test.each<[string, () => Uint8Array]>([
  ['without a file', () => zip({ 'only/': new Uint8Array(0) })],
  ['that is empty', () => zip({})],
  ['with two files', () => zip({ a: image, b: image })],
  ['with an entry by another method', () => patch(zip({ a: image }), 10, 99)],
  ['with an encrypted entry', () => patch(zip({ a: image }), 8, 1)],
  ['with another CRC', () => patch(zip({ a: image }), 16, 0x55)],
  ['with another length', () => patch(zip({ a: image }), 24, 0x55)],
])('a zip %s is refused', async (_, packed) => {
  expect(await codeOf(packed())).toBe('EB-IMAGE')
})

/** One byte of the directory entry changed. */
function patch(packed: Uint8Array, field: number, value: number): Uint8Array {
  const changed = Buffer.from(packed)
  changed[changed.indexOf(Buffer.from('PK\x01\x02')) + field] = value
  return changed
}

test('every truncation of a small zip and every flipped byte of its directory ends in a code', async () => {
  const content = Buffer.from('a small image '.repeat(20))
  const packed = zip({ a: content })
  for (let length = 4; length < packed.length; length += 1) {
    expect(await codeOf(packed.subarray(0, length)), `${length}`).toBe('EB-IMAGE')
  }
  const directory = Buffer.from(packed).indexOf(Buffer.from('PK\x01\x02'))
  for (let at = directory; at < packed.length; at += 1) {
    const changed = Uint8Array.from(packed)
    changed[at] = (changed[at] ?? 0) ^ 0xff
    // Fields that nobody reads (times, attributes, versions) may change; the image must not.
    const code = await codeOf(changed)
    expect(['EB-IMAGE', 'EB-FILE', 'zip']).toContain(code)
    if (code === 'zip') expect((await readFile(join(room, 'input.img'))).equals(content)).toBe(true)
  }
})

test('bytes after a zst frame that are no frame are refused', async () => {
  const packed = zstdCompressSync(image)
  for (const more of ['x', 'some more bytes', '\0'.repeat(5000)]) {
    expect(await codeOf(Buffer.concat([packed, Buffer.from(more)]))).toBe('EB-IMAGE')
  }
})

test('an empty file and something that is no file are refused', async () => {
  const signal = new AbortController().signal
  const plan = { workDirectory: room, filesystem: null, bytes: null, fixed: null, signal, phase: () => {} }
  const code = (path: string, more: object = {}): Promise<string> =>
    prepareImage({ ...plan, path, ...more }).then(
      ({ form }) => form,
      (caught) => faultOf(caught).code,
    )
  expect(await code('/dev/null')).toBe('EB-IMAGE')
  expect(await code(join(room, 'none'))).toBe('EB-FILE')
  await writeFile(join(room, 'raw'), 'x')
  expect(await code(join(room, 'raw'), { filesystem: 'ext4' })).toBe('EB-USAGE')
  expect(await code(join(room, 'raw'), { bytes: 4096 })).toBe('EB-USAGE')
  expect(await code(room, { filesystem: 'squashfs', bytes: 4096 })).toBe('EB-USAGE')
})

test('compression on threads expands again, is the same each time, and says how long it will be', async () => {
  for (const raw of [
    Buffer.alloc(100_000, 'text '),
    new Uint8Array(1 << 20),
    image.subarray(90_000, 200_000),
  ]) {
    const all = await Promise.all(Array.from({ length: 8 }, () => compressOnThreads(raw, 5)))
    const [one] = all
    if (one === null || one === undefined) throw new Error('not compressed')
    expect(zstdDecompressSync(one).equals(raw)).toBe(true)
    for (const it of all) expect(it).toEqual(one)
    // Frame header descriptor (RFC 8878, section 3.1.1.1.1): a single segment with its content size.
    expect((one[4] ?? 0) & 0x20).toBe(0x20)
  }
  expect(await compressOnThreads(randomBytes(5000), 5)).toBeNull()
})
