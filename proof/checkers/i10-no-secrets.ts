/**
 * I10: no key and no clear text of an image outside the slots: not in a byte written to the boot partition,
 * not in a file (every text that goes to the hub passes through one), not in a log line. Keys are looked for
 * raw, in hex and in base64 (wherever it begins): content keys and those derived from them, the board's
 * wrapping key, the publisher's private keys; of images, a few blocks. Tokens live in no file of the
 * simulated board; where it has its identity is the machine's matter.
 */
import { indexKey } from '../../images/release/content-cipher.ts'
import type { MadeRelease, Publisher } from '../publisher.ts'
import { checker, type Facts } from './checker.ts'
import { findNeedle, type Needle, type Needles, needleBytesMin, needlesOf, withoutZeros } from './needles.ts'

interface State {
  readonly needles: Needles
  /** Releases that the needles are of. */
  readonly releases: number
}

const clearBytes = 32
/** No form of a secret is shorter. */
const secretBytes = 32
/** Fewer different bytes are no content: padding, text repeated for a test. */
const differentMin = 8
/** Blocks of an image that are looked for: its first, and so many spread over it. */
const blocksPerImage = 5
const blockBytes = 4096

export const noSecrets = checker<State>({
  id: 'I10',
  says: 'no key and no clear text lies outside the slots',
  start: { needles: needlesOf([]), releases: 0 },
  on: {
    write: (state, { slot, partition, offset, bytes }, facts) =>
      slot === null ? searched(state, `the ${partition} partition at ${offset}`, bytes, facts) : state,
    file: (state, { name, bytes }, facts) => searched(state, `file ${name}`, bytes, facts),
    logged(state, { event }, facts) {
      let next = state
      for (const value of Object.values(event)) {
        if (typeof value !== 'string' || value.length < secretBytes) continue
        next = searched(next, `log line ${event.event}`, Buffer.from(value), facts)
      }
      return next
    },
  },
})

function searched(before: State, where: string, bytes: Uint8Array, facts: Facts): State {
  const { releases, board, world, violated } = facts
  const state =
    before.releases === releases.size && releases.size > 0
      ? before
      : {
          needles: needlesOf(secretsOf(releases.values(), board.wrappingKey, world.publisher)),
          releases: releases.size,
        }
  const found = findNeedle(state.needles, bytes)
  if (found !== null) violated(`${found} stands in ${where}`)
  return state
}

function secretsOf(
  releases: Iterable<MadeRelease>,
  wrappingKey: Uint8Array,
  { privateKeys }: Publisher,
): readonly Needle[] {
  const needles = [
    ...keyForms('the wrapping key of the board', wrappingKey),
    ...privateKeys.flatMap((it, index) => keyForms(`private key ${index} of the publisher`, it)),
  ]
  for (const { manifest, contentKeys, images } of releases) {
    for (const [blob, key] of contentKeys) {
      needles.push(...keyForms(`the content key of ${manifest.id} ${blob}`, key))
      needles.push(...keyForms(`the index key of ${manifest.id} ${blob}`, indexKey(key)))
    }
    for (const [name, image] of images)
      needles.push(...clearText(`clear text of ${manifest.id} ${name}`, image))
  }
  return needles
}

function keyForms(name: string, key: Uint8Array): readonly Needle[] {
  const hex = Buffer.from(key).toString('hex')
  const texts = [hex, hex.toUpperCase(), ...[0, 1, 2].flatMap((shift) => base64Forms(key, shift))]
  return [{ name, bytes: key }, ...texts.map((text) => ({ name, bytes: Buffer.from(text, 'latin1') }))]
}

/** The key inside a longer base64 text, without the characters that its neighbours share. */
function base64Forms(key: Uint8Array, shift: number): readonly string[] {
  const after = (3 - ((shift + key.length) % 3)) % 3
  const text = Buffer.concat([Buffer.alloc(shift), key, Buffer.alloc(after)]).toString('base64')
  const inner = text.slice(shift === 0 ? 0 : shift + 1, text.length - (after === 0 ? 0 : after + 1))
  return [inner, inner.replaceAll('+', '-').replaceAll('/', '_')]
}

function clearText(name: string, image: Uint8Array): readonly Needle[] {
  const blocks = Math.floor(image.length / blockBytes)
  const step = Math.max(1, Math.floor(blocks / blocksPerImage))
  const needles: Needle[] = []
  for (let block = 0; block < blocks; block += step) {
    const bytes = image.subarray(block * blockBytes, block * blockBytes + clearBytes)
    const telling = new Set(bytes).size >= differentMin && withoutZeros(bytes).length >= needleBytesMin
    if (telling) needles.push({ name, bytes })
  }
  return needles
}
