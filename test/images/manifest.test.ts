/** Manifests: what is signed is still checked for form and agreement; nothing unknown passes. */
import { expect, test } from 'vitest'
import { type Manifest, openManifest, pieceRange, readManifest } from '../../images/release/manifest.ts'
import { imageOf, sealOf } from '../../images/release/piece-task.ts'
import { encodeSeal } from '../../images/release/seal.ts'
import { signEnvelope } from '../../keys/envelope.ts'
import { verifyEd25519 } from '../../keys/verify-node.ts'
import { testSigner } from '../keys/signers.ts'
import { kindle, make, releaseSigner, sealSigner, standard, trust } from './releases.ts'

const { manifest: good } = await make(standard)
const { manifest: goodKindle } = await make(kindle)
const [image, blob] = [good.images[0], good.blobs[0]] as [Manifest['images'][0], Manifest['blobs'][0]]
const [kindleImage, kindleBlob] = [goodKindle.images[0], goodKindle.blobs[0]] as [typeof image, typeof blob]

function codeOf(document: unknown): string {
  const result = openManifest(signEnvelope(document, [releaseSigner]), trust.release, verifyEd25519)
  return result.ok ? 'taken' : result.error.code
}

test('good manifests of both profiles are taken', () => {
  expect(codeOf(good)).toBe('taken')
  expect(codeOf(goodKindle)).toBe('taken')
})

test('another format is told apart from a malformed one', () => {
  expect(codeOf({ ...good, format: 2 })).toBe('EB-UNSUPPORTED')
  expect(codeOf({ ...good, _type: 'targets' })).toBe('EB-UNSUPPORTED')
  expect(codeOf({ ...good, format: '1' })).toBe('EB-UNSUPPORTED')
  expect(codeOf({})).toBe('EB-UNSUPPORTED')
})

const withImage = (change: object): unknown => ({ ...good, images: [{ ...image, ...change }] })
const withBlob = (change: object): unknown => ({ ...good, blobs: [{ ...blob, ...change }] })
const withIndex = (change: object): unknown => withBlob({ index: { ...blob.index, ...change } })

test.each<[string, unknown]>([
  ['a field more', { ...good, hooks: [] }],
  ['a field less', { ...good, hardware: undefined }],
  ['an id that is a path', { ...good, id: '../x' }],
  ['an id of 65 characters', { ...good, id: 'x'.repeat(65) }],
  ['an id of ..', { ...good, id: '..' }],
  ['an empty product', { ...good, product: '' }],
  ['a product of 32 characters', { ...good, product: 'x'.repeat(32) }],
  ['a version with a space', { ...good, version: '1 2' }],
  ['a version that is a number', { ...good, version: 1 }],
  ['security version 0', { ...good, securityVersion: 0 }],
  ['a security version of 2^32', { ...good, securityVersion: 2 ** 32 }],
  ['a negative security version', { ...good, securityVersion: -1 }],
  ['a security version that is text', { ...good, securityVersion: '7' }],
  ['a floor of -1', { ...good, floorAfterCommit: -1 }],
  ['a floor of 2^32', { ...good, floorAfterCommit: 2 ** 32 }],
  ['no floor field', { ...good, floorAfterCommit: undefined }],
  ['no hardware', { ...good, hardware: [] }],
  ['33 hardware ids', { ...good, hardware: Array.from({ length: 33 }, (_, at) => `h${at}`) }],
  ['hardware that is text', { ...good, hardware: 'sim' }],
  ['an unknown profile', { ...good, profile: 'none' }],
  ['no images', { ...good, images: [] }],
  ['nine images', { ...good, images: Array.from({ length: 9 }, () => image) }],
  ['two images of one name', { ...good, images: [image, image] }],
  ['an image without a blob', { ...good, images: [image, { ...image, name: 'boot' }] }],
  ['no blobs', { ...good, blobs: [] }],
  ['two blobs of one id', { ...good, blobs: [blob, blob] }],
  ['two full blobs of one image', { ...good, blobs: [blob, { ...blob, id: 'again' }] }],
  ['a blob for no image', withBlob({ image: 'other' })],
  ['an image name with a slash', withImage({ name: 'a/b' })],
  ['an image of 0 bytes', withImage({ bytes: 0, paddedBytes: 0 })],
  ['an image above the limit', withImage({ bytes: 2 ** 41, paddedBytes: 2 ** 41 })],
  ['a size of 2^53', withImage({ bytes: 2 ** 53, paddedBytes: 2 ** 53 })],
  ['a padded size that is not the size padded', withImage({ paddedBytes: image.paddedBytes + 4096 })],
  ['a root in capitals', withImage({ verityRoot: image.verityRoot.toUpperCase() })],
  ['an empty root', withImage({ verityRoot: '' })],
  ['a root that is null', withImage({ verityRoot: null })],
  ['an RSA signature in the standard profile', withImage({ rsa: kindleImage.rsa })],
  ['an unknown suite', withBlob({ suite: 'none' })],
  ['CBC in the standard profile', withBlob({ suite: 'aes-256-cbc' })],
  ['pieces of 0 bytes', withBlob({ pieceBytes: 0 })],
  ['pieces of 100 bytes', withBlob({ pieceBytes: 100 })],
  ['pieces above the limit', withBlob({ pieceBytes: 2 << 20 })],
  ['a piece too few', withBlob({ pieces: blob.pieces - 1 })],
  ['a piece too many', withBlob({ pieces: blob.pieces + 1 })],
  ['2^53 pieces', withBlob({ pieces: 2 ** 53 })],
  ['an impossible blob length', withBlob({ bytes: 2 ** 40 })],
  ['a blob without hash', withBlob({ sha256: undefined })],
  ['a blob with an empty hash', withBlob({ sha256: '' })],
  ['a delta', withBlob({ kind: 'delta' })],
  ['an index of another length', withIndex({ bytes: blob.index.bytes + 1 })],
  ['a page too many', withIndex({ pages: [...blob.index.pages, ...blob.index.pages] })],
  ['no pages', withIndex({ pages: [] })],
  ['a page hash that is no hash', withIndex({ pages: ['x'] })],
  ['a seal that is not base64', { ...good, seal: '!' }],
  ['a seal above the limit', { ...good, seal: 'A'.repeat(8196) }],
  ['a kindle image without RSA', { ...goodKindle, images: [{ ...kindleImage, rsa: undefined }] }],
  ['a kindle blob with an AEAD', { ...goodKindle, blobs: [{ ...kindleBlob, suite: 'aes-256-gcm' }] }],
])('a signed manifest with %s is refused', (_, document) => {
  expect(codeOf(JSON.parse(JSON.stringify(document)))).toBe('EB-MANIFEST')
})

test('every field of every kind of wrong type is refused, and never throws', () => {
  const wrong = [null, true, 0, -1, 1.5, '', 'x', [], {}, [null], { length: 1 }]
  const visit = (value: unknown, path: readonly (string | number)[]): void => {
    for (const it of wrong) {
      const changed = JSON.parse(JSON.stringify(good)) as Record<string, unknown>
      let holder: Record<string | number, unknown> = changed
      for (const step of path.slice(0, -1)) holder = holder[step] as Record<string | number, unknown>
      holder[path.at(-1) ?? ''] = it
      const result = readManifest(changed)
      if (!result.ok) continue
      // Only the same kind of thing may stand there.
      expect(Array.isArray(value), path.join('.')).toBe(Array.isArray(it))
      expect(path.join('.')).toMatch(
        /^(floorAfterCommit|securityVersion|product|version|id|seal|hardware\.\d|blobs\.0\.(id|bytes))$/,
      )
    }
    if (typeof value === 'object' && value !== null) {
      for (const [key, child] of Object.entries(value)) visit(child, [...path, key])
    }
  }
  for (const [key, child] of Object.entries(good)) visit(child, [key])
})

test('a seal that says other things than the manifest is refused', () => {
  const sealed = (change: object): Manifest => {
    const bytes = encodeSeal({ ...good, releaseId: good.id, ...change }, sealSigner)
    return { ...good, seal: Buffer.from(bytes).toString('base64') }
  }
  const check = (it: Manifest): string => {
    const result = sealOf(it, trust.seal, verifyEd25519)
    return result.ok ? 'taken' : result.error.code
  }
  expect(check(good)).toBe('taken')
  expect(check(sealed({}))).toBe('taken')
  for (const change of [
    { releaseId: 'demo-1-0' },
    { product: 'other' },
    { version: '9' },
    { securityVersion: 8 },
    { floorAfterCommit: 1 },
    { images: [{ ...image, name: 'boot' }] },
    { images: [{ ...image, bytes: image.bytes + 1 }] },
    { images: [{ ...image, paddedBytes: image.paddedBytes + 4096 }] },
    { images: [{ ...image, verityRoot: '00'.repeat(32) }] },
    { images: [image, { ...image, name: 'boot' }] },
  ]) {
    expect(check(sealed(change)), JSON.stringify(change)).toBe('EB-SEAL')
  }
  const longer = Buffer.concat([Buffer.from(good.seal, 'base64'), Buffer.alloc(3)]).toString('base64')
  expect(check({ ...good, seal: longer })).toBe('EB-SEAL')
  const stranger = encodeSeal({ ...good, releaseId: good.id }, testSigner('stranger'))
  expect(check({ ...good, seal: Buffer.from(stranger).toString('base64') })).toBe('EB-SEAL')
})

test('pieces cover the image and nothing more, also past 2^32', () => {
  for (const paddedBytes of [4096, 2 ** 31, 2 ** 32 - 4096, 2 ** 32, 2 ** 32 + 4096, 2 ** 40]) {
    const pieceBytes = 1 << 20
    const last = Math.ceil(paddedBytes / pieceBytes) - 1
    const place = pieceRange({ pieceBytes }, paddedBytes, last)
    expect(place.offset + place.bytes).toBe(paddedBytes)
    expect(place.bytes).toBeGreaterThan(0)
  }
  expect(imageOf(good, blob).name).toBe('rootfs')
})
