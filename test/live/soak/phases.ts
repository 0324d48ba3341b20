/**
 * What a line of the board's console says about where an update stands.
 * Promise: pure; nothing is taken from what was done to the board, only from what it shows: init sees agents
 * die, the board sees resets. Only `unplugged` is told, since a board whose program is killed shows nothing.
 * Leaves to others: whether what the console says is true (verdicts.ts, from the disk).
 */
import type { SlotId } from '../../../core/units.ts'

/** The parts of a life of a board in which a blow can fall. */
export const phases = [
  'boot',
  'start',
  'IDLE',
  'DOWNLOADING',
  'VERIFYING',
  'APPLYING',
  'armed',
  'trial',
  'commit',
  'rollback',
  'report',
] as const
export type Phase = (typeof phases)[number]

export type Sighting =
  | { readonly kind: 'phase'; readonly phase: Phase }
  | { readonly kind: 'power-on' }
  | { readonly kind: 'handover'; readonly slot: SlotId; readonly release: string; readonly bootId: string }
  | { readonly kind: 'agent killed'; readonly phase: Phase }
  | { readonly kind: 'agent ended'; readonly how: string }
  | { readonly kind: 'reset'; readonly why: ResetCause; readonly phase: Phase }
  | { readonly kind: 'no slot'; readonly what: string }

/** Why a boot ended. */
export const resetCauses = ['reset', 'power cut', 'unplugged', 'watchdog', 'asked', 'panic', 'other'] as const
export type ResetCause = (typeof resetCauses)[number]

/** Follows one board, line by line. */
export class Watcher {
  #phase: Phase = 'boot'
  #slot: SlotId | null = null
  #healthy = false

  get phase(): Phase {
    return this.#phase
  }

  /** Slot of the boot that runs; null while the loader is at work. */
  get slot(): SlotId | null {
    return this.#slot
  }

  /** The agent of this boot has judged it healthy, and nothing of an update is under way. */
  get resting(): boolean {
    return this.#healthy && this.#phase === 'IDLE'
  }

  /** @param line of `everboot emulator run` */
  take(line: string): readonly Sighting[] {
    const text = line.replace(/^\[[^\]]*\] /, '')
    if (text.startsWith('{')) return this.#agentSays(text)
    if (text.startsWith('init: ')) return this.#initSays(text)
    if (text.startsWith('board: ')) return this.#boardSays(text)
    return []
  }

  /** The program that is the board was killed. */
  unplugged(): readonly Sighting[] {
    return this.#reset('unplugged')
  }

  #enter(phase: Phase): readonly Sighting[] {
    this.#phase = phase
    return [{ kind: 'phase', phase }]
  }

  #reset(why: ResetCause): readonly Sighting[] {
    const { phase } = this
    this.#slot = null
    this.#healthy = false
    this.#phase = 'boot'
    return [{ kind: 'reset', why, phase }]
  }

  #boardSays(text: string): readonly Sighting[] {
    if (text.startsWith('board: power-on')) return [{ kind: 'power-on' }, ...this.#enter('boot')]
    const why = /^board: reset why=("(?:[^"\\]|\\.)*"|\S+)/.exec(text)?.[1]
    if (why !== undefined) return this.#reset(causeOf(why))
    const none = /^board: no-slot (.*)/.exec(text)?.[1]
    if (none !== undefined) return [{ kind: 'no slot', what: none }]
    const hand = /^board: handover slot=([ab]) release=(\S+) .*bootId=(\S+)/.exec(text)
    if (hand === null) return []
    const [, slot = '', release = '', bootId = ''] = hand
    this.#slot = slot === 'a' ? 'a' : 'b'
    return [{ kind: 'handover', slot: this.#slot, release, bootId }]
  }

  #initSays(text: string): readonly Sighting[] {
    if (/^init: agent runs /.test(text)) {
      this.#healthy = false
      return this.#enter('start')
    }
    const how = /^init: agent ended \((.*)\)/.exec(text)?.[1]
    if (how === undefined) return []
    if (how !== 'SIGKILL') return [{ kind: 'agent ended', how }]
    this.#healthy = false
    return [{ kind: 'agent killed', phase: this.#phase }]
  }

  #agentSays(text: string): readonly Sighting[] {
    const said = objectOf(text)
    switch (said['event']) {
      case 'standing':
        return said['standing'] === 'trial' ? this.#enter('trial') : []
      case 'health':
        return this.#judged(said)
      case 'update':
        return this.#updated(said)
      default:
        return []
    }
  }

  #judged(said: Readonly<Record<string, unknown>>): readonly Sighting[] {
    if (said['verdict'] !== 'healthy') return []
    this.#healthy = true
    if (said['standing'] === 'trial') return this.#enter('commit')
    return this.#phase === 'start' ? this.#enter('IDLE') : []
  }

  #updated(said: Readonly<Record<string, unknown>>): readonly Sighting[] {
    const phase = phaseOf(`${said['to']}`, `${said['on']}`)
    return phase === null ? [] : this.#enter(phase)
  }
}

/** @param to state of the update table, @param on the event that led there */
function phaseOf(to: string, on: string): Phase | null {
  switch (to) {
    case 'IDLE':
    case 'DOWNLOADING':
    case 'VERIFYING':
    case 'APPLYING':
      return to
    case 'REBOOTING':
      return on === 'armed' ? 'armed' : on === 'trial' ? 'trial' : null
    case 'COMPLETE':
    case 'FAILED':
      return 'report'
    case 'ROLLBACK':
      return on === 'fell back' ? 'report' : 'rollback'
    default:
      return null
  }
}

function causeOf(why: string): ResetCause {
  if (why.includes('reset button')) return 'reset'
  if (why.includes('power cut')) return 'power cut'
  if (why.includes('watchdog bites')) return 'watchdog'
  if (why.includes('the system asked for')) return 'asked'
  return why.includes('process 1 ended') ? 'panic' : 'other'
}

function objectOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const document: unknown = JSON.parse(text)
    return typeof document === 'object' && document !== null ? (document as Record<string, unknown>) : {}
  } catch {
    // Half a line of a process that was killed while it wrote.
    return {}
  }
}
