/**
 * What the scenarios of the device share: a world with one board that runs its factory release, and what must
 * hold after each of them.
 */
import { generateKeyPairSync } from 'node:crypto'
import { expect } from 'vitest'
import { readRecord, writeRecordTwice } from '../../core/boot-partition.ts'
import type { BootRecord } from '../../core/boot-record.ts'
import { type Fault, orThrow } from '../../core/errors.ts'
import type { FetchRequest } from '../../core/ports.ts'
import type { Result } from '../../core/result.ts'
import { type AssignedRelease, encodeMessage, type Report, type Status } from '../../core/wire/messages.ts'
import { type DeviceTopic, deviceTopic } from '../../core/wire/topics.ts'
import type { ReleaseFile } from '../../device/board.ts'
import type { LocalRequest, LocalStatus } from '../../device/local-request.ts'
import { type PssSigner, pssSigner } from '../../keys/signer.ts'
import { realParts, rememberingParts } from '../../proof/adapters/parts.ts'
import type { BoardOptions, SimBoard } from '../../proof/board-facts.ts'
import {
  assignedTo,
  type Behaviour,
  type MadeRelease,
  type MakeOptions,
  type Publisher,
  publisher,
} from '../../proof/publisher.ts'
import { createWorld, type World } from '../../proof/world.ts'

export const minute = 60_000
export const hour = 60 * minute

export const name = 'board-1'

export interface Scene {
  readonly world: World
  readonly board: SimBoard
  readonly v1: MadeRelease
  /** Makes and publishes a release. */
  release(version: string, behaviour: Behaviour, options?: MakeOptions): Promise<MadeRelease>
  /** Gives the board a wish. @returns its seq */
  assign(release: MadeRelease, throttle?: number): Promise<number>
  /** Waits until the hub has a verdict on the last wish. */
  verdict(limitMs?: number): Promise<string | null>
}

/** Keys and factory release, made once for many worlds. */
export interface Factory {
  readonly publisher: Publisher
  readonly v1: MadeRelease
}

export async function makeFactory(options: MakeOptions = {}): Promise<Factory> {
  const make = publisher(1, newPssSigner())
  return { publisher: make, v1: await make.make('1', 'healthy', options) }
}

export interface SceneOptions extends BoardOptions {
  /** Verification is remembered; for long sweeps. */
  readonly quick?: boolean
}

/** A board that runs release 1 and has told the hub so. */
export async function scene(factory?: Factory, options: SceneOptions = {}): Promise<Scene> {
  const made = factory ?? (await makeFactory())
  const parts = options.quick === true ? rememberingParts(made.publisher) : realParts(made.publisher)
  const world = await createWorld(parts)
  const board = await world.addBoard(name, made.v1, options)
  await board.powerOn()
  await world.time.until(
    () => world.hub().state().devices.get(name)?.reported != null && settled(board),
    hour,
  )
  return {
    world,
    board,
    v1: made.v1,
    async release(version, behaviour, options) {
      const it = await made.publisher.make(version, behaviour, options)
      await world.publish(it)
      return it
    },
    async assign(release, throttle) {
      await world.rollOut(release, [name], throttle)
      return world.wanted(name)
    },
    async verdict(limitMs = 6 * hour) {
      const closed = (): boolean => ['succeeded', 'failed'].includes(world.attemptState(name) ?? '')
      await world.time.until(closed, limitMs)
      return world.attemptState(name)
    },
  }
}

/** The boot has come to its verdict. */
export function settled(board: SimBoard): boolean {
  return board.log.some((it) => it.event === 'health')
}

/** The newest status at the hub. */
export function lastStatus(world: World): Status {
  const it = world.statuses(name).at(-1)
  expect(it).toBeDefined()
  return it as Status
}

/** I18: exactly one final report of this attempt, and it is true. */
export function theReport(world: World, seq: number): Report {
  const reports = world.statuses(name).filter((it) => it.report?.seq === seq)
  expect(
    reports.map((it) => it.report),
    `final reports of attempt ${seq}`,
  ).toHaveLength(1)
  const [status] = reports
  const report = status?.report
  expect(report).toBeDefined()
  if (status !== undefined && report !== undefined) expectTrue(status, report)
  return report as Report
}

/** I18 over all attempts: none has two final reports, every one is true. */
export function theReports(world: World): ReadonlyMap<number, Report> {
  const reports = new Map<number, Report>()
  for (const status of world.statuses(name)) {
    const { report } = status
    if (report === undefined) continue
    expect(reports.has(report.seq), `a second final report of attempt ${report.seq}`).toBe(false)
    reports.set(report.seq, report)
    expectTrue(status, report)
  }
  return reports
}

/** `ok` only when a committed slot holds the release; `failed` only when the running system does not. */
function expectTrue(status: Status, report: Report): void {
  const slots = [status.slots.a, status.slots.b]
  const committed = slots.some((it) => it.release === report.release && it.ok)
  const running = status.slots[status.slot]
  if (report.result === 'ok') expect(committed, `ok is true of ${report.release}`).toBe(true)
  else expect(running.release === report.release && running.ok, 'failed is true').toBe(false)
}

/** The record without what every boot changes. */
export function essence(record: BootRecord) {
  const { a, b, floor, priority } = record
  return { a, b, floor, priority }
}

/** Every byte of slot and record, for "unchanged". */
export async function storageOf(board: SimBoard) {
  return {
    spare: Buffer.from(board.slots.b.medium()).toString('base64'),
    written: board.slots.b.written(),
    record: essence(await board.record()),
  }
}

/** The image area of a slot holds exactly the image of a release. */
export function holds(board: SimBoard, slot: 'a' | 'b', release: MadeRelease): boolean {
  return Buffer.compare(board.slots[slot].medium(0, release.image.length), release.image) === 0
}

/** Notices that the hub has of the board, as codes in order. */
export function notices(world: World): readonly string[] {
  return world.statuses(name).flatMap((it) => (it.notice === undefined ? [] : [it.notice.code]))
}

/** Quick power cycles until a boot ends in `slot`; no agent gets further than its start. */
export async function cycleUntil({ board, world }: Scene, slot: 'a' | 'b'): Promise<number> {
  for (let cycles = 1; cycles <= 20; cycles += 1) {
    board.powerOff()
    await board.powerOn()
    if (board.boots.at(-1) === slot) return cycles
  }
  throw new Error(`slot ${slot} did not come in 20 boots at ${world.time.nowMs()}`)
}

/** A wish past the hub's own checks, as a hub that was taken over could send it. @returns its seq */
export async function wish({ world }: Scene, release: AssignedRelease, seq?: number): Promise<number> {
  const number = seq ?? world.time.clock.wallMs()
  await world.net.broker.publish({
    topic: deviceTopic(name, 'desired'),
    payload: encodeMessage({ v: 1, seq: number, release }),
    qos: 1,
    retain: true,
  })
  return number
}

/** Waits for the final report of an attempt, checks that it is the only one and true. */
export async function reported({ world }: Scene, seq: number, limitMs = 6 * hour): Promise<Report> {
  await world.time.until(() => world.reports(name).some((it) => it.seq === seq), limitMs)
  await world.time.pass(minute)
  return theReport(world, seq)
}

/** The board is idle, unharmed and installs the next good release. */
export async function stillUpdates(at: Scene): Promise<void> {
  expect(at.board.ends).toEqual([])
  expect(lastStatus(at.world)).toMatchObject({ state: 'IDLE', attempt: null })
  at.world.net.files.bend = () => {}
  const boots = at.board.boots.length
  const good = await at.release('good', 'healthy')
  const seq = await at.assign(good)
  expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
  expect(at.board.boots.length).toBe(boots + 1)
}

/** Writes a record as the current one, whatever stood there. */
export async function plantRecord(board: SimBoard, change: Partial<BootRecord>): Promise<void> {
  const copies = await readRecord(board.bootDisk)
  const record = { ...(await board.record()), ...change }
  await writeRecordTwice(board.bootDisk, copies, record)
}

/** A release file on the device, over the files of the hub. */
export function releaseFile({ world, board }: Scene, release: MadeRelease): ReleaseFile {
  const get = (request: FetchRequest) => world.net.files.get({ ...request, url: `https://hub${request.url}` })
  return { assigned: assignedTo(release, board.wrappingKey), fetch: { get }, close: async () => {} }
}

/** Asks the agent of the board; the answer comes in virtual time. */
export async function ask(at: Scene, request: LocalRequest): Promise<Result<LocalStatus, Fault>> {
  const agent = at.board.agent()
  expect(agent).not.toBeNull()
  let answer: Result<LocalStatus, Fault> | null = null
  void agent?.request(request).then((it) => {
    answer = it
  })
  await at.world.time.until(() => answer !== null, minute)
  expect(answer, 'an answer').not.toBeNull()
  return answer as unknown as Result<LocalStatus, Fault>
}

/** A message of the hub on a topic of the board, as it is. */
export async function say({ world }: Scene, kind: DeviceTopic, payload: unknown): Promise<void> {
  const bytes = payload instanceof Uint8Array ? payload : Buffer.from(JSON.stringify(payload))
  await world.net.broker.publish({ topic: deviceTopic(name, kind), payload: bytes, qos: 1, retain: false })
}

function newPssSigner(): PssSigner {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 65537 })
  return orThrow(pssSigner(privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, 'test key'))
}
