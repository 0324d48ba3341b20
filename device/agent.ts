/**
 * The device agent: takes one event at a time, lets the update table decide, does what it says, and tells
 * the hub.
 * Promise: built by this factory in production and in simulation alike; everything it touches is a port.
 * After any stop (kill, power cut) a new agent finds its place again from hand-over, record and journal.
 * Leaves to others: the rules (update/), the boot (boot/boot-duty.ts), what is said (report/).
 */
import { type Fault, fault, faultOf } from '../core/errors.ts'
import { trialLimits } from '../core/limits.ts'
import { fail, ok, type Result } from '../core/result.ts'
import type { Desired, Status } from '../core/wire/messages.ts'
import { type AgentPorts, type Board, openBoard } from './board.ts'
import { type BootDuty, createBootDuty } from './boot/boot-duty.ts'
import { createHubLink, type HubLink } from './report/hub-link.ts'
import { createReporter, type Reporter } from './report/reporter.ts'
import { snapshot } from './report/snapshot.ts'
import type { AgentSettings } from './settings.ts'
import { judge } from './update/assignment.ts'
import { standingOf } from './update/boot-rules.ts'
import { type Assignment, createUpdater, type Updater } from './update/updater.ts'

/** What a person or program on the device may ask for. */
export type LocalRequest =
  | { readonly op: 'status' }
  | { readonly op: 'install'; readonly file: string }
  | { readonly op: 'rollback' }

/** What the device says of itself to a local asker. */
export interface LocalStatus {
  readonly status: Status
  readonly hubConnected: boolean
  /** No assignment is begun before the boot has found its place. */
  readonly settled: boolean
}

export interface Agent {
  /** Runs until `stop`. @throws EverbootError when boot partition or journal cannot be used at all */
  run(): Promise<void>
  /** @returns the answer; for `install` and `rollback` as soon as the attempt has begun. */
  request(request: LocalRequest): Promise<Result<LocalStatus, Fault>>
  stop(): void
}

/** How long a last word may take to reach the hub before a reboot. */
const lastWordMs = 1_500

export function createAgent(ports: AgentPorts, settings: AgentSettings): Agent {
  const queue = serialQueue()
  let running: Running | null = null
  return {
    async run() {
      const board = await openBoard(ports, settings)
      running = startParts(board, queue)
      const { duty, hub, reporter } = running
      queue.enqueue(async () => {
        await announce(board, reporter)
        hub.open()
        await duty.begin()
      })
      await queue.ended
      await hub.close()
      await board.close()
    },
    request(request) {
      return new Promise((resolve) => {
        queue.enqueue(async () => resolve(await answer(running, request)))
      })
    },
    stop: () => queue.end(),
  }
}

interface Running {
  readonly board: Board
  readonly reporter: Reporter
  readonly updater: Updater
  readonly duty: BootDuty
  readonly hub: HubLink
  /** The newest assignment of the hub that is not begun yet. */
  wanted: Desired | null
}

function startParts(board: Board, queue: SerialQueue): Running {
  const { ports } = board
  const wakers = new Set<() => void>()
  const wake = (): void => {
    for (const waker of [...wakers]) waker()
  }
  const reboot = async (): Promise<never> => {
    running.reporter.show()
    await running.reporter.drain(lastWordMs)
    ports.events.emit({ event: 'reboot' })
    return ports.machine.reboot()
  }
  const reporter = createReporter(
    board,
    () => ({ state: running.updater.state, progress: running.updater.progress }),
    wake,
  )
  const updater = createUpdater(board, {
    reporter,
    enqueue: queue.enqueue,
    reboot,
    rollBack: () => running.duty.giveWay(),
    idle: () => queue.enqueue(() => next(running)),
    waitForLink: (waitMs, cancelled) => waitOrWake(waitMs, cancelled, wakers, ports.clock.timer),
  })
  const duty = createBootDuty(board, {
    reporter,
    updater,
    enqueue: queue.enqueue,
    reboot,
    stopped: () => queue.stopped,
    onSettled: () => next(running),
  })
  const hub = createHubLink(board, {
    up: () => {
      reporter.linkUp()
      wake()
    },
    down: () => reporter.linkDown(),
    acknowledged: (ack) => reporter.acknowledged(ack),
    desired: (desired) => queue.enqueue(() => assigned(running, desired)),
    refresh: () => reporter.show(),
    reboot: () =>
      queue.enqueue(async () => {
        if (updater.state === 'IDLE' && duty.settled) await reboot()
      }),
  })
  const running: Running = { board, reporter, updater, duty, hub, wanted: null }
  petWhileAllowed(running, queue)
  return running
}

/** The first status of this run; also sets numbers aside. A full data partition must not keep the agent from running. */
async function announce(board: Board, reporter: Reporter): Promise<void> {
  try {
    await reporter.keep({}, (it) => ({ ...it, connection: it.connection + 1 }))
  } catch (caught) {
    board.ports.events.emit({ event: 'journal not saved', what: faultOf(caught).what })
  }
}

/** A new wish of the hub: begun when the device is idle, and in place of a download that it makes pointless. */
async function assigned(running: Running, desired: Desired): Promise<void> {
  const { board, updater } = running
  const judged = judge(desired, board.journal.current, board.ports.clock.wallMs())
  board.ports.events.emit({
    event: 'assigned',
    seq: desired.seq,
    release: desired.release.id,
    judged: judged.kind,
  })
  if (judged.kind === 'refused') {
    const { code, what } = judged.fault
    return running.reporter.keep({ notice: { code, what } })
  }
  if (judged.kind === 'known') return
  if (running.wanted !== null && running.wanted.seq >= desired.seq) return
  running.wanted = desired
  if (updater.state === 'DOWNLOADING' && board.journal.current.attempt?.seq !== 0) updater.withdraw()
  await next(running)
}

/** Goes on with the attempt of the journal, else begins the newest wish. */
async function next(running: Running): Promise<void> {
  const { board, duty, updater } = running
  if (!duty.settled || updater.state !== 'IDLE') return
  if (board.journal.current.attempt !== null) return updater.resume('IDLE', 'assigned')
  const { wanted } = running
  if (wanted === null) return
  running.wanted = null
  if (judge(wanted, board.journal.current, board.ports.clock.wallMs()).kind !== 'new') return
  await updater.begin({ kind: 'hub', desired: wanted })
}

async function answer(running: Running | null, request: LocalRequest): Promise<Result<LocalStatus, Fault>> {
  if (running === null) return fail(fault('EB-NO-AGENT', 'the agent is still starting', 'try again'))
  const { board, duty, updater } = running
  try {
    if (request.op !== 'status') {
      if (board.journal.current.attempt !== null)
        return fail(fault('EB-BUSY', `the device is ${updater.state}`))
      if (!duty.settled) return fail(fault('EB-TRIAL-OPEN', 'this boot has not proved itself yet'))
      const assignment = await localAssignment(board, request)
      if (!assignment.ok) return assignment
      await updater.begin(assignment.value)
    }
    return ok(localStatus(running))
  } catch (caught) {
    return fail(faultOf(caught))
  }
}

async function localAssignment(
  board: Board,
  request: Exclude<LocalRequest, { op: 'status' }>,
): Promise<Result<Assignment, Fault>> {
  if (request.op === 'install') {
    const { assigned: release } = await board.ports.openReleaseFile(request.file)
    return ok({ kind: 'file', path: request.file, desired: { v: 1, seq: 1, release } })
  }
  const seal = await board.refreshSeal(board.spare)
  return seal === null
    ? fail(fault('EB-WRONG-SLOT', `slot ${board.spare} holds no sealed release`))
    : ok({ kind: 'return', releaseId: seal.releaseId })
}

function localStatus(running: Running): LocalStatus {
  const { board, duty, hub, updater } = running
  const view = { state: updater.state, progress: updater.progress }
  return { status: snapshot(board, view, 1, {}), hubConnected: hub.connected, settled: duty.settled }
}

/**
 * Pets the watchdog. On a trial only up to the longest deadline of the trial: an agent that cannot come to
 * a verdict is a failed trial too.
 */
function petWhileAllowed(running: Running, queue: SerialQueue): void {
  const { board } = running
  const { clock, machine } = board.ports
  const { deadlineMs, networkDeadlineMs } = board.settings.health
  const last = Math.max(deadlineMs, networkDeadlineMs) + trialLimits.watchdogMs
  const pet = (): void => {
    if (queue.stopped) return
    const onTrial = standingOf(board.boot.record, board.own) === 'trial' && !running.duty.settled
    if (!onTrial || clock.monotonicMs() - board.handOver.bootMs < last) machine.pet()
    clock.timer(trialLimits.petMs, pet)
  }
  pet()
}

function waitOrWake(
  waitMs: number,
  cancelled: AbortSignal,
  wakers: Set<() => void>,
  timer: (durationMs: number, fire: () => void) => () => void,
): Promise<void> {
  if (cancelled.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const done = (): void => {
      cancelTimer()
      wakers.delete(done)
      cancelled.removeEventListener('abort', done)
      resolve()
    }
    const cancelTimer = timer(waitMs, done)
    wakers.add(done)
    cancelled.addEventListener('abort', done)
  })
}

interface SerialQueue {
  enqueue(work: () => Promise<void>): void
  end(): void
  readonly stopped: boolean
  /** Rejects with what a piece of work threw: the agent cannot go on and is started anew. */
  readonly ended: Promise<void>
}

/** One piece of work at a time, in order. */
function serialQueue(): SerialQueue {
  let stopped = false
  let finish = (): void => {}
  let crash = (_caught: unknown): void => {}
  const ended = new Promise<void>((resolve, reject) => {
    finish = resolve
    crash = reject
  })
  let tail: Promise<void> = Promise.resolve()
  return {
    enqueue(work) {
      tail = tail
        .then(() => (stopped ? undefined : work()))
        .catch((caught: unknown) => {
          stopped = true
          crash(caught)
        })
    },
    end() {
      stopped = true
      finish()
    },
    get stopped() {
      return stopped
    },
    ended,
  }
}
