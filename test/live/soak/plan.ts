/**
 * What the soak does, drawn from its seed: which release is assigned next, which blows fall in which phase,
 * what rots in between.
 * Promise: pure; one seed gives one row of rounds, whatever the board makes of them. Drawn without putting
 * back, so that a short run too meets every phase.
 * Leaves to others: when a phase comes (phases.ts), and striking (adapters/blows.ts).
 */
import { type SeededRandom, seededRandom } from '../../../core/prng.ts'
import type { Phase } from './phases.ts'

/** How a system behaves. */
export type ReleaseKind = 'good' | 'sick' | 'hung' | 'bare'

/** The releases that are made, factory system first. */
export interface ReleasePlan {
  readonly version: number
  readonly kind: ReleaseKind
  readonly securityVersion: number
}

/** Version 1 is barred as soon as both slots hold something newer. */
export const releasePlans: readonly [ReleasePlan, ...ReleasePlan[]] = [
  { version: 1, kind: 'good', securityVersion: 1 },
  { version: 2, kind: 'good', securityVersion: 2 },
  { version: 3, kind: 'good', securityVersion: 2 },
  { version: 4, kind: 'sick', securityVersion: 2 },
  { version: 5, kind: 'good', securityVersion: 2 },
  { version: 6, kind: 'bare', securityVersion: 2 },
  { version: 7, kind: 'hung', securityVersion: 2 },
]

export const blowKinds = [
  'kill agent',
  'reset',
  'power cut',
  'unplug',
  'kill hub',
  'cut link',
  'damage spare',
] as const
export type BlowKind = (typeof blowKinds)[number]

/** What is destroyed in a slot, as `everboot emulator damage` names it. */
export type DamageKind = 'init' | 'superblock' | 'seal'

export interface Strike {
  readonly what: BlowKind
  /** After the phase was seen, or after the strike before. */
  readonly delayMs: number
  /** How long hub or link are away. */
  readonly lastsMs: number
  readonly damage: DamageKind
}

/** One or two strikes in a row, at the next time that the phase is seen. */
export interface Blow {
  readonly phase: Phase
  readonly strikes: readonly Strike[]
}

/** In order, as the emulator ends when it is told to; or with the loss of all that was not flushed. */
export type PowerOff = 'switch' | 'plug'

export interface Round {
  readonly number: number
  readonly version: number
  readonly blows: readonly Blow[]
  /** How the board is switched off for the look at its disk. */
  readonly off: PowerOff
  /** What rots while it is off, where the rest of the board can bear it. */
  readonly rot: { readonly where: 'running' | 'fallback'; readonly damage: DamageKind } | null
}

/** Versions in the share in which they are assigned. */
const versions = [2, 3, 5, 2, 3, 5, 2, 3, 5, 4, 4, 1, 6, 7]
const struck: readonly Phase[] = [
  ...(['DOWNLOADING', 'VERIFYING', 'APPLYING', 'armed', 'trial', 'commit'] as const),
  ...(['DOWNLOADING', 'VERIFYING', 'APPLYING', 'armed', 'trial', 'commit'] as const),
  ...(['IDLE', 'DOWNLOADING', 'boot', 'boot', 'start', 'report'] as const),
]
const withAgent: readonly BlowKind[] = [
  ...(['kill agent', 'kill agent', 'kill agent', 'kill agent'] as const),
  ...(['kill agent', 'kill agent', 'kill agent', 'kill agent'] as const),
  ...(['reset', 'power cut', 'unplug', 'kill hub', 'cut link'] as const),
]
const withoutAgent: readonly BlowKind[] = ['reset', 'power cut', 'unplug', 'reset', 'kill hub']
const damaging: readonly Phase[] = ['VERIFYING', 'APPLYING', 'armed']
const damages: readonly DamageKind[] = ['init', 'superblock', 'seal']
/** Numbers of blows in the share in which rounds have them. */
const blowCounts = [0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 6]

/** @returns a function that gives one round after another */
export function planner(seed: number): () => Round {
  const random = seededRandom(seed)
  const bags = {
    version: bag(versions, random.child()),
    phase: bag(struck, random.child()),
    blow: bag(withAgent, random.child()),
    count: bag(blowCounts, random.child()),
  }
  let number = 0
  return () => {
    number += 1
    const blows = Array.from({ length: bags.count() }, () => blowAt(bags.phase(), random, bags.blow))
    return {
      number,
      version: bags.version(),
      blows,
      off: random.below(2) === 0 ? 'switch' : 'plug',
      rot: rotOf(random),
    }
  }
}

function blowAt(phase: Phase, random: SeededRandom, kind: () => BlowKind): Blow {
  const strike = (what: BlowKind, delayMsMax: number): Strike => ({
    what,
    delayMs: random.below(delayMsMax),
    lastsMs: 100 + random.below(2_500),
    damage: pick(damages, random),
  })
  const first = (): BlowKind => {
    if (phase === 'boot') return pick(withoutAgent, random)
    return damaging.includes(phase) && random.below(8) === 0 ? 'damage spare' : kind()
  }
  const strikes = [strike(first(), delayMsMax(phase))]
  if (random.below(3) === 0) strikes.push(strike(pick(withAgent, random), 1_000))
  return { phase, strikes }
}

/** Long phases are hit anywhere, short ones before they are over. */
function delayMsMax(phase: Phase): number {
  if (phase === 'DOWNLOADING' || phase === 'boot') return 1_500
  return phase === 'report' || phase === 'start' ? 50 : 400
}

function rotOf(random: SeededRandom): Round['rot'] {
  const drawn = random.below(8)
  if (drawn > 1) return null
  return { where: drawn === 0 ? 'running' : 'fallback', damage: pick(damages, random) }
}

function pick<T>(from: readonly T[], random: SeededRandom): T {
  const [found] = from.slice(random.below(from.length))
  if (found === undefined) throw new RangeError('nothing to pick from')
  return found
}

/** Gives all of `items` in random order, then all of them again. */
function bag<T>(items: readonly T[], random: SeededRandom): () => T {
  let left: T[] = []
  return () => {
    if (left.length === 0) left = [...items]
    const [drawn] = left.splice(random.below(left.length), 1)
    if (drawn === undefined) throw new RangeError('nothing to draw from')
    return drawn
  }
}
