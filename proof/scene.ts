/**
 * One board in one world with everybody who looks on, and images of all that to go on from.
 * Promise: a scene from an image goes on exactly as any other from it would.
 * Leaves to others: what happens in it (player.ts), where the power goes (sweep/, swarm/).
 */
import type { Pending } from '../bootloader-sim/devices/fate.ts'
import type { SlotId } from '../core/units.ts'
import type { BoardImage, BoardOptions, SimBoard } from './board-facts.ts'
import { allCheckers } from './checkers/all.ts'
import { type CheckerStates, type Observer, observe } from './observer.ts'
import type { Behaviour, MadeRelease } from './publisher.ts'
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
  /** Boots when the story proper began. */
  readonly bootsBefore: number
}

export interface Story {
  state: StoryState
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

export const storyStart: StoryState = { step: 0, behaves: { a: null, b: null }, bootsBefore: 0 }

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
  const story: Story = { state }
  board.behaves = (slot, says) => story.state.behaves[slot] ?? says
  return { world, board, observer, story }
}
