/**
 * What may be asked of the agent on the device itself: its status, to install a file, to go back.
 * Promise: refused with a code while another attempt is open or this boot has not proved itself; otherwise the
 * same attempt as one of the hub, by the same checks.
 * Leaves to others: the socket (adapters/control-socket.ts), the attempt (update/updater.ts).
 */
import { type Fault, fault, faultOf, raise } from '../core/errors.ts'
import { fail, ok, type Result } from '../core/result.ts'
import { version } from '../core/version.ts'
import type { Report, Status } from '../core/wire/messages.ts'
import type { Board } from './board.ts'
import type { BootDuty } from './boot/boot-duty.ts'
import type { HubLink } from './report/hub-link.ts'
import { snapshot } from './report/snapshot.ts'
import type { Hold } from './update/hold.ts'
import type { InhibitStep } from './update/inhibit.ts'
import type { Assignment, Updater } from './update/updater.ts'

/** What a person or program on the device may ask for. */
export type LocalRequest =
  | { readonly op: 'status' }
  | { readonly op: 'install'; readonly file: string; readonly later?: boolean | undefined }
  | { readonly op: 'rollback' }
  /** Begins what waits to begin, tries the network again. */
  | { readonly op: 'refresh' }
  /** Lifts `activate: later`. */
  | { readonly op: 'activate' }
  /** "Not now", under a name; again: holds on. */
  | {
      readonly op: 'inhibit'
      readonly who: string
      readonly why: string
      readonly forMs?: number | undefined
      readonly step?: InhibitStep | undefined
    }
  | { readonly op: 'release'; readonly who: string }

/** What the device says of itself to a local asker. */
export interface LocalStatus {
  readonly status: Status
  readonly hubConnected: boolean
  /** No assignment is begun before the boot has found its place. */
  readonly settled: boolean
  /** How the last attempt of this run of the agent ended, also one that was asked for here. */
  readonly lastReport: Report | null
  /** Of the agent. */
  readonly version: string
}

/** The parts of the agent that answer. */
export interface LocalParts {
  readonly board: Board
  readonly updater: Updater
  readonly duty: BootDuty
  readonly hub: HubLink
  readonly hold: Hold
}

/** @returns the answer; for `install` and `rollback` as soon as the attempt has begun. */
export async function answer(parts: LocalParts, request: LocalRequest): Promise<Result<LocalStatus, Fault>> {
  const { board, duty, updater } = parts
  try {
    if (request.op === 'inhibit' || request.op === 'release') await inhibitFor(board, request)
    else if (request.op === 'activate') parts.hold.activate()
    else if (request.op === 'install' || request.op === 'rollback') {
      if (board.journal.current.attempt !== null)
        return fail(fault('EB-BUSY', `the device is ${updater.state}`))
      if (!duty.settled) return fail(fault('EB-TRIAL-OPEN', 'this boot has not proved itself yet'))
      const held = await parts.hold.asked('start')
      if (held !== null) return fail(fault('EB-INHIBITED', `${held.by} holds updates up: ${held.why}`))
      const assignment = await localAssignment(board, request)
      if (!assignment.ok) return assignment
      await updater.begin(assignment.value)
    }
    return ok(localStatus(parts))
  } catch (caught) {
    return fail(faultOf(caught))
  }
}

async function inhibitFor(
  { ports }: Board,
  request: Extract<LocalRequest, { op: 'inhibit' | 'release' }>,
): Promise<void> {
  const { inhibitors, clock } = ports
  if (inhibitors === undefined) raise('EB-CONFIG', 'this agent has no place for inhibitors')
  if (request.op === 'release') {
    if (!(await inhibitors.release(request.who))) raise('EB-NOT-FOUND', `${request.who} holds nothing up`)
    return
  }
  const { who, why, forMs, step = 'activate' } = request
  const untilMs = forMs === undefined ? null : Math.ceil(clock.monotonicMs() + forMs)
  await inhibitors.hold({ who, why, step, untilMs })
}

async function localAssignment(
  board: Board,
  request: Extract<LocalRequest, { op: 'install' | 'rollback' }>,
): Promise<Result<Assignment, Fault>> {
  if (request.op === 'install') {
    const { assigned: release, close } = await board.ports.openReleaseFile(request.file)
    await close()
    const later = request.later === true ? ({ activate: 'later' } as const) : {}
    return ok({ kind: 'file', path: request.file, desired: { v: 1, seq: 1, release, ...later } })
  }
  const seal = await board.refreshSeal(board.spare)
  return seal === null
    ? fail(fault('EB-WRONG-SLOT', `slot ${board.spare} holds no sealed release`))
    : ok({ kind: 'return', releaseId: seal.releaseId })
}

function localStatus({ board, duty, hub, updater, hold }: LocalParts): LocalStatus {
  const view = { state: updater.state, progress: updater.progress, inhibited: hold.current }
  return {
    status: snapshot(board, view, 1, {}),
    hubConnected: hub.connected,
    settled: duty.settled,
    lastReport: updater.lastReport,
    version,
  }
}
