/**
 * One soak: rounds of assign, strike, wait for rest, switch off, look at the disk, let rot, switch on.
 * Promise: after every attempt the disk, the database and the wire are looked at, and every rule is applied;
 * it ends at the first look that finds a violation, and then leaves everything as it was found.
 */
import { damageSlot } from '../../../bootloader-sim/adapters/damage.ts'
import { present } from '../../../core/assert.ts'
import { EverbootError, faultText } from '../../../core/errors.ts'
import { slotLimits } from '../../../core/limits.ts'
import { otherSlot, type SlotId } from '../../../core/units.ts'
import type { DeviceDetailView } from '../../../hub/http/views.ts'
import { Blows } from './adapters/blows.ts'
import { readColdDisk, readLiveRecord } from './adapters/cold-disk.ts'
import { readAttempts, readHub } from './adapters/hub-database.ts'
import { Interrupted, type Patience, waitFor } from './adapters/wait.ts'
import { deviceId, openWorld, type World } from './adapters/world.ts'
import { AttemptWatch } from './attempt-watch.ts'
import type { AttemptFacts, DiskFacts, KnownRelease, ReportFacts, Violation } from './facts.ts'
import { judge, type Look, secondReports } from './judgement.ts'
import { soakLimits } from './limits.ts'
import type { Sighting } from './phases.ts'
import { type PowerOff, planner, type Round } from './plan.ts'
import { type SoakResult, Tally, type TallyNumbers, type Violated } from './tally.ts'
import { bootFaults, couldCarry } from './verdicts.ts'

export interface SoakOptions {
  readonly seed: number
  readonly durationMs: number
  /** Rounds that are played even when the time is up. */
  readonly roundsMin: number
  readonly interrupted: AbortSignal
  /** Something to tell: what is being made, how an attempt ended. */
  readonly note: (line: string) => void
}

/** An attempt, and the disk before it. */
export interface DecidedAttempt {
  readonly facts: AttemptFacts
  readonly before: DiskFacts
}

export class Soak {
  readonly #options: SoakOptions
  readonly #tally = new Tally()
  readonly #stopped = new AbortController()
  readonly #patience: Patience
  readonly #violations: Violated[] = []
  readonly #assigned = new Set<number>()
  /** Every report ever seen at the hub, which forgets old ones. */
  readonly #reports = new Map<string, ReportFacts>()
  readonly #startMs = performance.now()
  #world: World | null = null
  #watch: AttemptWatch | null = null
  #blows: Blows | null = null
  #disk: DiskFacts | null = null
  #last: DecidedAttempt | null = null
  #handover: Extract<Sighting, { kind: 'handover' }> | null = null
  #closed = false

  constructor(options: SoakOptions) {
    this.#options = options
    this.#patience = { interrupted: AbortSignal.any([options.interrupted, this.#stopped.signal]) }
  }

  get world(): World {
    if (this.#world === null) throw new Error('the soak was not opened')
    return this.#world
  }

  /** The last look at the board's disk. */
  get disk(): DiskFacts {
    if (this.#disk === null) throw new Error('nobody has looked at the disk yet')
    return this.#disk
  }

  /** The last attempt that was looked at. */
  get last(): DecidedAttempt {
    if (this.#last === null) throw new Error('nothing was attempted yet')
    return this.#last
  }

  /** Makes everything, boots the factory system and looks at it. */
  async open(): Promise<void> {
    await this.#guarded(async () => {
      this.#world = await openWorld({
        patience: this.#patience,
        onSighting: (it) => this.#saw(it),
        onLost: (what) => this.#violate([{ rule: 'programs', what }]),
        onStep: (what) => this.#options.note(`making ${what}`),
      })
      this.world.board.on()
      await this.#rest('the factory system', soakLimits.bootMs)
      await this.#check('switch', null)
    })
  }

  /** Plays rounds until the time is up, a rule is broken, or it is interrupted. */
  async play(): Promise<void> {
    const next = planner(this.#options.seed)
    const end = performance.now() + this.#options.durationMs
    await this.#guarded(async () => {
      for (let played = 0; this.#violations.length === 0; played += 1) {
        if (performance.now() >= end && played >= this.#options.roundsMin) return
        await this.round(next())
      }
    })
  }

  numbers(): TallyNumbers {
    const passed = this.#world?.tap.counts() ?? { statuses: 0, acknowledged: 0 }
    return this.#tally.numbers({ ...passed, bytes: this.#world?.bytes() ?? 0 })
  }

  get violations(): readonly Violated[] {
    return this.#violations
  }

  /** One attempt under its blows, from a board that is off to a board that is off. */
  async round(round: Round): Promise<void> {
    const release = await this.world.release(round.version)
    await this.#switchOn()
    const before = this.disk
    const target = otherSlot(present(before.record, 'the boot record').priority)
    const blows = new Blows(this.world, this.#tally, round, target, (it) => this.#wentWrong(it))
    this.#blows = blows
    this.#watch = new AttemptWatch(target)
    // Beside the assignment, not before it.
    blows.phase('IDLE')
    const seq = await this.#attempt(round.number, release)
    await blows.end()
    await this.#rest(`the board after attempt ${seq}`, soakLimits.restMs)
    const { strikes, damaged } = blows
    const facts = { seq, release, target, strikes, damaged, ...this.#watch.facts() }
    this.#last = { facts, before }
    await this.#check(round.off, facts)
    const report = [...this.#reports.values()].find((it) => it.seq === seq)
    if (report === undefined) return
    this.#tally.ended(release.kind, report)
    const outcome = `${report.result}${report.code === null ? '' : ` (${report.code})`}`
    this.#options.note(`round ${round.number}: ${outcome} after ${blows.story.join(', ') || 'no strike'}`)
    if (this.#violations.length === 0) await this.#rot(round.rot)
  }

  /** Assigns the release. @returns the attempt, when the hub has its outcome */
  async #attempt(round: number, { id, kind }: KnownRelease): Promise<number> {
    const { hub } = this.world
    const { seq } = await hub.assign(id, deviceId)
    this.#assigned.add(seq)
    this.#options.note(`round ${round} begins: ${id} (${kind})`)
    await waitFor(`attempt ${seq} (${kind}) is decided`, soakLimits.restMs, this.#patience, () => {
      const state = readAttempts(hub.data).find((it) => it.seq === seq)?.state
      return state === 'succeeded' || state === 'failed' ? state : null
    })
    return seq
  }

  /** Looks at a board that is off. */
  async look(): Promise<Look> {
    const { board, hub, releases, tap } = this.world
    const wire = tap.facts()
    const { attempts } = await hub.get<DeviceDetailView>(`/v1/devices/${deviceId}`)
    const disk = await readColdDisk(board.directory, await board.file(), releases)
    return { disk, hub: readHub(hub.data), wire, attempts }
  }

  /** Every rule over one look. @param before the look before; null: the first */
  judge(look: Look, before: DiskFacts | null, attempt: AttemptFacts | null): readonly Violation[] {
    const known = { releases: this.world.releases, assigned: this.#assigned }
    return judge(look, before, attempt, known)
  }

  /** Ends everything. @returns what it came to */
  async close(): Promise<SoakResult> {
    this.#closed = true
    const { seed, interrupted } = this.#options
    const numbers = this.numbers()
    if (numbers.kills.total > numbers.strikes['kill agent'])
      this.#note([{ rule: 'programs', what: `the agent was killed ${numbers.kills.total} times, not by us` }])
    this.#note(secondReports(this.#reports.values()))
    await this.#blows?.end()
    const world = this.#world
    if (world !== null) this.#note(await world.close(this.#violations.length > 0))
    return {
      ...{ seed, ...numbers },
      seconds: Math.round((performance.now() - this.#startMs) / 1000),
      interrupted: interrupted.aborted,
      violations: this.#violations,
      kept: this.#violations.length > 0 && world !== null ? world.directory : null,
    }
  }

  async #check(off: PowerOff, attempt: AttemptFacts | null): Promise<void> {
    const { board } = this.world
    await board.off(off)
    const left = await board.left()
    this.#violate(left.map((what) => ({ rule: 'leak', what: `of a board that is off: ${what}` })))
    const look = await this.look()
    for (const it of look.hub.reports) this.#reports.set(it.key, it)
    this.#tally.count('checks')
    this.#violate(this.judge(look, this.#disk, attempt))
    this.#disk = look.disk
  }

  /** Destroys a slot of the board that is off, where the other one can carry it; it must fall back and say so. */
  async #rot(rot: Round['rot']): Promise<void> {
    const { record } = this.disk
    if (rot === null || record === null) return
    const { board, hub, releases } = this.world
    const running = record.priority
    const slot: SlotId = rot.where === 'running' ? running : otherSlot(running)
    if (!couldCarry(this.disk, releases)) return
    const file = await board.file()
    await damageSlot(board.directory, file, slot, rot.damage)
    this.#tally.count('rots')
    this.#options.note(`the ${rot.damage} of the ${rot.where} slot ${slot} rots`)
    this.#disk = await readColdDisk(board.directory, file, releases)
    if (rot.where === 'fallback') return
    const known = readHub(hub.data).fellBackIn.length
    await this.#switchOn()
    await waitFor('the hub hears that the board fell back', soakLimits.restMs, this.#patience, () =>
      readHub(hub.data).fellBackIn.length > known ? true : null,
    )
    await this.#check('plug', null)
  }

  async #switchOn(): Promise<void> {
    this.#handover = null
    this.world.board.on()
    const booted = await waitFor('the board boots', soakLimits.bootMs, this.#patience, () => this.#handover)
    this.#violate(bootFaults(this.disk, booted))
    await this.#rest('the board that was switched on', soakLimits.bootMs)
  }

  /** Waits until the agent has nothing to do and the record is what a healthy committed boot leaves. */
  async #rest(who: string, deadlineMs: number): Promise<void> {
    const { board } = this.world
    const file = await board.file()
    await waitFor(`${who} is at rest`, deadlineMs, this.#patience, async () => {
      if (!board.watcher.resting) return null
      const record = await readLiveRecord(board.directory, file)
      const own = record === null ? undefined : record[record.priority]
      const right = own?.ok === true && own.tries === slotLimits.committedTries
      return right && record?.priority === board.watcher.slot ? true : null
    })
  }

  #saw(it: Sighting): void {
    this.#tally.saw(it)
    this.#watch?.saw(it)
    this.#blows?.saw(it)
    if (it.kind === 'handover') this.#handover = it
    if (it.kind === 'agent ended')
      this.#violate([{ rule: 'programs', what: `the agent ended by itself: ${it.how}` }])
    if (it.kind === 'no slot') this.#violate([{ rule: 'boot', what: `no slot could be started: ${it.what}` }])
  }

  /** Runs what may be interrupted or fail; a failure is a violation too. */
  async #guarded(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (caught) {
      this.#wentWrong(caught)
    }
  }

  /** What could not come about is a violation, unless everything is being ended. */
  #wentWrong(caught: unknown): void {
    if (this.#patience.interrupted.aborted || caught instanceof Interrupted) return
    const what = caught instanceof EverbootError ? faultText(caught.fault) : String(caught)
    const lines = this.#world?.board.lastLines().join('\n') ?? ''
    this.#violate([{ rule: 'went wrong', what: `${what}\n${lines}` }])
  }

  /** Notes violations and ends the soak. */
  #violate(found: readonly Violation[]): void {
    this.#note(found)
    if (found.length > 0) this.#stopped.abort()
  }

  #note(found: readonly Violation[]): void {
    // What ends while everything is being ended is no surprise.
    const atMs = Math.round(performance.now() - this.#startMs)
    for (const it of found) if (!this.#closed || it.rule !== 'boot') this.#violations.push({ ...it, atMs })
  }
}
