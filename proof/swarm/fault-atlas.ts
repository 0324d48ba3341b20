/**
 * The fault atlas: every fault that the design claims to survive, each as a small thing that can be done to a
 * board, its network, its clock or its hub.
 * Promise: never both copies of the record, never both slots: what would excuse a dead board is not in here.
 * A fault that lasts can be taken back, so that a story ends in a world without faults.
 * Leaves to others: when and how many (swarm.ts).
 */
import { fatesOf } from '../../bootloader-sim/devices/fate.ts'
import type { Answer } from '../../bootloader-sim/devices/network.ts'
import type { SeededRandom } from '../../core/prng.ts'
import { encodeMessage } from '../../core/wire/messages.ts'
import { deviceTopic } from '../../core/wire/topics.ts'
import { boardName, type Scene } from '../scene.ts'
import { type Fault, lasting, seconds } from './fault.ts'
import { storageFaults } from './storage-faults.ts'

const leftovers = ['lost', 'kept', 'torn'] as const

function bendFor(name: string, bend: (answer: Answer, random: SeededRandom) => void): Fault {
  return {
    name,
    strike(scene, random) {
      const on = lasting(scene, random, 300)
      let left = 1 + random.below(4)
      scene.observer.planted('network-fault')
      scene.world.net.files.bend = (_, answer) => {
        if (!on() || left <= 0) return
        left -= 1
        bend(answer, random)
      }
    },
  }
}

const power: readonly Fault[] = [
  {
    name: 'power cut now',
    strike({ board }, random) {
      board.powerOff(fatesOf('torn', board.storage.pending(), random))
      void board.powerOn()
    },
  },
  {
    name: 'power cut at an operation',
    strike: ({ board }, random) =>
      board.cutAt(
        random.below(60),
        random.below(2) === 0 ? 'before' : 'after',
        leftovers[random.below(3)] ?? 'lost',
      ),
  },
  {
    name: 'two power cuts, the second during recovery',
    strike({ board }, random) {
      let again = true
      const second = random.below(30)
      board.onCut = () => {
        if (again) board.cutAt(second, 'before', 'torn')
        again = false
        return undefined
      }
      board.cutAt(random.below(40), 'after', leftovers[random.below(3)] ?? 'lost')
    },
  },
  {
    name: 'a short power failure',
    strike({ board, world }, random) {
      board.powerOff(leftovers[random.below(3)])
      world.time.clock.timer(random.below(30 * seconds), () => void board.powerOn())
    },
  },
  { name: 'agent killed', strike: ({ board }) => board.killAgent() },
]

const network: readonly Fault[] = [
  { name: 'connection to the broker breaks', strike: ({ board }) => board.cutLink() },
  {
    name: 'hub killed and started again',
    strike({ world }, random) {
      if (!world.net.broker.up) return
      world.stopHub()
      world.time.clock.timer(random.below(300 * seconds), () => void world.startHub())
    },
  },
  {
    name: 'broker does not answer',
    strike(scene, random) {
      const { broker } = scene.world.net
      broker.stalled = true
      scene.world.time.clock.timer(random.below(120 * seconds), () => {
        broker.stalled = false
        scene.board.cutLink()
      })
    },
  },
  {
    name: 'PUBACKs come late',
    strike({ world }, random) {
      world.net.broker.pubackTurns = random.below(20)
    },
  },
  {
    name: 'the wish is delivered again',
    strike({ world }) {
      const desired = world.hub().state().devices.get(boardName)?.desired
      if (desired == null) return
      const topic = deviceTopic(boardName, 'desired')
      void world.net.broker.publish({ topic, payload: encodeMessage(desired), qos: 1, retain: true })
    },
  },
  bendFor('server errors', (answer, random) => {
    Object.assign(answer, { status: [500, 502, 503, 429][random.below(4)], contentRange: null, etag: null })
  }),
  bendFor('connection reset at any byte', (answer, random) => {
    answer.breakAfter = random.below(Math.max(1, answer.body.length))
  }),
  bendFor('connection stalls at any byte', (answer, random) => {
    answer.stallAfter = random.below(Math.max(1, answer.body.length))
  }),
  bendFor('slow line', (answer) => {
    answer.partMs = 900
    answer.partBytes = 1024
  }),
  bendFor('the whole file for a range', (answer) => {
    Object.assign(answer, { status: 200, contentRange: null })
  }),
  bendFor('another range than asked for', (answer) => {
    if (answer.contentRange === null) return
    const { start, endExclusive, size } = answer.contentRange
    answer.contentRange = { start: start + 1, endExclusive: endExclusive + 1, size }
  }),
  bendFor('the ETag changes', (answer) => {
    if (answer.etag !== null) answer.etag = '"other"'
  }),
  bendFor('the page of a captive portal', (answer) => {
    const body = Buffer.from('<html>please log in</html>')
    Object.assign(answer, { status: 200, etag: null, contentRange: null, body })
  }),
  bendFor('a flipped byte on the line', (answer, random) => {
    const body = new Uint8Array(answer.body)
    const at = random.below(Math.max(1, body.length))
    body[at] = (body[at] ?? 0) ^ 0x40
    answer.body = body
  }),
]

const clock: readonly Fault[] = [
  { name: 'clock shows 1970', at: 0 },
  { name: 'clock shows 2038-01-19', at: 2_147_483_647_000 },
  { name: 'clock runs ten years ahead', by: 10 * 365 * 86_400 * seconds },
  { name: 'clock is one second late', by: -seconds },
  { name: 'clock is one year late', by: -365 * 86_400 * seconds },
].map(({ name, at, by }) => ({
  name,
  strike(scene, random) {
    const on = lasting(scene, random, 600)
    scene.observer.planted('clock-fault')
    scene.board.system.wallMs = (trueMs) => (on() ? (at ?? trueMs + (by ?? 0)) : trueMs)
  },
}))

export const faultAtlas: readonly Fault[] = [...power, ...network, ...clock, ...storageFaults]

/** Every fault that lasts is over. */
export async function healAll({ world, board, observer }: Scene): Promise<void> {
  world.net.files.bend = () => {}
  world.net.broker.stalled = false
  world.net.broker.pubackTurns = 0
  board.system.wallMs = (trueMs) => trueMs
  board.files.fault = () => {}
  for (const { faults } of board.storage.disks) {
    faults.read = () => undefined
    faults.write = () => undefined
    faults.flush = () => {}
  }
  board.onCut = () => undefined
  board.power.unplan()
  observer.tell({ kind: 'healed' })
  if (!world.net.broker.up) await world.startHub()
  board.cutLink()
}
