/**
 * Does what a scenario says, at once, to a simulated board and what is around it.
 * Promise: what checkers must know to judge fairly they are told: rot, lost copies, bad networks.
 * Leaves to others: steps that take time (player.ts), what lasts (conditions.ts).
 */
import { present, unreachable } from '../core/assert.ts'
import { bootPartition, encodeRecord, withSlot } from '../core/boot-record.ts'
import { slotLimits } from '../core/limits.ts'
import { seededRandom } from '../core/prng.ts'
import { blockBytes } from '../core/units.ts'
import { type Desired, encodeMessage } from '../core/wire/messages.ts'
import { deviceTopic } from '../core/wire/topics.ts'
import { sealOffset } from '../images/release/slot-layout.ts'
import { spoils } from './answers.ts'
import { copyTables, replaceTables } from './hub-store.ts'
import { otherJournal } from './other-journals.ts'
import { assignedTo } from './publisher.ts'
import { boardName, type Scene, type Stage } from './scene.ts'
import type { Deed, StepOf } from './steps.ts'
import { faultAtlas, healAll } from './swarm/fault-atlas.ts'
import { change, fatesFor, planCut, serveFiles, wireFaults } from './wiring.ts'

/** Rot falls into the second piece: the first says how the system behaves. */
const rottenByte = 5000
/** Behind the image, whose length all releases of a stage share. */
const rottenTreeByte = 5

export async function perform(scene: Scene, deed: Deed, stage: Stage): Promise<void> {
  const { world, board, observer, story } = scene
  const { conditions } = story.state
  switch (deed.do) {
    case 'assign':
      await world.rollOut(releaseOf(stage, deed.release), [boardName], deed.throttle)
      return remember(scene, world.hub().state().devices.get(boardName)?.desired ?? null)
    case 'forge':
      return forge(scene, deed, stage)
    case 'redeliver':
      return deliver(scene, deed.wish === 'first' ? story.state.wishes[0] : story.state.wishes.at(-1))
    case 'cut-at':
      change(story, { cut: deed })
      return planCut(scene)
    case 'power-cycle':
      board.powerOff(fatesFor(deed.left))
      return board.powerOn()
    case 'power':
      change(story, { off: deed.is === 'off' })
      if (deed.is === 'on') return board.powerOn()
      return board.powerOff(fatesFor(deed.left))
    case 'kill-agent':
      return board.killAgent()
    case 'behave':
      story.state = { ...story.state, behaves: { ...story.state.behaves, [deed.slot]: deed.as } }
      return observer.planted('misbehaves', deed.slot)
    case 'rot': {
      const disk = board.slots[deed.slot]
      observer.planted('rot', deed.slot)
      if (deed.where === 'head') return disk.plant(0, new Uint8Array(blockBytes))
      const tree = releaseOf(stage, 'factory').image.length
      const place = { image: rottenByte, tree: tree + rottenTreeByte, seal: sealOffset(disk.sizeBytes) }
      return disk.rot(place[deed.where])
    }
    case 'lose':
      return lose(scene, deed.what)
    case 'record':
      return putRecord(scene, deed)
    case 'journal':
      otherJournal(board.files, deed.becomes)
      if (deed.becomes !== 'newer') observer.planted('data-lost')
      return
    case 'cut-link':
      return board.cutLink()
    case 'statuses':
      if (deed.arrive !== 'once') observer.planted('network-fault')
      return change(story, { statuses: deed.arrive })
    case 'late-will':
      return lateWill(scene)
    case 'hub':
      return hubIs(scene, deed.is)
    case 'answer':
      if (spoils(deed.with)) observer.planted('network-fault')
      return change(story, { answers: [...conditions.answers, deed] })
    case 'tamper':
      observer.planted('network-fault')
      change(story, { tampered: [...conditions.tampered, deed] })
      return serveFiles(scene, stage)
    case 'fault':
      return present(
        faultAtlas.find((it) => it.name === deed.name),
        deed.name,
      ).strike(scene, seededRandom(deed.seed))
    case 'boot-partition-fails':
      observer.planted('storage-fault')
      return change(story, { bootFails: true })
    case 'heal':
      return heal(scene, stage)
    default:
      return unreachable(deed)
  }
}

function releaseOf({ releases }: Stage, name: string) {
  return present(releases.get(name), `release ${name}`)
}

function remember({ story }: Scene, wish: Desired | null): void {
  if (wish !== null) story.state = { ...story.state, wishes: [...story.state.wishes, wish] }
}

async function forge(scene: Scene, deed: StepOf<'forge'>, stage: Stage): Promise<void> {
  const { world, board } = scene
  const release = assignedTo(releaseOf(stage, deed.release), board.wrappingKey)
  const bytes = deed.manifestBytes ?? release.manifest.bytes
  const manifest = { ...release.manifest, bytes }
  const wish = {
    v: 1 as const,
    seq: deed.seq ?? world.time.clock.wallMs(),
    release: { ...release, manifest },
  }
  remember(scene, wish)
  await deliver(scene, wish)
}

async function deliver({ world }: Scene, wish: Desired | undefined): Promise<void> {
  if (wish === undefined) return
  const topic = deviceTopic(boardName, 'desired')
  await world.net.broker.publish({ topic, payload: encodeMessage(wish), qos: 1, retain: true })
}

function lose({ board, observer }: Scene, what: StepOf<'lose'>['what']): void {
  const blank = (offset: number, bytes: number): void => board.bootDisk.plant(offset, new Uint8Array(bytes))
  if (what === 'stamp') {
    blank(bootPartition.stampOffset, slotLimits.stampBytes)
    observer.planted('stamp')
    return
  }
  const newest = observer.truth.newestCopy()
  const lost = { 'record-0': [0], 'record-1': [1], 'newest-record': [newest], record: [0, 1] }[what]
  for (const copy of lost) blank(present(bootPartition.copyOffsets[copy], 'copy'), slotLimits.recordCopyBytes)
  observer.planted(what === 'record' ? 'record' : 'record-copy')
}

function putRecord({ board, observer }: Scene, { set }: StepOf<'record'>): void {
  const now = present(observer.truth.record(), 'record')
  const a = {
    ok: (set.a_ok ?? Number(now.a.ok)) > 0,
    sv: set.a_sv ?? now.a.sv,
    tries: set.a_tries ?? now.a.tries,
  }
  const b = {
    ok: (set.b_ok ?? Number(now.b.ok)) > 0,
    sv: set.b_sv ?? now.b.sv,
    tries: set.b_tries ?? now.b.tries,
  }
  const next = { ...withSlot(withSlot(now, 'a', a), 'b', b), floor: set.floor ?? now.floor }
  bootPartition.copyOffsets.forEach((offset, copy) => {
    const block = encodeRecord({ ...next, sequence: now.sequence + 1 + copy })
    board.bootDisk.plant(offset, present(block, 'a record that can be written'))
  })
  observer.planted('record-copy')
}

async function lateWill({ world }: Scene): Promise<void> {
  const presence = world.hub().state().devices.get(boardName)?.presence
  if (presence == null) return
  const { bootId, connection } = presence
  const will = { v: 1 as const, online: false, bootId, connection: connection - 1 }
  await world.net.broker.onDevice(deviceTopic(boardName, 'presence'), encodeMessage(will))
}

async function hubIs({ world, observer, story }: Scene, is: StepOf<'hub'>['is']): Promise<void> {
  const { broker } = world.net
  const { backup } = story.state.conditions
  switch (is) {
    case 'down':
      change(story, { hub: 'down' })
      return world.stopHub()
    case 'up':
      change(story, { hub: 'up' })
      return world.startHub()
    case 'dying':
      return change(story, { dying: 'after commit' })
    case 'dying unheard':
      return change(story, { dying: 'before commit' })
    case 'saved':
      return change(story, {
        backup: { tables: copyTables(world.store.tables), retained: new Map(broker.retained) },
      })
    case 'restored': {
      const { tables, retained } = present(backup, 'a hub that was saved')
      world.stopHub()
      replaceTables(world.store.tables, tables)
      broker.retained.clear()
      for (const [topic, payload] of retained) broker.retained.set(topic, payload)
      observer.planted('hub-restored')
      change(story, { hub: 'up' })
      return world.startHub()
    }
  }
}

async function heal(scene: Scene, stage: Stage): Promise<void> {
  const { story, observer } = scene
  const over = { dying: null, bootFails: false, cut: null }
  change(story, { ...over, hub: 'up', statuses: 'once', answers: [], tampered: [] })
  await healAll(scene)
  serveFiles(scene, stage)
  wireFaults(scene)
  observer.tell({ kind: 'healed' })
}
