/**
 * Plays the story of the clip cache from what lies on the medium: opens it, looks at it, goes on to the end.
 * Promise: what is found after a start is what had been told, or what was about to be, whole; what is told is durable, shown
 * by a loss of power after each deed; the same image gives the same end.
 * Leaves to others: where it is cut (sweep.ts), what must hold of a cache (i15.ts).
 */
import { createHash } from 'node:crypto'
import type { Pending } from '../../bootloader-sim/devices/fate.ts'
import {
  crashedFiles,
  type FilesImage,
  type SimFiles,
  simFiles,
} from '../../bootloader-sim/devices/file-store.ts'
import { createPower, type Power } from '../../bootloader-sim/devices/power.ts'
import { assert, present } from '../../core/assert.ts'
import { EverbootError } from '../../core/errors.ts'
import type { ClipStore } from '../../device/clips/clip-store.ts'
import { openClipStore } from '../../device/clips/recovery.ts'
import type { CrashPoint } from '../sweep/crash-states.ts'
import type { Ending } from '../sweep/result.ts'
import { broken } from './i15.ts'
import { type Allowed, story, storyLimits } from './story.ts'

/** Where the story stands when the power goes. */
export interface ClipsImage {
  readonly files: FilesImage
  readonly pending: readonly Pending[]
  /** Deeds that were done and told. */
  readonly done: number
  /** How often the cache was opened: chance is drawn by it. */
  readonly generation: number
}

export interface ClipsFuture {
  readonly ending: Ending
  readonly violation: { readonly invariant: string; readonly what: string } | null
  /** Crash points from here on; empty unless asked for. */
  readonly points: readonly CrashPoint<ClipsImage>[]
}

/** The story as it goes without cuts: what is there after so many deeds. */
export interface Rehearsal {
  readonly told: readonly Allowed[]
  readonly uncut: ClipsFuture
}

export interface PlayOptions {
  /** Take crash points. */
  readonly recording?: boolean
  /** Told of each operation and deed. */
  readonly note?: (line: string) => void
  readonly only?: readonly string[]
}

/** 2026-06-01, as ms since 1970. */
const wallMs = 1_780_272_000_000

/** @param only deeds of the story by name; absent: all */
export async function rehearseClips(
  note?: (line: string) => void,
  only?: readonly string[],
): Promise<Rehearsal> {
  const told: Allowed[] = [new Map()]
  const empty = { files: simFiles().image(), pending: [], done: 0, generation: 0 }
  const uncut = await playClips(empty, told, {
    recording: true,
    ...(note === undefined ? {} : { note }),
    ...(only === undefined ? {} : { only }),
  })
  return { told, uncut }
}

/** @param told what was there after so many deeds of the story without cuts; the rehearsal adds to it. */
export async function playClips(
  image: ClipsImage,
  told: readonly Allowed[],
  { recording = false, note = () => {}, only }: PlayOptions = {},
): Promise<ClipsFuture> {
  const power = createPower()
  const files = simFiles(power)
  files.restore(image.files)
  const points: CrashPoint<ClipsImage>[] = []
  const stand = { done: image.done, generation: image.generation + 1, phase: 'open' }
  if (recording) record(power, files, stand, points)
  const begin = power.onBegin
  power.onBegin = (name) => {
    note(`op ${name}`)
    begin(name)
  }
  try {
    const store = await open(files, stand.generation)
    const at = await standing(store, files, [told[image.done], told[image.done + 1]])
    if (typeof at === 'string') return broke(at, points)
    let allowed = at.allowed
    for (const [index, deed] of story.entries()) {
      if (index < image.done || only?.includes(deed.name) === false) continue
      note(deed.name)
      stand.phase = deed.name
      await deed.run(store)
      await store.settle()
      stand.done = index + 1
      allowed = deed.allows(allowed)
      const wrong = (await broken(store, files, allowed)) ?? (await lasting(store, files, stand.generation))
      if (wrong !== null) return broke(`after "${deed.name}": ${wrong}`, points)
      if (told.length === index + 1) (told as Allowed[]).push(thereOf(store, allowed))
    }
    return { ending: at.ending, violation: null, points }
  } catch (caught) {
    if (caught instanceof EverbootError) return broke(caught.message, points)
    const what = caught instanceof Error ? `${caught.name}: ${caught.message}` : String(caught)
    return { ending: 'violation', violation: { invariant: 'assertion', what }, points }
  }
}

function broke(what: string, points: ClipsFuture['points']): ClipsFuture {
  return { ending: 'violation', violation: { invariant: 'I15', what }, points }
}

/** What the story had come to: before the deed under way, or after it; anything else is wrong. */
async function standing(
  store: ClipStore,
  files: SimFiles,
  [before, after]: readonly [Allowed | undefined, Allowed | undefined],
): Promise<{ allowed: Allowed; ending: Ending } | string> {
  assert(before !== undefined, 'what was told is known')
  const there = idsOf(store)
  let why = `${there.join(' ')} are there, ${[...before.keys()].sort().join(' ')} were told of`
  for (const [from, told] of [before, after].entries()) {
    if (told === undefined || [...told.keys()].sort().join() !== there.join()) continue
    const wrong = await broken(store, files, told)
    // The deed under way is done again in either case: doing it twice changes nothing.
    if (wrong === null) return { allowed: told, ending: from === 0 ? 'old' : 'new' }
    why = wrong
  }
  return `at the start: ${why}`
}

/** What was told is durable: the power goes now, and everything is there as before. */
async function lasting(store: ClipStore, files: SimFiles, generation: number): Promise<string | null> {
  const again = simFiles()
  again.restore(crashedFiles(files.image(), []))
  const after = idsOf(await open(again, generation + 1))
  const before = idsOf(store)
  if (after.join() === before.join()) return null
  return `${before.join(' ')} were told of, ${after.join(' ')} are durable`
}

function idsOf(store: ClipStore): readonly string[] {
  return [...store.list()].map((it) => it.id).sort()
}

/** Of what may be there what is. */
function thereOf(store: ClipStore, allowed: Allowed): Allowed {
  return new Map([...allowed].filter(([id]) => store.peek(id) !== null))
}

async function open(files: SimFiles, generation: number): Promise<ClipStore> {
  let drawn = 0
  const bytes = (count: number): Uint8Array => {
    drawn += 1
    return new Uint8Array(createHash('sha512').update(`${generation} ${drawn}`).digest().subarray(0, count))
  }
  const clock = { monotonicMs: () => 1_000, wallMs: () => wallMs }
  const wrappingKey = new Uint8Array(32).fill(7)
  const parts = { files, clock, entropy: { bytes }, wrappingKey, earliestWallMs: 1 }
  return (await openClipStore(parts, storyLimits)).store
}

/** Takes an image before and after each operation from now on. */
function record(
  power: Power,
  files: SimFiles,
  stand: { readonly done: number; readonly generation: number; readonly phase: string },
  points: CrashPoint<ClipsImage>[],
): void {
  const imageNow = (): ClipsImage => {
    const { done, generation } = stand
    return { files: files.image(), pending: files.pending(), done, generation }
  }
  const underway = new Map<string, number>()
  power.onBegin = (name) => {
    underway.set(name, points.length)
    points.push({
      ...{ number: points.length, name, phase: stand.phase, atMs: 0 },
      before: imageNow(),
      after: null,
    })
  }
  power.onDone = (name) => {
    const number = present(underway.get(name), 'an operation that was begun')
    points[number] = { ...present(points[number], 'its point'), after: imageNow() }
  }
}
