/** The `.ebr` container and `image verify`'s checks: every byte is covered, every class of damage refused. */
import { expect, test } from 'vitest'
import { faultOf } from '../../core/errors.ts'
import { memorySource } from '../../images/release/byte-source.ts'
import { readManifestBytes } from '../../images/release/container.ts'
import { sealOf } from '../../images/release/piece-task.ts'
import { verifyClosed, verifyContent } from '../../images/release/reader.ts'
import { encodeWraps } from '../../images/release/wraps.ts'
import { signEnvelope } from '../../keys/envelope.ts'
import { verifyEd25519 } from '../../keys/verify-node.ts'
import { testSigner } from '../keys/signers.ts'
import {
  flipped,
  kindle,
  type MadeRelease,
  make,
  open,
  pack,
  releaseSigner,
  smallImage,
  standard,
  trust,
  wrappingKeys,
} from './releases.ts'

/** What `image verify` does without keys, and with them. */
async function check(container: Uint8Array, keys: MadeRelease['keys'] | null = null): Promise<string> {
  try {
    const release = await open(container)
    const seal = sealOf(release.manifest, trust.seal, verifyEd25519)
    if (!seal.ok) return seal.error.code
    await verifyClosed(release, trust.release, verifyEd25519)
    if (keys !== null) await verifyContent(release, keys, trust, verifyEd25519)
    return 'taken'
  } catch (caught) {
    const { code, what } = faultOf(caught)
    if (code === 'EB-INTERNAL') throw new Error(what, { cause: caught })
    return code
  }
}

const headerBytes = 16 + 4 * 16

test('a good container passes, with and without keys, in every profile and suite', async () => {
  for (const options of [standard, { ...standard, suite: 'aes-256-gcm' } as const, kindle]) {
    const made = await make(options)
    expect(await check(made.container)).toBe('taken')
    expect(await check(made.container, made.keys)).toBe('taken')
    expect(await check(await pack(made.files, null), made.keys)).toBe('taken')
  }
})

test('a flip of any byte of a small release is refused, without keys already', {
  timeout: 120_000,
}, async () => {
  const { container } = await make(standard, smallImage(4096 * 2 + 700))
  for (let at = 0; at < container.length; at += 1) {
    const changed = Uint8Array.from(container)
    changed[at] = (changed[at] ?? 0) ^ 0xff
    expect(await check(changed), `byte ${at} of ${container.length}`).not.toBe('taken')
  }
})

test('each damaged part is refused by its own code', async () => {
  const made = await make(standard)
  const sizes = ['manifest.json', 'rootfs.index', 'rootfs.blob'].map((it) => made.files.get(it)?.length ?? 0)
  const [manifest = 0, index = 0, blob = 0] = sizes
  const damage = (at: number): Promise<string> => check(flipped(made.container, at * 8))
  expect(await damage(0)).toBe('EB-CONTAINER')
  expect(await damage(8)).toBe('EB-UNSUPPORTED')
  for (let at = 12; at < headerBytes; at += 1) expect(await damage(at), `byte ${at}`).toBe('EB-CONTAINER')
  expect(await damage(headerBytes + manifest - 20)).toMatch(/EB-(SIGNATURE|ENVELOPE)/)
  expect(await damage(headerBytes + manifest + 5)).toBe('EB-INDEX')
  expect(await damage(headerBytes + manifest + index + 5)).toBe('EB-BLOB')
  expect(await damage(headerBytes + manifest + index + blob + 40)).toMatch(
    /EB-(SIGNATURE|ENVELOPE|UNKNOWN-KEY)/,
  )
})

test('every truncation is refused as a container', async () => {
  const { container } = await make(standard)
  for (let length = 0; length < container.length; length += 1) {
    expect(await check(container.subarray(0, length)), `${length} bytes`).toBe('EB-CONTAINER')
  }
})

test('an extended file is refused: a byte, zeros, the file twice', async () => {
  const { container } = await make(standard)
  for (const more of [Uint8Array.of(0), Uint8Array.of(0x7d), new Uint8Array(4096), container]) {
    expect(await check(Buffer.concat([container, more]))).toBe('EB-CONTAINER')
    expect(await check(Buffer.concat([more, container]))).toBe('EB-CONTAINER')
  }
})

/** The file taken apart and put together in another way, header made anew for the lengths. */
async function rebuilt(
  made: MadeRelease,
  change: (files: Map<string, Uint8Array>) => void,
): Promise<Uint8Array> {
  const files = new Map(made.files)
  change(files)
  return pack(files, encodeWraps(made.manifest.id, made.keys, wrappingKeys, releaseSigner))
}

test('parts of other lengths than the manifest says are refused, however well the header fits them', async () => {
  const made = await make(standard)
  const file = (name: string): Uint8Array => made.files.get(name) ?? new Uint8Array(0)
  for (const name of ['rootfs.index', 'rootfs.blob']) {
    const shorter = await rebuilt(made, (files) => files.set(name, file(name).subarray(1)))
    const longer = await rebuilt(made, (files) =>
      files.set(name, Buffer.concat([file(name), Buffer.alloc(1)])),
    )
    expect(await check(shorter)).toBe('EB-CONTAINER')
    expect(await check(longer)).toBe('EB-CONTAINER')
  }
})

test('parts of two releases, and parts swapped, do not make a third', async () => {
  const one = await make(standard)
  const two = await make({ ...standard, version: '1.2.4' }, one.image)
  for (const name of ['manifest.json', 'rootfs.index', 'rootfs.blob']) {
    const mixed = await rebuilt(one, (files) => files.set(name, two.files.get(name) ?? new Uint8Array(0)))
    expect(await check(mixed), name).not.toBe('taken')
  }
  const swapped = await rebuilt(one, (files) => {
    const [index, blob] = ['rootfs.index', 'rootfs.blob'].map((it) => files.get(it) ?? new Uint8Array(0))
    files.set('rootfs.index', blob ?? new Uint8Array(0)).set('rootfs.blob', index ?? new Uint8Array(0))
  })
  expect(await check(swapped)).toBe('EB-CONTAINER')
})

test('kinds out of order, too few or too many parts and impossible lengths are refused', async () => {
  const { container } = await make(standard)
  const change = (act: (view: DataView) => void): Promise<string> => {
    const bytes = Uint8Array.from(container)
    act(new DataView(bytes.buffer))
    return check(bytes)
  }
  expect(await change((it) => it.setUint32(16, 2, true))).toBe('EB-CONTAINER')
  for (const parts of [0, 1, 2, 3, 5, 35, 0xffff_ffff]) {
    expect(await change((it) => it.setUint32(12, parts, true)), `${parts} parts`).toBe('EB-CONTAINER')
  }
  for (const bytes of [0n, 1n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) {
    for (const part of [0, 1, 2, 3]) {
      expect(await change((it) => it.setBigUint64(24 + 16 * part, bytes, true))).toBe('EB-CONTAINER')
    }
  }
})

test('a manifest above its limit is refused before it is read', async () => {
  const made = await make(standard)
  const files = new Map(made.files).set('manifest.json', Buffer.alloc(2 << 20, 0x20))
  expect(await check(await pack(files, null))).toBe('EB-ENDLESS')
  await expect(readManifestBytes(memorySource(await pack(files, null), 'it'))).rejects.toThrow('EB-ENDLESS')
})

test('a container signed by a stranger is refused, and so are its wraps', async () => {
  const made = await make(standard)
  const stranger = testSigner('stranger')
  const manifest = signEnvelope(made.manifest, [stranger])
  const files = new Map(made.files).set('manifest.json', manifest)
  expect(await check(await pack(files, null))).toBe('EB-UNKNOWN-KEY')
  const wraps = encodeWraps(made.manifest.id, made.keys, wrappingKeys, stranger)
  expect(await check(await pack(made.files, wraps))).toBe('EB-UNKNOWN-KEY')
})

test('with keys, pieces under a wrong content key are refused', async () => {
  const made = await make(standard)
  const wrong = new Map([...made.keys].map(([id, key]) => [id, flipped(key, 0)]))
  expect(await check(made.container, wrong)).toBe('EB-INDEX')
  expect(await check(made.container, new Map())).toBe('EB-WRONG-DEVICE')
})
