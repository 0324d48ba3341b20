/**
 * What a status does to the picture the hub has of a device.
 * Promise: the outcome is the same for any order and any repetition of the statuses of one life: each is
 * kept once under (device, bootId, seq), the reported state moves forward only, a verdict is taken from the
 * first final report of the newest life. The acknowledgement follows the commit, for repetitions too.
 * Leaves to others: rollouts' counts (../rollouts/machine.ts), the database (../store).
 */
import { present } from '../../core/assert.ts'
import { fault } from '../../core/errors.ts'
import { hubLimits } from '../../core/limits.ts'
import { fail, ok } from '../../core/result.ts'
import type { Status } from '../../core/wire/messages.ts'
import { attemptAfter, countsAfter } from '../rollouts/machine.ts'
import type {
  Attempt,
  Device,
  Effect,
  HubState,
  Life,
  Notice,
  Reported,
  StatusOrder,
  Step,
  Write,
} from './model.ts'

export const firstLife: Life = { number: 1, firstBoot: null, boots: [], formerBoots: [] }

/** @returns the new state; EB-NOT-FOUND when the hub does not know the device. */
export function takeStatus(state: HubState, deviceId: string, status: Status, atMs: number): Step {
  const device = state.devices.get(deviceId)
  if (device === undefined) {
    return { state, effects: [], answer: fail(fault('EB-NOT-FOUND', `there is no device ${deviceId}`)) }
  }
  const life = lifeAfter(device, status)
  const order = {
    life: life.formerBoots.includes(status.bootId) ? life.number - 1 : life.number,
    seq: status.seq,
  }
  const attempts = device.attempts.map((it) => attemptAfter(it, status, order, atMs))
  const reported = reportedAfter(device.reported, status, order, atMs)
  const notice = noticeAfter(device.notice, status, order, atMs)
  const changed = attempts.filter((it, index) => it !== device.attempts[index])
  const advanced = reported !== device.reported
  const writes: Write[] = [{ kind: 'add-status', device: deviceId, life: order.life, status, atMs }]
  let next = state
  if (advanced || changed.length > 0 || life !== device.life || notice !== device.notice) {
    const after: Device = {
      ...device,
      life,
      reported,
      notice,
      attempts: changed.length > 0 ? attempts : device.attempts,
    }
    next = { ...next, devices: next.devices.set(deviceId, after) }
    writes.push({ kind: 'put-device', device: after })
  }
  const counted = countChanges(next, device.attempts, attempts, atMs)
  const effects: Effect[] = [
    { kind: 'commit', writes: [...writes, ...counted.writes] },
    { kind: 'send-ack', device: deviceId, bootId: status.bootId, seq: status.seq },
    ...logs(deviceId, status, changed, advanced),
  ]
  return { state: counted.state, effects, answer: ok({ id: deviceId, changed: advanced }) }
}

/** True when a comes after b in the life of a device. */
export function isAfter(a: StatusOrder, b: StatusOrder): boolean {
  return a.life > b.life || (a.life === b.life && a.seq > b.seq)
}

/**
 * A second status 1 from another boot means that the board lost its data: its next life begins. So does one
 * that comes later than any outbox could hold it back, when the hub has not seen the first.
 */
function lifeAfter({ life, reported }: Device, status: Status): Life {
  const { bootId, seq } = status
  if (life.formerBoots.includes(bootId)) return life
  const known = life.boots.includes(bootId)
  const late = reported !== null && reported.seq > hubLimits.statusesKept && !known
  if (seq === 1 && life.firstBoot !== bootId && (life.firstBoot !== null || late)) {
    const formerBoots = life.boots.filter((it) => it !== bootId)
    return { number: life.number + 1, firstBoot: bootId, boots: [bootId], formerBoots }
  }
  const firstBoot = seq === 1 ? bootId : life.firstBoot
  if (known) return firstBoot === life.firstBoot ? life : { ...life, firstBoot }
  return { ...life, firstBoot, boots: [...life.boots, bootId].slice(-hubLimits.bootsKept) }
}

function reportedAfter(
  known: Reported | null,
  status: Status,
  order: StatusOrder,
  atMs: number,
): Reported | null {
  if (known !== null && !isAfter(order, known)) return known
  const { v: _version, report: _report, notice: _notice, ...rest } = status
  return { ...rest, life: order.life, atMs }
}

function noticeAfter(known: Notice | null, status: Status, order: StatusOrder, atMs: number): Notice | null {
  if (status.notice === undefined || (known !== null && !isAfter(order, known.order))) return known
  const { code, what } = status.notice
  return { code, what, order, bootId: status.bootId, atMs }
}

/** The rollouts of the attempts that changed, and what to write for them. */
function countChanges(
  state: HubState,
  before: readonly Attempt[],
  after: readonly Attempt[],
  atMs: number,
): { readonly state: HubState; readonly writes: readonly Write[] } {
  let { rollouts } = state
  const writes: Write[] = []
  after.forEach((attempt, index) => {
    const old = present(before[index], 'attempt before the status')
    if (old === attempt) return
    const rollout = rollouts.get(attempt.rollout)
    if (rollout === undefined) return
    writes.push({ kind: 'put-attempt', attempt })
    if (old.state === attempt.state) return
    const counted = countsAfter(rollout, old.state, attempt.state, atMs)
    rollouts = rollouts.set(counted.id, counted)
    writes.push({ kind: 'put-rollout', rollout: counted })
  })
  return { state: rollouts === state.rollouts ? state : { ...state, rollouts }, writes }
}

function logs(device: string, status: Status, changed: readonly Attempt[], advanced: boolean): Effect[] {
  const effects: Effect[] = changed.map((it) => ({
    kind: 'log',
    event: { event: 'attempt', device, rollout: it.rollout, state: it.state, code: it.code },
  }))
  if (advanced && status.notice !== undefined) {
    const { code, what } = status.notice
    effects.push({ kind: 'log', event: { event: 'notice', device, code, what } })
  }
  return effects
}
