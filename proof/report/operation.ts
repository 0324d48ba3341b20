/**
 * What the name of an operation says: where it takes place, what it does, and the same in words for people.
 * Promise: pure; a name of a form that is not known here is shown as it is, never guessed at.
 */
import { bootPartition } from '../../core/boot-record.ts'
import { bytesText } from '../../core/units.ts'

export interface Operation {
  /** `slot b`, `boot`, `files`, `link`. */
  readonly place: string
  /** `write`, `flush`, …; empty in an unknown form. */
  readonly verb: string
  /** It changes what a power cut leaves behind; a message to the network does not. */
  readonly durable: boolean
  /** `writes 4.0 KiB at 8.0 KiB into slot B`. */
  readonly words: string
  /** One letter for the map. */
  readonly letter: string
}

/** The places of the map by letter, for its key. */
export const places: Readonly<Record<string, string>> = {
  a: 'slot A',
  b: 'slot B',
  R: 'boot record: which slot starts',
  F: 'files of the agent: its journal',
  N: 'network: a message to the hub',
}

const form = /^(.+?) (write|flush|rename|remove|syncFile|syncDir|publish)(?: (.*))?$/

export function operationOf(name: string): Operation {
  const [, place = name, verb = '', rest = ''] = form.exec(name) ?? []
  return {
    place,
    verb,
    durable: verb !== 'publish',
    words: words(place, verb, rest) ?? name,
    letter: letterOf(place),
  }
}

const placeLetters = new Map([
  ['boot', 'R'],
  ['files', 'F'],
  ['link', 'N'],
])

function letterOf(place: string): string {
  const [, slot] = /^slot ([ab])\b/.exec(place) ?? []
  return slot ?? placeLetters.get(place) ?? '·'
}

function words(place: string, verb: string, rest: string): string | null {
  if (place === 'files') return fileWords(verb, rest)
  if (place === 'link') return verb === 'publish' ? `sends a message to the hub: ${rest}` : null
  const [, slot = '', partition = ''] = /^slot ([ab])( .+)?$/.exec(place) ?? []
  const where = slot === '' ? place : `slot ${slot.toUpperCase()}${partition}`
  const target = place === 'boot' ? 'the boot partition' : where
  if (verb === 'flush') return `makes all that was written to ${target} durable`
  const [, offset, bytes] = /^(\d+)\+(\d+)$/.exec(rest) ?? []
  if (verb !== 'write' || offset === undefined || bytes === undefined) return null
  if (place === 'boot') return bootWords(Number(offset)) ?? null
  return `writes ${bytesText(Number(bytes))} at ${bytesText(Number(offset))} into ${target}`
}

function bootWords(offset: number): string | undefined {
  const [first, second] = bootPartition.copyOffsets
  return {
    [first]: 'writes the first copy of the boot record',
    [second]: 'writes the second copy of the boot record',
    [bootPartition.stampOffset]: 'writes the commit stamp',
  }[offset]
}

function fileWords(verb: string, name: string): string | null {
  const said: Readonly<Record<string, string>> = {
    write: `writes the file ${name}`,
    syncFile: `makes the content of the file ${name} durable`,
    rename: `gives the file ${name} its final name`,
    remove: `removes the file ${name}`,
    syncDir: 'makes the names of the files durable',
  }
  return said[verb] ?? null
}
