/** Releases written and read back: every size, suite and kind of piece. */
import { createHash, hash, randomBytes } from 'node:crypto'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { faultOf } from '../../core/errors.ts'
import { releaseLimits } from '../../core/limits.ts'
import type { ByteSource } from '../../images/release/byte-source.ts'
import { memorySource } from '../../images/release/byte-source.ts'
import { entriesPerPage } from '../../images/release/index-page.ts'
import { compressPiece } from '../../images/release/piece.ts'
import {
  indexPages,
  type Release,
  releasePieces,
  verifyClosed,
  verifyContent,
} from '../../images/release/reader.ts'
import { derivedSecrets, derivedUuid, randomSecrets } from '../../images/release/secrets.ts'
import { verityBuilder } from '../../images/release/verity.ts'
import { measureImage, writeRelease } from '../../images/release/writer.ts'
import { verifyEd25519 } from '../../keys/verify-node.ts'
import {
  kindle,
  type MadeRelease,
  make,
  open,
  releaseSigner,
  rsaSigner,
  sealSigner,
  smallImage,
  standard,
  trust,
} from './releases.ts'

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'done'
  } catch (caught) {
    return faultOf(caught).code
  }
}

/** The image as its pieces give it, padding left off. */
async function unpack(made: MadeRelease): Promise<Uint8Array> {
  const release = await open(made.container)
  const blob = release.manifest.blobs[0]
  if (blob === undefined) throw new Error('no blob')
  const image = new Uint8Array(release.manifest.images[0]?.paddedBytes ?? 0).fill(0xee)
  for await (const piece of releasePieces(release, blob, made.keys.get(blob.id) ?? new Uint8Array())) {
    image.set(piece.raw ?? new Uint8Array(piece.bytes), piece.offset)
  }
  const bytes = release.manifest.images[0]?.bytes ?? 0
  expect(image.subarray(bytes).every((it) => it === 0)).toBe(true)
  return image.subarray(0, bytes)
}

test('an image comes back byte for byte, whatever its size, suite, piece size and level', {
  timeout: 60_000,
}, async () => {
  const sizes = fc.oneof(
    fc.integer({ min: 1, max: 60_000 }),
    fc.constantFrom(1, 4095, 4096, 4097, 8192, 40_960),
  )
  await fc.assert(
    fc.asyncProperty(
      sizes,
      fc.constantFrom('chacha20-poly1305' as const, 'aes-256-gcm' as const, 'aes-256-cbc' as const),
      fc.constantFrom(4096, 8192, 16_384, 1 << 20),
      fc.constantFrom(0, 1, 3),
      fc.array(fc.nat(15), { maxLength: 10 }),
      async (bytes, suite, pieceBytes, level, zeroBlocks) => {
        const image = randomBytes(bytes)
        for (const it of zeroBlocks) image.subarray(it * 4096, (it + 1) * 4096).fill(0)
        const profile = suite === 'aes-256-cbc' ? 'kindle' : 'standard'
        const made = await make({ ...standard, profile, suite, pieceBytes, level }, image)
        expect(Buffer.compare(await unpack(made), image)).toBe(0)
        const release = await open(made.container)
        await verifyClosed(release, trust.release, verifyEd25519)
        await verifyContent(release, made.keys, trust, verifyEd25519)
      },
    ),
    { numRuns: 60 },
  )
})

test('an index of several pages and a blob of several kinds of pieces hold together', {
  timeout: 60_000,
}, async () => {
  const pieces = entriesPerPage * 2 + 5
  const image = new Uint8Array(pieces * 4096)
  for (let at = 0; at < pieces; at += 7) image.set(randomBytes(100), at * 4096)
  image.set(randomBytes(4096), entriesPerPage * 4096)
  const made = await make(standard, image)
  expect(made.manifest.blobs[0]?.index.pages.length).toBe(3)
  expect(Buffer.compare(await unpack(made), image)).toBe(0)
  const release = await open(made.container)
  const [blob] = made.manifest.blobs
  const kinds = new Map<string, number>()
  for await (const page of indexPages(
    release,
    blob as NonNullable<typeof blob>,
    made.keys.get('rootfs') ?? new Uint8Array(),
  )) {
    for (const { kind } of page.entries) kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
  }
  expect(kinds.get('stored')).toBe(1)
  expect((kinds.get('zero') ?? 0) + (kinds.get('zstd') ?? 0) + 1).toBe(pieces)
})

test('pieces of zeros cost nothing in the blob', async () => {
  const made = await make(standard, new Uint8Array(1 << 20))
  expect(made.manifest.blobs[0]?.bytes).toBe(0)
  expect(Buffer.compare(await unpack(made), new Uint8Array(1 << 20))).toBe(0)
})

test('the verity root is that of the padded image', async () => {
  const { manifest, image } = await make(standard)
  const padded = new Uint8Array(manifest.images[0]?.paddedBytes ?? 0)
  padded.set(image)
  const builder = verityBuilder(padded.length)
  builder.update(padded)
  expect(manifest.images[0]?.verityRoot).toBe(builder.finish())
})

test('the same arguments give the same bytes; another seed, option or image gives other keys', async () => {
  const image = smallImage()
  for (const options of [standard, kindle]) {
    const one = await make(options, image)
    const two = await make(options, image)
    expect(Buffer.compare(one.container, two.container)).toBe(0)
  }
  const inputs = { options: standard, image: 'x' }
  const base = derivedSecrets('seed', inputs)
  const others = [
    derivedSecrets('seed 2', inputs),
    derivedSecrets('seed', { ...inputs, image: 'y' }),
    derivedSecrets('seed', { ...inputs, options: { ...standard, level: 4 } }),
  ]
  const all = [base, ...others].flatMap((it) =>
    [it.contentKey('a'), it.contentKey('b'), it.iv('a', 0), it.iv('a', 1), it.iv('b', 0), it.salt('a')].map(
      (bytes) => Buffer.from(bytes.subarray(0, 16)).toString('hex'),
    ),
  )
  expect(new Set(all).size).toBe(all.length)
  expect(base.contentKey('a').length).toBe(32)
  expect(base.salt('a').length).toBe(222)
  expect(base.idSuffix).toMatch(/^[0-9a-f]{12}$/)
  expect(derivedUuid('s', 'p')).toMatch(
    /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  )
})

test('random releases never share a key or an id', async () => {
  const image = smallImage()
  const secrets = () => randomSecrets({ bytes: (count) => randomBytes(count) })
  const [one, two] = [await make(standard, image, secrets()), await make(standard, image, secrets())]
  expect(one.manifest.id).not.toBe(two.manifest.id)
  expect(one.keys.get('rootfs')).not.toEqual(two.keys.get('rootfs'))
  expect(
    Buffer.compare(
      one.files.get('rootfs.blob') ?? new Uint8Array(),
      two.files.get('rootfs.blob') ?? new Uint8Array(),
    ),
  ).not.toBe(0)
})

test('in the kindle profile every piece has another IV, in front', async () => {
  const made = await make(kindle, randomBytes(8192 * 10))
  const blob = made.files.get('rootfs.blob') ?? new Uint8Array()
  const sealed = 16 + 8192 + 16
  expect(blob.length).toBe(10 * sealed)
  const ivs = Array.from({ length: 10 }, (_, at) =>
    Buffer.from(blob.subarray(at * sealed, at * sealed + 16)).toString('hex'),
  )
  expect(new Set(ivs).size).toBe(10)
})

const ports = (files: Map<string, number> = new Map()): Parameters<typeof writeRelease>[2] => ({
  secrets: derivedSecrets('s', {}),
  compress: async (raw, level) => compressPiece(raw, level),
  files: {
    async create(name) {
      files.set(name, 0)
      return {
        write: async (bytes) => void files.set(name, (files.get(name) ?? 0) + bytes.length),
        finish: async () => {},
      }
    },
  },
  releaseSigner,
  sealSigner,
  rsaSigner,
  progress: () => {},
})

test('impossible inputs are refused with a code', async () => {
  const source = (bytes: number): ByteSource => ({ name: 'x', bytes, read: async () => 0 })
  const write = (options: object, bytes: number): Promise<string> =>
    codeOf(writeRelease({ ...standard, ...options }, [{ name: 'rootfs', source: source(bytes) }], ports()))
  expect(await write({}, 0)).toBe('EB-IMAGE')
  expect(await write({}, releaseLimits.imageBytesMax + 1)).toBe('EB-IMAGE')
  expect(await write({}, 5000)).toBe('EB-IMAGE')
  expect(await write({ product: 'x'.repeat(31), version: 'y'.repeat(31) }, 5000)).toBe('EB-USAGE')
  expect(await write({ version: 'a/b' }, 5000)).toBe('EB-USAGE')
  expect(await codeOf(measureImage({ name: 'rootfs', source: source(0) }))).toBe('EB-IMAGE')
})

test('an image that changed since its keys were derived is not signed', async () => {
  const image = randomBytes(50_000)
  const { verityRoot } = await measureImage({ name: 'rootfs', source: memorySource(image, 'image') })
  const write = async (): Promise<Map<string, number>> => {
    const files = new Map<string, number>()
    await writeRelease(
      standard,
      [{ name: 'rootfs', source: memorySource(image, 'image'), verityRoot }],
      ports(files),
    )
    return files
  }
  expect((await write()).has('manifest.json')).toBe(true)
  image[40_000] = (image[40_000] ?? 0) ^ 1
  expect(await codeOf(write())).toBe('EB-IMAGE')
})

test('a failing compressor fails the build and leaves no unhandled rejection', async () => {
  const failing = { ...ports(), compress: () => Promise.reject(new Error('out of memory')) }
  const image = memorySource(randomBytes(100_000), 'image')
  await expect(writeRelease(standard, [{ name: 'rootfs', source: image }], failing)).rejects.toThrow(
    'out of memory',
  )
})

test('a source that reads in crumbs gives the same release', async () => {
  const image = smallImage()
  const whole = await make(standard, image)
  const crumbs: ByteSource = {
    name: 'crumbs',
    bytes: image.length,
    async read(offset, into) {
      const part = image.subarray(offset, offset + Math.min(into.length, 1 + (offset % 977)))
      into.set(part)
      return part.length
    },
  }
  const files = new Map<string, Uint8Array>()
  await writeRelease(standard, [{ name: 'rootfs', source: crumbs }], {
    ...ports(),
    secrets: derivedSecrets('seed', { options: standard, image: hash('sha256', image) }),
    files: {
      async create(name) {
        const parts: Uint8Array[] = []
        return {
          write: async (bytes) => void parts.push(bytes.slice()),
          finish: async () => void files.set(name, Buffer.concat(parts)),
        }
      },
    },
  })
  for (const [name, bytes] of whole.files)
    expect(Buffer.compare(files.get(name) ?? new Uint8Array(), bytes), name).toBe(0)
})

/** A release with one file replaced below the header: what a lying server or a rotten disk gives. */
function replaced(release: Release, what: 'index' | 'blob', bytes: Uint8Array): Release {
  return { ...release, [what]: () => memorySource(bytes, what) }
}

test('index and blob of another length or content are refused piece by piece', async () => {
  const made = await make(standard)
  const release = await open(made.container)
  const [index, blob] = ['rootfs.index', 'rootfs.blob'].map((it) => made.files.get(it) ?? new Uint8Array())
  const read = (it: Release): Promise<string> => codeOf(verifyContent(it, made.keys, trust, verifyEd25519))
  if (index === undefined || blob === undefined) throw new Error('no files')
  expect(await read(replaced(release, 'index', index.subarray(1)))).toBe('EB-INDEX')
  expect(await read(replaced(release, 'index', Buffer.concat([index, Buffer.alloc(1)])))).toBe('EB-INDEX')
  expect(await read(replaced(release, 'blob', blob.subarray(1)))).toBe('EB-BLOB')
  expect(await read(replaced(release, 'blob', Buffer.concat([blob, Buffer.alloc(1)])))).toBe('EB-BLOB')
  for (let at = 0; at < blob.length; at += 61) {
    const changed = Uint8Array.from(blob)
    changed[at] = (changed[at] ?? 0) ^ 0x10
    expect(await read(replaced(release, 'blob', changed)), `byte ${at}`).toBe('EB-PIECE')
  }
  const swapped = Buffer.concat([blob.subarray(blob.length / 2), blob.subarray(0, blob.length / 2)])
  expect(await read(replaced(release, 'blob', swapped))).toBe('EB-PIECE')
})

test('sizes around 2^31 and 2^32 keep every byte: the last one flipped is seen', {
  timeout: 120_000,
}, async () => {
  for (const bytes of [2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 32 + 1]) {
    const read = (last: number): ByteSource => ({
      name: `image of ${bytes}`,
      bytes,
      async read(offset, into) {
        const count = Math.min(into.length, bytes - offset)
        into.fill(0, 0, count)
        if (offset + count === bytes && count > 0) into[count - 1] = last
        return count
      },
    })
    const roots = [1, 2].map(async (last) => {
      const options = { ...standard, pieceBytes: 1 << 20 }
      const { manifest } = await writeRelease(options, [{ name: 'rootfs', source: read(last) }], ports())
      const [image] = manifest.images
      expect(image?.bytes).toBe(bytes)
      expect((image?.paddedBytes ?? 0) - bytes).toBeLessThan(4096)
      return image?.verityRoot
    })
    const [one, two] = await Promise.all(roots)
    expect(one).not.toBe(two)
  }
})

test('the RSA signature is over the clear image without its padding', async () => {
  const image = smallImage(10_001)
  const made = await make(kindle, image)
  expect(made.manifest.images[0]?.rsa?.sha256).toBe(createHash('sha256').update(image).digest('hex'))
  const release = await open(made.container)
  const without = { ...trust, rsa: new Map<string, string>() }
  expect(await codeOf(verifyContent(release, made.keys, without, verifyEd25519))).toBe('EB-UNKNOWN-KEY')
})
