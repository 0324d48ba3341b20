/**
 * Makes the conditions of a story felt in its scene: the file server, the broker, the boot partition and the
 * power ask the state of the story whenever it matters.
 * Promise: a scene that was made from a crash image is under the same conditions as the one that was cut.
 * Leaves to others: what the conditions are (conditions.ts), orders (player.ts).
 */
import { EverbootError, fault } from '../core/errors.ts'
import { parseDeviceTopic } from '../core/wire/topics.ts'
import { bend } from './answers.ts'
import type { Conditions } from './conditions.ts'
import { nextCut } from './next-cut.ts'
import type { Scene, Stage, Story } from './scene.ts'
import type { Left, StepOf } from './steps.ts'
import { tampered } from './tampering.ts'

/** More than a crash ever leaves pending. */
const pendingMax = 4096
const fileNames = { manifest: 'manifest.json', index: 'rootfs.index', blob: 'rootfs.blob' } as const

/** To be called once for each scene, before its power comes on. */
export function wire(scene: Scene, stage: Stage): void {
  const { world, board, story } = scene
  serveFiles(scene, stage)
  wireFaults(scene)
  wireBroker(scene)
  const told = board.onLog
  board.onLog = (event) => {
    told(event)
    story.obey(event)
  }
  const kept = world.onKept
  world.onKept = (device, status) => {
    kept(device, status)
    if (story.state.conditions.dying !== 'after commit') return
    change(story, { dying: null, hub: 'down' })
    world.stopHub()
  }
  if (story.state.conditions.hub === 'down') world.stopHub()
  planCut(scene)
}

export function change(story: Story, conditions: Partial<Conditions>): void {
  story.state = { ...story.state, conditions: { ...story.state.conditions, ...conditions } }
}

/** Every file of every release as it is now at the hub. */
export function serveFiles({ world, story }: Scene, { releases }: Stage): void {
  const factory = releases.get('factory')
  for (const [name, release] of releases) {
    for (const [file, bytes] of release.files) {
      const changed = story.state.conditions.tampered.findLast(
        (it) => it.release === name && fileNames[it.file] === file,
      )
      const path = `/blobs/${release.manifest.id}/${file}`
      const other = factory?.files.get(file) ?? bytes
      world.net.files.files.set(path, changed === undefined ? bytes : tampered(bytes, changed.how, other))
    }
  }
}

/** What `heal` of the fault atlas takes away too. */
export function wireFaults({ world, board, story }: Scene): void {
  world.net.files.bend = (request, answer) => {
    const { answers } = story.state.conditions
    const one = answers.find((it) => it.times !== 0 && request.url.endsWith(`/${fileNames[it.file]}`))
    if (one === undefined) return
    if (one.times !== null) {
      const after = { ...one, times: one.times - 1 }
      change(story, { answers: answers.map((it) => (it === one ? after : it)) })
    }
    bend(answer, one.with, one)
  }
  board.bootDisk.faults.write = () => {
    if (story.state.conditions.bootFails)
      throw new EverbootError(fault('EB-SLOT-IO', 'boot: EIO, as the scenario wants it'))
    return undefined
  }
}

/** Plans the cut that the story waits for. */
export function planCut({ board, story }: Pick<Scene, 'board' | 'story'>): void {
  const { cut } = story.state.conditions
  if (cut === null) return
  const pattern = new RegExp(cut.operation)
  const next = nextCut(cut)
  const stays = cut.stays === 'off' && next === null
  board.onCut = () => {
    if (next !== null) planCut({ board, story })
    return stays ? 'stay off' : undefined
  }
  board.cutWhen(
    (name) => {
      const now: StepOf<'cut-at'> | null = story.state.conditions.cut
      if (now === null || !pattern.test(name)) return false
      const comes = now.nth === 0
      change(story, comes ? { cut: next, off: stays } : { cut: { ...now, nth: now.nth - 1 } })
      return comes
    },
    cut.when,
    fatesFor(cut.left),
  )
}

/** What `powerOff` takes. */
export function fatesFor(left: Left) {
  return left === 'front' || left === 'back' ? new Array<typeof left>(pendingMax).fill(left) : left
}

/**
 * Statuses that come once, twice, or once more after the next one, or to a hub that dies. A hub that starts anew
 * listens anew.
 */
function wireBroker({ world, story }: Scene): void {
  const { broker } = world.net
  let before: (() => Promise<void>) | null = null
  const listen = (): void => {
    const heard = broker.onDevice
    broker.onDevice = async (topic, payload) => {
      const deliver = (): Promise<void> => heard(topic, payload)
      const isStatus = parseDeviceTopic(topic)?.kind === 'status'
      if (isStatus && story.state.conditions.dying === 'before commit') {
        change(story, { dying: null, hub: 'down' })
        // The PUBACK is on its way.
        return world.time.soon(() => world.stopHub())
      }
      await deliver()
      if (!isStatus) return
      const { statuses } = story.state.conditions
      if (statuses === 'twice') await deliver()
      else if (statuses === 'late again') await before?.()
      before = deliver
    }
  }
  listen()
  const restarted = world.onRestart
  world.onRestart = () => {
    restarted()
    listen()
  }
}
