/**
 * kill -9 of the agent as an operation of a story begins, in the boot that goes on: the operation still takes
 * effect, the program never hears of it, and the next run of the agent reads from caches what no flush has reached.
 * Promise: the kill comes, or it is a failure of the proof.
 * Leaves to others: which operations there are, what must hold (explore.ts).
 */
import { assert } from '../../core/assert.ts'
import type { Scene } from '../scene.ts'

/**
 * @param operation counts from now on, from 0
 * @returns to be called when the story is over: fails when the kill has not come
 */
export function killAt({ board }: Scene, operation: number): () => void {
  const { power } = board
  const begin = power.onBegin
  let count = 0
  let came = false
  power.onBegin = (name) => {
    begin(name)
    if (count === operation) {
      assert(board.agent() !== null, `an agent runs at operation ${operation}, ${name}`)
      board.killAgent()
      came = board.agent() === null
    }
    count += 1
  }
  return () => assert(came, `the kill at operation ${operation} of ${count} did not come`)
}
