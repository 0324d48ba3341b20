/**
 * Plays the steps of a scenario on a scene, from wherever its story stands.
 * Promise: a step that was begun before a cut is not begun again; waiting goes on until its condition holds.
 * Leaves to others: what must hold afterwards (verdict.ts, the checkers).
 */

import { present, unreachable } from '../core/assert.ts'
import { bootPartition } from '../core/boot-record.ts'
import { slotLimits } from '../core/limits.ts'
import { encodeMessage } from '../core/wire/messages.ts'
import { deviceTopic } from '../core/wire/topics.ts'
import { sealOffset } from '../images/release/slot-layout.ts'
import { atRest } from './at-rest.ts'
import type { Step } from './scenario.ts'
import { boardName, type Scene, type Stage } from './scene.ts'

/** Virtual time within which anything must have come about that a scenario waits for. */
const waitMs = 6 * 3_600_000
const cyclesMax = 40

/** @returns false when the story did not go on in time, or an invariant did not hold */
export async function play(scene: Scene, steps: readonly Step[], stage: Stage): Promise<boolean> {
  const { story, observer } = scene
  // The last step that was begun: only waiting can have been interrupted.
  const begun = steps[story.state.step - 1]
  if (begun?.do === 'wait' && !(await waitFor(scene, begun.for))) return false
  while (story.state.step < steps.length) {
    const step = present(steps[story.state.step], 'step')
    story.state = { ...story.state, step: story.state.step + 1 }
    if (!(await perform(scene, step, stage)) || observer.violation() !== null) return false
  }
  return true
}

async function perform(scene: Scene, step: Step, stage: Stage): Promise<boolean> {
  const { world, board, observer, story } = scene
  switch (step.do) {
    case 'assign':
      await world.rollOut(present(stage.releases.get(step.release), step.release), [boardName])
      return true
    case 'wait':
      return waitFor(scene, step.for)
    case 'pass':
      await world.time.pass(step.ms)
      return true
    case 'cut-at': {
      const pattern = new RegExp(step.operation)
      let seen = 0
      board.cutWhen(
        (name) => {
          if (!pattern.test(name)) return false
          seen += 1
          return seen > step.nth
        },
        step.when,
        step.left,
      )
      return true
    }
    case 'power-cycle':
      board.powerOff(step.left)
      await board.powerOn()
      return true
    case 'cycle-until':
      return cycleUntil(scene, step.slot)
    case 'kill-agent':
      board.killAgent()
      return true
    case 'cut-link':
      board.cutLink()
      return true
    case 'behave':
      story.state = { ...story.state, behaves: { ...story.state.behaves, [step.slot]: step.as } }
      return true
    case 'rot': {
      const disk = board.slots[step.slot]
      disk.rot(step.where === 'seal' ? sealOffset(disk.sizeBytes) : 5000)
      observer.planted('rot', step.slot)
      return true
    }
    case 'lose':
      await lose(scene, step.what)
      return true
    case 'hub':
      if (step.is === 'down') world.stopHub()
      else await world.startHub()
      return true
    case 'redeliver': {
      const desired = world.hub().state().devices.get(boardName)?.desired
      if (desired == null) return true
      const topic = deviceTopic(boardName, 'desired')
      await world.net.broker.publish({ topic, payload: encodeMessage(desired), qos: 1, retain: true })
      return true
    }
    default:
      return unreachable(step)
  }
}

async function waitFor(scene: Scene, what: Extract<Step, { do: 'wait' }>['for']): Promise<boolean> {
  const { world, board, observer } = scene
  const violated = (): boolean => observer.violation() !== null
  if (what === 'rest') return world.time.until(() => violated() || atRest(scene), waitMs)
  if (what === 'closed') return world.time.until(() => violated() || closed(scene), waitMs)
  const boots = board.boots.length
  const trial = (): boolean => {
    const record = observer.truth.record()
    const slot = board.boots.at(-1)
    return slot !== undefined && record?.[slot].ok === false
  }
  const come = (): boolean => board.boots.length > boots && (what === 'boot' || trial())
  return world.time.until(() => violated() || come(), waitMs)
}

/** The hub has a final report of the newest wish. */
function closed({ world }: Scene): boolean {
  return ['succeeded', 'failed'].includes(world.attemptState(boardName) ?? '')
}

async function cycleUntil({ board }: Scene, slot: 'a' | 'b'): Promise<boolean> {
  for (let cycle = 0; cycle < cyclesMax; cycle += 1) {
    board.powerOff()
    await board.powerOn()
    if (board.boots.at(-1) === slot) return true
  }
  return false
}

async function lose({ board, observer }: Scene, what: Extract<Step, { do: 'lose' }>['what']): Promise<void> {
  const blank = (offset: number, bytes: number): void => board.bootDisk.plant(offset, new Uint8Array(bytes))
  const [first, second] = bootPartition.copyOffsets
  const copies = [first, second]
  if (what === 'stamp') {
    blank(bootPartition.stampOffset, slotLimits.stampBytes)
    return observer.planted('stamp')
  }
  const newest = observer.truth.newestCopy()
  const lost = { 'record-0': [0], 'record-1': [1], 'newest-record': [newest], record: [0, 1] }[what]
  for (const copy of lost) blank(present(copies[copy], 'copy'), slotLimits.recordCopyBytes)
  observer.planted(what === 'record' ? 'record' : 'record-copy')
}
