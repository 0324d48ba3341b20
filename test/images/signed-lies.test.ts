/** Releases that a trusted key signed although they contradict themselves: a broken builder must be found out. */
import { hash, randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { present } from '../../core/assert.ts'
import { faultOf } from '../../core/errors.ts'
import type { Digest } from '../../core/units.ts'
import {
  entriesPerPage,
  type IndexEntry,
  openPage,
  pageRange,
  sealPage,
} from '../../images/release/index-page.ts'
import type { Blob, Image, Manifest } from '../../images/release/manifest.ts'
import { pageContext, sealOf } from '../../images/release/piece-task.ts'
import { verifyClosed, verifyContent } from '../../images/release/reader.ts'
import { encodeSeal } from '../../images/release/seal.ts'
import { signEnvelope } from '../../keys/envelope.ts'
import { verifyEd25519 } from '../../keys/verify-node.ts'
import {
  flipped,
  kindle,
  type MadeRelease,
  make,
  open,
  pack,
  releaseSigner,
  rsaSigner,
  sealSigner,
  standard,
  trust,
} from './releases.ts'

interface Lie {
  readonly image?: Partial<Image>
  readonly blob?: Partial<Blob>
  readonly files?: ReadonlyMap<string, Uint8Array>
}

/** The release with the lie told in manifest and seal alike, all of it signed. */
async function told(made: MadeRelease, lie: Lie): Promise<Uint8Array> {
  const images = made.manifest.images.map((it) => ({ ...it, ...lie.image }))
  const blobs = made.manifest.blobs.map((it) => ({ ...it, ...lie.blob }))
  const seal = encodeSeal({ ...made.manifest, releaseId: made.manifest.id, images }, sealSigner)
  const manifest: Manifest = { ...made.manifest, images, blobs, seal: Buffer.from(seal).toString('base64') }
  const files = new Map([...made.files, ...(lie.files ?? [])])
  return pack(files.set('manifest.json', signEnvelope(manifest, [releaseSigner])), null)
}

async function check(made: MadeRelease, lie: Lie): Promise<{ closed: string; open: string }> {
  const release = await open(await told(made, lie))
  expect(sealOf(release.manifest, trust.seal, verifyEd25519).ok).toBe(true)
  const codeOf = (work: Promise<void>): Promise<string> =>
    work.then(
      () => 'taken',
      (caught) => faultOf(caught).code,
    )
  return {
    closed: await codeOf(verifyClosed(release, trust.release, verifyEd25519)),
    open: await codeOf(verifyContent(release, made.keys, trust, verifyEd25519)),
  }
}

const digest = (bytes: Uint8Array): Digest => hash('sha256', bytes) as Digest
const other = digest(Buffer.from('other'))

test('the truth, told the same way, is taken', async () => {
  expect(await check(await make(standard), {})).toEqual({ closed: 'taken', open: 'taken' })
  expect(await check(await make(kindle), {})).toEqual({ closed: 'taken', open: 'taken' })
})

test('another hash of index, page or blob is refused without keys already', async () => {
  const made = await make(standard)
  const { index } = present(made.manifest.blobs[0], 'blob')
  expect((await check(made, { blob: { index: { ...index, sha256: other } } })).closed).toBe('EB-INDEX')
  expect(await check(made, { blob: { index: { ...index, pages: [other] } } })).toEqual({
    closed: 'EB-INDEX',
    open: 'EB-INDEX',
  })
  expect(await check(made, { blob: { sha256: other } })).toEqual({ closed: 'EB-BLOB', open: 'EB-BLOB' })
})

test('another verity root is refused with keys', async () => {
  const made = await make(standard)
  expect(await check(made, { image: { verityRoot: other } })).toEqual({ closed: 'taken', open: 'EB-IMAGE' })
})

test('another SHA-256, signature or key of the clear image is refused with keys', async () => {
  const made = await make(kindle)
  const rsa = present(made.manifest.images[0]?.rsa, 'RSA signature')
  const lie = async (change: Partial<typeof rsa>): Promise<string> =>
    (await check(made, { image: { rsa: { ...rsa, ...change } } })).open
  expect(await lie({ sha256: other })).toBe('EB-IMAGE')
  const sig = Buffer.from(flipped(Buffer.from(rsa.sig, 'base64'), 77)).toString('base64')
  expect(await lie({ sig })).toBe('EB-SIGNATURE')
  const another = rsaSigner.sign(hash('sha256', 'another image', 'buffer'), randomBytes(222))
  expect(await lie({ sig: Buffer.from(another).toString('base64') })).toBe('EB-SIGNATURE')
  expect(await lie({ keyid: 'unknown' })).toBe('EB-UNKNOWN-KEY')
})

/** The index with its entries changed, sealed and pinned anew. */
function withEntries(made: MadeRelease, change: (entries: IndexEntry[][]) => void): Lie {
  const blob = present(made.manifest.blobs[0], 'blob')
  const file = present(made.files.get('rootfs.index'), 'index')
  const context = pageContext(made.manifest, blob, present(made.keys.get('rootfs'), 'key'))
  const pages = blob.index.pages.map((pinned, page) => {
    const { offset, bytes } = pageRange(blob.pieces, page)
    const opened = openPage(file.subarray(offset, offset + bytes), page, pinned, context)
    if (!opened.ok) throw new Error(opened.error.what)
    return [...opened.value.entries]
  })
  change(pages)
  const sealed = pages.map((entries, page) => sealPage(page, entries, context))
  const index = Buffer.concat(sealed)
  const entry = { bytes: index.length, sha256: digest(index), pages: sealed.map(digest) }
  return { blob: { index: entry }, files: new Map([['rootfs.index', index]]) }
}

test('a zero piece with the hash of another is refused', async () => {
  const made = await make(standard)
  const lie = withEntries(made, ([entries]) => {
    const at = entries?.findIndex((it) => it.kind === 'zero') ?? -1
    expect(at).toBeGreaterThanOrEqual(0)
    const zero = present(entries?.[at], 'zero piece')
    entries?.splice(at, 1, { ...zero, rawSha256: hash('sha256', 'x', 'buffer') })
  })
  expect(await check(made, lie)).toEqual({ closed: 'taken', open: 'EB-INDEX' })
})

test('a data piece declared to be zeros is refused', async () => {
  const made = await make(standard)
  const lie = withEntries(made, ([entries]) => {
    const last = present(entries?.pop(), 'entry')
    entries?.push({ ...last, kind: 'zero', sealedBytes: 0 })
  })
  expect((await check(made, lie)).open).toBe('EB-INDEX')
})

test('pages that leave a gap between them, or do not reach the end of the blob, are refused', async () => {
  const image = randomBytes((entriesPerPage + 3) * 4096)
  const made = await make({ ...standard, level: 0 }, image)
  const shift = (from: number, by: number): Lie =>
    withEntries(made, (pages) => {
      for (const entries of pages.slice(from)) {
        entries.splice(0, entries.length, ...entries.map((it) => ({ ...it, offset: it.offset - by })))
      }
    })
  expect((await check(made, shift(0, 0))).open).toBe('taken')
  expect((await check(made, shift(1, 4112))).open).toBe('EB-INDEX')
  const short = withEntries(made, (pages) => {
    const last = present(pages.at(-1), 'page')
    const entry = present(last.pop(), 'entry')
    last.push({
      ...entry,
      kind: 'zero',
      sealedBytes: 0,
      rawSha256: hash('sha256', Buffer.alloc(4096), 'buffer'),
    })
  })
  expect((await check(made, short)).open).toBe('EB-INDEX')
})

test('entries exchanged with their pieces are refused by the place the piece is sealed for', async () => {
  const made = await make({ ...standard, level: 0 }, randomBytes(4096 * 4))
  const lie = withEntries(made, ([entries]) => {
    const [one, two] = [present(entries?.[0], 'entry'), present(entries?.[1], 'entry')]
    const swap = (to: IndexEntry, from: IndexEntry): IndexEntry => ({ ...from, offset: to.offset })
    entries?.splice(0, 2, swap(one, two), swap(two, one))
  })
  const blob = Buffer.from(present(made.files.get('rootfs.blob'), 'blob'))
  const sealed = 4096 + 16
  const exchanged = Buffer.concat([
    blob.subarray(sealed, 2 * sealed),
    blob.subarray(0, sealed),
    blob.subarray(2 * sealed),
  ])
  const files = new Map([...(lie.files ?? []), ['rootfs.blob', exchanged]])
  const both = { files, blob: { ...lie.blob, sha256: digest(exchanged) } }
  expect(await check(made, both)).toEqual({ closed: 'taken', open: 'EB-PIECE' })
})
