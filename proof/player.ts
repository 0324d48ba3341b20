/**
 * Plays the steps of a scenario on a scene, from wherever its story stands.
 * Promise: a step that was begun before a cut is not begun again; what takes time goes on until it is done.
 * Leaves to others: what is done at once (deeds.ts), what must hold afterwards (verdict.ts, the checkers).
 */
import { present } from '../core/assert.ts'
import type { LogEvent } from '../core/ports.ts'
import { atRest } from './at-rest.ts'
import { perform } from './deeds.ts'
import { boardName, type Scene, type Stage } from './scene.ts'
import type { Step, StepOf } from './steps.ts'
import { change } from './wiring.ts'

/** Virtual time within which anything must have come about that a scenario waits for. */
const waitMs = 6 * 3_600_000
/** Two slots with their tries, re-armed twice. */
const cyclesMax = 40

/** @returns false when the story did not go on in time, or an invariant did not hold */
export async function play(scene: Scene, steps: readonly Step[], stage: Stage): Promise<boolean> {
  const { story, observer } = scene
  story.obey = (event) => obey(scene, event, stage)
  const begun = steps[story.state.step - 1]
  // The boot after a cut counts for whoever waits for one.
  if (begun !== undefined && !(await goOn(scene, begun, scene.board.boots.length - 1))) return false
  while (story.state.step < steps.length) {
    const step = present(steps[story.state.step], 'step')
    const untilMs = scene.world.time.nowMs() + (step.do === 'pass' ? step.ms : 0)
    story.state = { ...story.state, step: story.state.step + 1, untilMs }
    if (step.do === 'when') change(story, { orders: [...story.state.conditions.orders, step] })
    else if (!takesTime(step)) await perform(scene, step, stage)
    if (!(await goOn(scene, step, scene.board.boots.length)) || observer.violation() !== null) return false
  }
  return true
}

function takesTime(step: Step): step is StepOf<'wait' | 'pass' | 'cycle-until'> {
  return step.do === 'wait' || step.do === 'pass' || step.do === 'cycle-until'
}

/** Waits until a step that takes time is done; to be called again after a cut. @param boots so many were before it */
async function goOn(scene: Scene, step: Step, boots: number): Promise<boolean> {
  const { time } = scene.world
  if (step.do === 'cycle-until') return cycleUntil(scene, step.slot)
  if (step.do === 'pass') await time.pass(Math.max(0, scene.story.state.untilMs - time.nowMs()))
  return step.do !== 'wait' || waitFor(scene, step.for, boots)
}

async function waitFor(scene: Scene, what: StepOf<'wait'>['for'], boots: number): Promise<boolean> {
  const { world, observer } = scene
  const come = condition(scene, what, boots)
  const came = await world.time.until(() => observer.violation() !== null || come(), waitMs)
  // A cut that has not come by now is not to come later.
  if (came && what === 'off' && !scene.story.state.conditions.off) {
    change(scene.story, { cut: null })
    scene.board.power.unplan()
  }
  return came
}

function condition(scene: Scene, what: StepOf<'wait'>['for'], boots: number): () => boolean {
  const { board, observer, story, world } = scene
  const trial = (): boolean => {
    const slot = board.boots.at(-1)
    return slot !== undefined && observer.truth.record()?.[slot].ok === false
  }
  switch (what) {
    case 'rest':
      return () => atRest(scene)
    case 'closed':
      return () => ['succeeded', 'failed'].includes(world.attemptState(boardName) ?? '')
    case 'download':
      return () => board.log.findLast((it) => it.event === 'update')?.['to'] === 'DOWNLOADING'
    case 'boot':
      return () => board.boots.length > boots
    case 'trial':
      return trial
    case 'off':
      return () => story.state.conditions.off || atRest(scene)
  }
}

async function cycleUntil({ board }: Scene, slot: 'a' | 'b'): Promise<boolean> {
  for (let cycle = 0; cycle < cyclesMax; cycle += 1) {
    board.powerOff()
    await board.powerOn()
    if (board.boots.at(-1) === slot) return true
  }
  return false
}

/** Carries out the orders for which this is the moment. */
function obey(scene: Scene, event: LogEvent, stage: Stage): void {
  const { story, board } = scene
  for (const order of story.state.conditions.orders) {
    if (order.slot !== undefined && board.boots.at(-1) !== order.slot) continue
    if (!Object.entries(order.logged).every(([key, value]) => event[key] === value)) continue
    const left = story.state.conditions.orders.filter((it) => it !== order)
    const due = order.nth === 0
    change(story, { orders: due ? left : [...left, { ...order, nth: order.nth - 1 }] })
    if (due) void performAll(scene, order.deeds, stage)
  }
}

async function performAll(scene: Scene, deeds: StepOf<'when'>['deeds'], stage: Stage): Promise<void> {
  for (const deed of deeds) await perform(scene, deed, stage)
}
