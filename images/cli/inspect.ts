/**
 * `everboot image inspect`: what a release file says, or how two differ.
 * Promise: says whether the signature was checked; without a trust file it was not.
 * Leaves to others: checking the content (verify.ts).
 */
import { type Command, type CommandInput, flagOption, textOption } from '../../core/command.ts'
import { orThrow, raise } from '../../core/errors.ts'
import { releaseLimits } from '../../core/limits.ts'
import { bytesText, hex } from '../../core/units.ts'
import { type KeyDirectory, readTrust } from '../../keys/adapters/key-directory.ts'
import { parseCanonical } from '../../keys/canonical.ts'
import type { Trust } from '../../keys/trust.ts'
import { openFileSource } from '../release/adapters/file-bytes.ts'
import { readManifestBytes } from '../release/container.ts'
import type { IndexEntry } from '../release/index-page.ts'
import { type Blob, type Manifest, pieceRange, readManifest } from '../release/manifest.ts'
import { imageOf } from '../release/piece-task.ts'
import { indexPages } from '../release/reader.ts'
import { contentKeys, keysOption, openReleaseFile } from './open.ts'

export const inspect: Command = {
  name: 'image inspect',
  summary: 'Show a release file, or the difference of two',
  positionals: 'FILE.ebr [OTHER.ebr]',
  positionalsMin: 1,
  positionalsMax: 2,
  options: {
    trust: { type: 'string', value: 'trust.json', means: 'check the signature by these keys' },
    keys: { type: 'string', value: 'DIR', means: 'key directory: its trust.json, and the index' },
    device: { type: 'string', value: 'ID', means: 'whose content key to use; default: the first one' },
    pieces: { type: 'boolean', means: 'list every piece (needs --keys)' },
  },
  notes: 'It shows what the file says; `everboot image verify` checks whether all of it is true.',
  async run(input) {
    const [first = '', second] = input.positionals
    const keys = keysOption(input)
    if (flagOption(input, 'pieces') && keys === null) raise('EB-USAGE', '--pieces needs --keys')
    if (second !== undefined && flagOption(input, 'pieces')) raise('EB-USAGE', '--pieces takes one release')
    const trustPath = textOption(input, 'trust')
    const trust = trustPath === undefined ? ((await keys?.trust()) ?? null) : await readTrust(trustPath)
    const one = await look(input, first, trust, keys)
    if (second === undefined) printOne(input, one)
    else printDifference(input, one, await look(input, second, trust, keys))
    return 0
  },
}

interface Piece extends IndexEntry {
  readonly number: number
}

interface Look {
  readonly path: string
  readonly fileBytes: number
  readonly manifest: Manifest
  readonly checked: boolean
  /** By blob id; null without keys. */
  readonly pieces: ReadonlyMap<string, readonly Piece[]> | null
}

async function look(
  input: CommandInput,
  path: string,
  trust: Trust | null,
  keys: KeyDirectory | null,
): Promise<Look> {
  if (trust === null) {
    const file = await openFileSource(path)
    try {
      const manifest = uncheckedManifest(await readManifestBytes(file), path)
      return { path, fileBytes: file.bytes, manifest, checked: false, pieces: null }
    } finally {
      await file.close()
    }
  }
  const opened = await openReleaseFile(path, trust)
  try {
    const { release } = opened
    const seen = { path, fileBytes: opened.bytes, manifest: release.manifest, checked: true }
    if (keys === null) return { ...seen, pieces: null }
    const found = await contentKeys(release, trust, keys, textOption(input, 'device') ?? null)
    const pieces = new Map<string, readonly Piece[]>()
    for (const blob of release.manifest.blobs) {
      const list: Piece[] = []
      for await (const page of indexPages(release, blob, found.get(blob.id) ?? new Uint8Array(0))) {
        for (const [at, entry] of page.entries.entries())
          list.push({ ...entry, number: page.firstPiece + at })
      }
      pieces.set(blob.id, list)
    }
    return { ...seen, pieces }
  } finally {
    await opened.close()
  }
}

/** Form only; the signature is not looked at, and the output says so. */
function uncheckedManifest(bytes: Uint8Array, path: string): Manifest {
  const envelope = orThrow(parseCanonical(bytes, releaseLimits.manifestBytesMax, `the manifest in ${path}`))
  const signed = (envelope as { readonly signed?: unknown } | null)?.signed
  if (typeof signed !== 'object' || signed === null) raise('EB-ENVELOPE', `${path} has no signed manifest`)
  return orThrow(readManifest(signed))
}

/** What there is to say, as names and texts; the base of both views. */
function factsOf(it: Look): readonly (readonly [string, string])[] {
  const { manifest } = it
  const floor = manifest.floorAfterCommit
  return [
    ['release', manifest.id],
    ['product', manifest.product],
    ['version', manifest.version],
    ['securityVersion', `${manifest.securityVersion}`],
    ['floor', floor === null ? 'what keeps the other slot bootable' : `${floor} after commit`],
    ['hardware', manifest.hardware.join(' ')],
    ['profile', manifest.profile],
    ['file', bytesText(it.fileBytes)],
    ...manifest.images.flatMap((image): readonly (readonly [string, string])[] => [
      [`image ${image.name}`, `${image.bytes} bytes (${bytesText(image.bytes)})`],
      ['  verity root', image.verityRoot],
      ...(image.rsa === undefined ? [] : ([['  RSA-PSS by', image.rsa.keyid]] as const)),
    ]),
    ...manifest.blobs.flatMap((blob): readonly (readonly [string, string])[] => [
      [`blob ${blob.id}`, `${blob.bytes} bytes (${bytesText(blob.bytes)}), ${blob.suite}`],
      ['  pieces', `${blob.pieces} of ${bytesText(blob.pieceBytes)}${kindsText(it, blob)}`],
      ['  index', `${blob.index.pages.length} pages, ${bytesText(blob.index.bytes)}`],
    ]),
  ]
}

function kindsText(it: Look, blob: Blob): string {
  const pieces = it.pieces?.get(blob.id)
  if (pieces === undefined) return ''
  const count = (kind: string): number => pieces.filter((one) => one.kind === kind).length
  return `: ${count('zstd')} zstd, ${count('stored')} stored, ${count('zero')} zero`
}

function printOne(input: CommandInput, it: Look): void {
  if (input.json) {
    const pieces = flagOption(input, 'pieces') ? { pieces: piecesJson(it) } : {}
    const { path: file, fileBytes: bytes, checked: signatureChecked, manifest } = it
    input.io.out(JSON.stringify({ file, bytes, signatureChecked, manifest, ...pieces }))
    return
  }
  input.io.out(it.checked ? 'signature: good' : 'signature: NOT CHECKED (give --trust or --keys)')
  for (const [name, text] of factsOf(it)) input.io.out(`${name.padEnd(16)}${text}`)
  if (!flagOption(input, 'pieces')) return
  for (const blob of it.manifest.blobs) {
    input.io.out(`pieces of ${blob.id}: number, offset in image, kind, bytes in blob, SHA-256`)
    for (const piece of it.pieces?.get(blob.id) ?? []) input.io.out(pieceText(it.manifest, blob, piece))
  }
}

function pieceText(manifest: Manifest, blob: Blob, piece: Piece): string {
  const { offset } = pieceRange(blob, imageOf(manifest, blob).paddedBytes, piece.number)
  const numbers = `${`${piece.number}`.padStart(8)} ${`${offset}`.padStart(14)}`
  return `${numbers}  ${piece.kind.padEnd(6)} ${`${piece.sealedBytes}`.padStart(8)}  ${hex(piece.rawSha256).slice(0, 32)}`
}

function piecesJson(it: Look): unknown {
  return Object.fromEntries(
    [...(it.pieces ?? new Map<string, readonly Piece[]>())].map(([id, list]) => [
      id,
      list.map(({ number, kind, offset, sealedBytes, rawSha256 }) => ({
        number,
        kind,
        offset,
        sealedBytes,
        rawSha256: hex(rawSha256),
      })),
    ]),
  )
}

interface Difference {
  readonly name: string
  readonly from: string | null
  readonly to: string | null
}

function printDifference(input: CommandInput, one: Look, other: Look): void {
  const differences = differencesOf(one, other)
  const pieces = one.manifest.blobs.flatMap((blob) => comparePieces(one, other, blob.id))
  if (input.json) {
    const signatureChecked = one.checked && other.checked
    const names = { from: one.manifest.id, to: other.manifest.id }
    input.io.out(JSON.stringify({ ...names, signatureChecked, differences, pieces }))
    return
  }
  input.io.out(one.checked ? 'signatures: good' : 'signatures: NOT CHECKED (give --trust or --keys)')
  if (differences.length === 0) input.io.out('no difference in what the manifests say')
  for (const { name, from, to } of differences) {
    input.io.out(name.trim())
    input.io.out(`  - ${from ?? 'absent'}`)
    input.io.out(`  + ${to ?? 'absent'}`)
  }
  for (const it of pieces) {
    input.io.out(`pieces of ${it.blob}: ${it.same} of ${it.pieces} the same, ${it.changed} changed`)
  }
}

function differencesOf(one: Look, other: Look): readonly Difference[] {
  const path = (facts: readonly (readonly [string, string])[]): ReadonlyMap<string, string> => {
    let parent = ''
    return new Map(
      facts.map(([name, text]) => {
        if (!name.startsWith(' ')) parent = name
        return [name.startsWith(' ') ? `${parent}${name.replace(/^ +/, ', ')}` : name, text]
      }),
    )
  }
  const [from, to] = [path(factsOf(one)), path(factsOf(other))]
  return [...new Set([...from.keys(), ...to.keys()])]
    .map((name) => ({ name, from: from.get(name) ?? null, to: to.get(name) ?? null }))
    .filter((it) => it.from !== it.to)
}

/** Pieces in the same place with the same content; null lists are not compared. */
function comparePieces(
  one: Look,
  other: Look,
  blob: string,
): readonly {
  readonly blob: string
  readonly pieces: number
  readonly same: number
  readonly changed: number
}[] {
  const [from, to] = [one.pieces?.get(blob), other.pieces?.get(blob)]
  if (from === undefined || to === undefined) return []
  const same = to.filter((it, at) => {
    const old = from[at]
    return old !== undefined && hex(old.rawSha256) === hex(it.rawSha256)
  }).length
  return [{ blob, pieces: to.length, same, changed: to.length - same }]
}
