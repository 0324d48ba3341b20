/**
 * Sees everything that happens to one board and its hub, and tells the checkers.
 * Promise: looks on only; the first violation is kept with the moment at which it was seen.
 * Leaves to others: what follows from a violation (sweep, swarm).
 */

import type { LogEvent } from '../core/ports.ts'
import type { SlotId } from '../core/units.ts'
import { type Desired, decodeAck, decodeDesired, type Status } from '../core/wire/messages.ts'
import { deviceTopic } from '../core/wire/topics.ts'
import type { BootSeen, SimBoard } from './board-facts.ts'
import type { AnyChecker, Facts, Happening, Planted } from './checkers/checker.ts'
import { journalReader } from './journal-reader.ts'
import type { MadeRelease } from './publisher.ts'
import { type Truth, truthOf } from './truth.ts'
import type { World } from './world.ts'

export interface Violation {
  /** `I4`. */
  readonly invariant: string
  readonly what: string
  readonly atMs: number
  /** Operations of the board before it, in this run. */
  readonly operation: number
}

/** What of the states of all checkers outlives a loss of power, in their order. */
export type CheckerStates = readonly unknown[]

export interface Observer {
  readonly truth: Truth
  /** Null as long as everything holds. */
  violation(): Violation | null
  states(): CheckerStates
  tell(it: Happening): void
  planted(what: Planted, slot?: SlotId): void
}

/** Attaches to a board; it must not have another observer. */
export function observe(
  world: World,
  board: SimBoard,
  releases: ReadonlyMap<string, MadeRelease>,
  checkers: readonly AnyChecker[],
  from?: CheckerStates,
): Observer {
  const states: unknown[] = checkers.map((it, index) => {
    if (from === undefined) return it.start
    return it.unpack === undefined ? from[index] : it.unpack(from[index])
  })
  const truth = truthOf(board.storage, board.settings.partitions, () => releases.values())
  const journal = journalReader()
  let violation: Violation | null = null
  const factsFor = checkers.map(
    (checker): Facts => ({
      get nowMs() {
        return world.time.nowMs()
      },
      truth,
      board,
      world,
      releases,
      journal,
      violated(what) {
        violation ??= {
          invariant: checker.id,
          what,
          atMs: world.time.nowMs(),
          operation: board.operations.length,
        }
      },
    }),
  )
  const byKind = new Map<string, number[]>()
  checkers.forEach((checker, index) => {
    for (const kind of Object.keys(checker.on)) byKind.set(kind, [...(byKind.get(kind) ?? []), index])
  })
  const tell = (it: Happening): void => {
    for (const index of byKind.get(it.kind) ?? []) {
      const hook = checkers[index]?.on[it.kind] as Hook | undefined
      const facts = factsFor[index]
      if (hook !== undefined && facts !== undefined) states[index] = hook(states[index], it, facts)
    }
  }
  attach(world, board, tell)
  return {
    truth,
    violation: () => violation,
    states: () =>
      checkers.map(({ pack }, index) => (pack === undefined ? states[index] : pack(states[index]))),
    tell,
    planted: (what, slot) => tell({ kind: 'planted', what, slot: slot ?? null }),
  }
}

type Hook = (state: unknown, it: Happening, facts: Facts) => unknown

function attach(world: World, board: SimBoard, tell: (it: Happening) => void): void {
  const { storage, settings } = board
  storage.boot.onWrite = (offset, bytes) =>
    tell({ kind: 'write', slot: null, partition: 'boot', offset, bytes })
  if (storage.autoboot !== null) {
    storage.autoboot.onWrite = (offset, bytes) =>
      tell({ kind: 'write', slot: null, partition: 'autoboot', offset, bytes })
  }
  for (const slot of ['a', 'b'] as const) {
    for (const partition of settings.partitions) {
      storage.partition(slot, partition).onWrite = (offset, bytes) =>
        tell({ kind: 'write', slot, partition, offset, bytes })
    }
  }
  storage.files.onWrite = (name, bytes) => tell({ kind: 'file', name, bytes })
  board.power.onDone = (name) => {
    if (name.endsWith(' flush')) tell({ kind: 'flush', slot: name.startsWith('slot') ? slotOf(name) : null })
    else if (name.startsWith('files rename ')) tell({ kind: 'rename', from: name.slice(13) })
    else if (name === 'files syncDir') tell({ kind: 'synced' })
  }
  board.onBoot = (outcome: BootSeen) => tell({ kind: 'boot', outcome })
  board.onCrash = () => tell({ kind: 'cut' })
  board.onKill = () => tell({ kind: 'killed' })
  board.onLog = (event: LogEvent) => tell({ kind: 'logged', event })
  world.onKept = (device: string, status: Status) => {
    if (device === board.id) tell({ kind: 'kept', status })
  }
  const [acks, wishes] = [deviceTopic(board.id, 'ack'), deviceTopic(board.id, 'desired')]
  world.onSaid = (topic, payload) => {
    if (topic === acks) {
      const ack = decodeAck(payload)
      if (ack.ok) tell({ kind: 'acked', bootId: ack.value.bootId, seq: ack.value.seq })
    } else if (topic === wishes) {
      const desired = decodeDesired(payload)
      if (desired.ok) tell({ kind: 'wished', desired: desired.value satisfies Desired })
    }
  }
  world.onRestart = () => tell({ kind: 'hub-restarted' })
  world.net.files.onPart = (url, bytes, fits) => tell({ kind: 'served', url, bytes, fits })
}

function slotOf(name: string): SlotId {
  return name.startsWith('slot a') ? 'a' : 'b'
}
