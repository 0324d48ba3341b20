/**
 * One board in one world with everybody who looks on, and images of all that to go on from.
 * Promise: a scene from an image goes on exactly as any other from it would.
 * Leaves to others: what happens in it (player.ts), where the power goes (sweep/, swarm/).
 */
import type { Pending } from '../bootloader-sim/devices/fate.ts'
import type { LogEvent } from '../core/ports.ts'
import type { SlotId } from '../core/units.ts'
import type { Desired } from '../core/wire/messages.ts'
import type { BoardImage, BoardOptions, SimBoard } from './board-facts.ts'
import { allCheckers } from './checkers/all.ts'
import { type Conditions, calm } from './conditions.ts'
import { type CheckerStates, type Observer, observe } from './observer.ts'
import type { Behaviour, MadeRelease } from './publisher.ts'
import { wire } from './wiring.ts'
import { createWorld, type World, type WorldImage, type WorldParts } from './world.ts'

export const boardName = 'board-1'

export interface Scene {
  readonly world: World
  readonly board: SimBoard
  readonly observer: Observer
  readonly story: Story
}

/** Where the story stands. A value; replaced, never changed in place. */
export interface StoryState {
  /** Steps that were begun. */
  readonly step: number
  /** How systems behave now, whatever their images say. */
  readonly behaves: Readonly<Record<SlotId, Behaviour | null>>
  /** Until then the step that was begun lets time pass. */
  readonly untilMs: number
  readonly conditions: Conditions
  /** Wishes so far, oldest first. */
  readonly wishes: readonly Desired[]
  /** What there was when the story proper began. */
  readonly before: Before
}

export interface Before {
  readonly boots: number
  readonly statuses: number
  readonly wishes: number
  readonly logged: number
  readonly bytesSent: number
}

export interface Story {
  state: StoryState
  /** Told of each log event of the agent: orders may wait for it. */
  obey: (event: LogEvent) => void
}

/** A crash point: everything that a loss of power leaves, before fate decides. */
export interface SceneImage {
  readonly world: WorldImage
  readonly board: BoardImage
  readonly checkers: CheckerStates
  readonly story: StoryState
  /** What was not flushed. */
  readonly pending: readonly Pending[]
}

/** What scenes of one sweep share. */
export interface Stage {
  readonly parts: WorldParts
  /** By the names of the scenario; `factory` is what the board left the factory with. */
  readonly releases: ReadonlyMap<string, MadeRelease>
  readonly options: BoardOptions
}

const storyStart: StoryState = {
  step: 0,
  behaves: { a: null, b: null },
  untilMs: 0,
  conditions: calm,
  wishes: [],
  before: { boots: 0, statuses: 0, wishes: 0, logged: 0, bytesSent: 0 },
}

/** The story proper begins here: steps are counted anew, and so is what is expected. */
export function beginStory({ world, board, story }: Scene): void {
  const { state } = story
  const before = {
    boots: board.boots.length,
    statuses: world.statuses(boardName).length,
    wishes: state.wishes.length,
    logged: board.log.length,
    bytesSent: world.net.files.sent,
  }
  story.state = { ...state, step: 0, before }
}

/** A board as it comes from the factory; still without power. */
export async function firstScene(stage: Stage): Promise<Scene> {
  const world = await createWorld(stage.parts)
  const factory = stage.releases.get('factory')
  if (factory === undefined) throw new Error('a stage has a factory release')
  const board = await world.addBoard(boardName, factory, stage.options)
  for (const release of stage.releases.values()) await world.publish(release)
  return assemble(stage, world, board, storyStart)
}

/** The scene as an image shows it, when the power has gone with these fates; still without power. */
export async function sceneAfterCut(stage: Stage, image: SceneImage): Promise<Scene> {
  const world = await createWorld(stage.parts, image.world)
  const board = await world.returnBoard(boardName, image.board, stage.options)
  const scene = assemble(stage, world, board, image.story, image.checkers)
  board.powerOff()
  return scene
}

export function imageOf({ world, board, observer, story }: Scene): SceneImage {
  return {
    world: world.image(),
    board: board.image(),
    checkers: observer.states(),
    story: story.state,
    pending: board.storage.pending(),
  }
}

function assemble(
  stage: Stage,
  world: World,
  board: SimBoard,
  state: StoryState,
  checkers?: CheckerStates,
): Scene {
  const byId = new Map([...stage.releases.values()].map((it) => [it.manifest.id, it]))
  const observer = observe(world, board, byId, allCheckers, checkers)
  const story: Story = { state, obey: () => {} }
  board.behaves = (slot, says) => story.state.behaves[slot] ?? says
  const scene = { world, board, observer, story }
  wire(scene, stage)
  return scene
}
