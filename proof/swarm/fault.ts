/**
 * What a fault of the atlas is.
 */
import type { SeededRandom } from '../../core/prng.ts'
import type { Scene } from '../scene.ts'

export interface Fault {
  readonly name: string
  /** Now. */
  strike(scene: Scene, random: SeededRandom): void
}

export const seconds = 1000

/** Takes effect until `untilMs`; the swarm clears what is left at the end of the unsafe phase. */
export function lasting(scene: Scene, random: SeededRandom, secondsMax: number): () => boolean {
  const untilMs = scene.world.time.nowMs() + random.below(secondsMax * seconds)
  return () => scene.world.time.nowMs() < untilMs
}
