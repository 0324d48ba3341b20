/**
 * The device agent: takes one event at a time, lets the update table decide, does what it says, and tells
 * the hub.
 * Promise: built by this factory in production and in simulation alike; everything it touches is a port.
 * After any stop (kill, power cut) a new agent finds its place again from hand-over, record and journal.
 * Leaves to others: the rules (update/), the boot (boot/boot-duty.ts), what is said (report/).
 */
import { EverbootError, type Fault, fault } from '../core/errors.ts'
import { trialLimits, wireLimits } from '../core/limits.ts'
import { fail, type Result } from '../core/result.ts'
import { inhibitLimits } from '../core/service-limits.ts'
import type { Desired } from '../core/wire/messages.ts'
import { type AgentPorts, type Board, openBoard } from './board.ts'
import { type BootDuty, createBootDuty } from './boot/boot-duty.ts'
import { yieldingFiles } from './clips/yielding-files.ts'
import { answer, type LocalRequest, type LocalStatus } from './local-request.ts'
import { createHubLink, type HubLink } from './report/hub-link.ts'
import { createReporter, type Reporter } from './report/reporter.ts'
import { inbox, type SerialQueue, serialQueue } from './serial-queue.ts'
import type { AgentSettings } from './settings.ts'
import { judge } from './update/assignment.ts'
import { standingOf } from './update/boot-rules.ts'
import { createHold, type Hold } from './update/hold.ts'
import { createUpdater, type Updater } from './update/updater.ts'
import { wait } from './wait.ts'

export interface Agent {
  /** Runs until `stop`. @throws EverbootError when boot partition or journal cannot be used at all */
  run(): Promise<void>
  /** @returns the answer; for `install` and `rollback` as soon as the attempt has begun. */
  request(request: LocalRequest): Promise<Result<LocalStatus, Fault>>
  stop(): void
}

export function createAgent(given: AgentPorts, settings: AgentSettings): Agent {
  const { clips } = given
  const ports = clips === undefined ? given : { ...given, files: yieldingFiles(given.files, clips) }
  const queue = serialQueue()
  let running: Running | null = null
  return {
    async run() {
      const board = await openBoard(ports, settings)
      const parts = startParts(board, queue)
      running = parts
      queue.enqueue(async () => {
        await announce(parts)
        parts.hub.open()
        await parts.duty.begin()
      })
      try {
        await queue.ended
      } catch (caught) {
        await tellTheEnd(parts, caught)
        throw caught
      } finally {
        await shutDown(parts)
      }
    },
    request(request) {
      return new Promise((resolve) => {
        queue.enqueue(async () => {
          const starting = fault('EB-NO-AGENT', 'the agent is still starting', 'try again')
          resolve(running === null ? fail(starting) : await answer(running, request))
          if (running !== null && request.op !== 'status') await lookAgain(running)
        })
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
  readonly queue: SerialQueue
  readonly hold: Hold
  /** Wakes whoever waits for the network. */
  readonly wake: () => void
  /** The newest assignment of the hub that is not begun yet. */
  wanted: Desired | null
  /** `seq` of the last assignment that was refused; it may be delivered many times. */
  refused: number
  /** `seq` of the last assignment that could not be begun. */
  hindered: number
  /** Drops the next try to begin. */
  cancelAgain: () => void
}

function startParts(board: Board, queue: SerialQueue): Running {
  const { ports } = board
  const wakers = new Set<() => void>()
  const wake = (): void => {
    for (const waker of [...wakers]) waker()
  }
  const reboot = async (): Promise<never> => {
    running.reporter.show()
    await running.reporter.drain(wireLimits.lastWordMs)
    const how = await board.loader.prepareReboot(board.boot)
    ports.events.emit({ event: 'reboot' })
    return ports.machine.reboot(how)
  }
  const hold = createHold(board, () => running.reporter.show())
  const reporter = createReporter(
    board,
    () => ({ state: running.updater.state, progress: running.updater.progress, inhibited: hold.current }),
    wake,
  )
  const updater = createUpdater(board, {
    reporter,
    enqueue: queue.enqueue,
    reboot,
    rollBack: () => running.duty.giveWay(),
    leave: () => running.duty.leave(),
    idle: () => queue.enqueue(() => next(running)),
    untilActive: (cancelled) => hold.untilActive(cancelled),
    waitForLink: (waitMs, cancelled) => wait(ports.clock, waitMs, cancelled, wakers),
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
    desired: inbox(queue, (desired: Desired) => assigned(running, desired)),
    refresh: () => reporter.show(),
    reboot: inbox<void>(queue, async () => {
      if (updater.state === 'IDLE' && duty.settled && (await hold.asked('activate')) === null) await reboot()
    }),
  })
  const parts = { board, reporter, updater, duty, hub, queue, hold, wake }
  const running: Running = { ...parts, wanted: null, refused: 0, hindered: 0, cancelAgain: () => {} }
  petWhileAllowed(running, queue)
  return running
}

/** The first status of this run; also sets numbers aside. A full data partition must not keep the agent from running. */
async function announce({ board, reporter }: Running): Promise<void> {
  await reporter.keepSoon({}, (it) => ({ ...it, connection: it.connection + 1 }))
  const { journalLost: lost } = board
  if (lost !== null) await reporter.keepSoon({ notice: { code: lost.code, what: lost.what } })
}

/** The agent ends by a fault and is started anew: where the hub can be reached it hears why. */
async function tellTheEnd({ board, reporter }: Running, caught: unknown): Promise<void> {
  if (!(caught instanceof EverbootError)) return
  const { code, what } = caught.fault
  await reporter.keepSoon({ notice: { code, what } })
  await reporter.drain(wireLimits.lastWordMs)
  await board.ports.clock.sleep(wireLimits.endPauseMs)
}

/** Nothing goes on after this; an open attempt is found again by the next start. */
async function shutDown({ cancelAgain, hub, reporter, updater }: Running): Promise<void> {
  cancelAgain()
  updater.withdraw()
  reporter.close()
  await hub.close()
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
    if (running.refused === desired.seq) return
    running.refused = desired.seq
    return running.reporter.keepSoon({ notice: { code, what } })
  }
  if (judged.kind === 'known') return
  if (running.wanted !== null && running.wanted.seq >= desired.seq) return
  running.wanted = desired
  const { attempt } = board.journal.current
  const waits = updater.state === 'DOWNLOADING' || running.hold.current?.step === 'activate'
  if (waits && attempt !== null && attempt.seq !== 0) updater.withdraw()
  await next(running)
}

/** Goes on with the attempt of the journal, else begins the newest wish. */
async function next(running: Running): Promise<void> {
  const { board, duty, updater } = running
  if (!duty.settled || updater.state !== 'IDLE') return
  const { wanted } = running
  const open = board.journal.current.attempt !== null
  if (!open && wanted === null) return
  if (!(await running.hold.mayStart())) return again(running, inhibitLimits.lookMs)
  if (open) return updater.resume('IDLE', 'assigned')
  if (wanted === null) return
  running.wanted = null
  if (judge(wanted, board.journal.current, board.ports.clock.wallMs()).kind !== 'new') return
  try {
    await updater.begin({ kind: 'hub', desired: wanted })
  } catch (caught) {
    await notBegun(running, wanted, caught)
  }
}

/** Tries to begin once more in a while. */
function again(running: Running, waitMs: number): void {
  running.cancelAgain()
  running.cancelAgain = running.board.ports.clock.timer(waitMs, () =>
    running.queue.enqueue(() => next(running)),
  )
}

/** Somebody on the device has said something: what waits need not wait for its next look. */
async function lookAgain(running: Running): Promise<void> {
  running.hold.wake()
  running.wake()
  await next(running)
}

/** The journal does not take the attempt: the wish stays, and is tried again in a while. */
async function notBegun(running: Running, wanted: Desired, caught: unknown): Promise<void> {
  if (!(caught instanceof EverbootError)) throw caught
  const { board, reporter } = running
  running.wanted = wanted
  const { code, what } = caught.fault
  board.ports.events.emit({ event: 'not begun', seq: wanted.seq, code, what })
  again(running, wireLimits.keepRetryMs)
  if (running.hindered === wanted.seq) return
  running.hindered = wanted.seq
  await reporter.keepSoon({ notice: { code, what: `assignment ${wanted.seq} waits: ${what}` } })
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
