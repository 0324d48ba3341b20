/**
 * Lists of skills are taken in, and the power goes at every operation on the files, with every fate of what was not synced:
 * each skill is then as one of its lists says, whole, and follows the hub again.
 */
import { describe, expect, it } from 'vitest'
import type { Pending } from '../../../bootloader-sim/devices/fate.ts'
import { type FilesImage, simFiles } from '../../../bootloader-sim/devices/file-store.ts'
import { createPower } from '../../../bootloader-sim/devices/power.ts'
import { present } from '../../../core/assert.ts'
import type { ListedClip } from '../../../core/wire/skills.ts'
import type { ClipService } from '../../../device/clips/clip-service.ts'
import { type CrashPoint, crashStates } from '../../../proof/sweep/crash-states.ts'
import {
  announce,
  atHub,
  bytesOf,
  type ClipWorld,
  clipWorld,
  contentFiles,
  minute,
  openService,
  played,
  settled,
} from './fixtures.ts'

type Lists = readonly (readonly ListedClip[] | null)[]

interface Image {
  readonly files: FilesImage
  readonly pending: readonly Pending[]
  /** How many announcements were carried out and told of. */
  readonly told: number
}

const clip = (world: ClipWorld, id: string, name: string) => atHub(world, id, bytesOf(name, 700))

function listsOf(world: ClipWorld): { readonly red: Lists; readonly blue: Lists } {
  const one = (id: string, name = id) => clip(world, id, name)
  return {
    red: [
      [one('a'), one('b'), one('x')],
      [one('b', 'b changed'), one('c'), one('a')],
      null,
      [one('a', 'a changed'), one('d')],
    ],
    // Shares a content with the other, and gets a clip that the other had.
    blue: [[one('e', 'a')], [one('e', 'a'), one('x')]],
  }
}

const order = [
  ['red', 0],
  ['blue', 0],
  ['red', 1],
  ['blue', 1],
  ['red', 2],
  ['red', 3],
] as const

/** The whole story, each announcement carried out and all that is fetched ahead of it. */
async function play(
  world: ClipWorld,
  service: ClipService,
  from: number,
  told: (count: number) => void,
): Promise<void> {
  const lists = listsOf(world)
  for (const [at, [skill, number]] of order.entries()) {
    if (at < from) continue
    const payload = announce(world, skill, number + 1, lists[skill][number] ?? null)
    await settled(world, service.announced(skill, payload))
    told(at + 1)
    await world.time.pass(minute)
  }
}

/** Clips of a skill that came by a list, as text. */
function listedOf(service: ClipService, skill: string): readonly string[] {
  return Array.from(service.list())
    .filter((it) => it.skill === skill && it.listed)
    .map(({ id, content }) => `${id} ${Buffer.from(content.key, 'latin1').toString('hex')}`)
}

const isOf = (list: readonly ListedClip[] | null | undefined, clips: readonly string[]): boolean => {
  const may = new Set((list ?? []).map(({ id, sha256 }) => `${id} ${sha256}`))
  return clips.every((it) => may.has(it))
}

async function recorded(): Promise<readonly CrashPoint<Image>[]> {
  const power = createPower()
  const files = simFiles(power)
  const base = clipWorld()
  const world = { ...base, files, ports: { ...base.ports, files } }
  const points: CrashPoint<Image>[] = []
  let told = 0
  const image = (): Image => ({ files: files.image(), pending: files.pending(), told })
  const service = await openService(world)
  power.onBegin = (name) => {
    points.push({ number: points.length, name, phase: `${told}`, atMs: 0, before: image(), after: null })
  }
  power.onDone = (name) => {
    const at = points.findLastIndex((it) => it.name === name)
    points[at] = { ...present(points[at], 'its point'), after: image() }
  }
  await play(world, service, 0, (count) => {
    told = count
  })
  return points
}

describe('lists of skills', () => {
  it('are whole and in step wherever the power goes, and go on from there', async () => {
    const points = await recorded()
    expect(points.length).toBeGreaterThan(80)
    const seen = new Map<string, number>()
    let states = 0
    for (const point of points) {
      for (const { image, fates } of crashStates(point)) {
        states += 1
        // Chance is another one in each run of the program.
        const base = clipWorld(1 + states)
        const { files } = base
        files.restore(image.files)
        files.crash(fates)
        const key = `${image.told} ${await fingerprint(base)}`
        if (seen.has(key)) continue
        seen.set(key, states)
        await check(base, image.told, `${point.number} ${point.name}`)
      }
    }
    expect(seen.size).toBeGreaterThan(100)
  }, 120_000)
})

async function fingerprint({ files }: ClipWorld): Promise<string> {
  const names = [...(await files.list())].sort()
  return names.map((name) => `${name}:${Buffer.from(files.content(name) ?? []).toString('base64')}`).join()
}

async function check(world: ClipWorld, told: number, where: string): Promise<void> {
  const lists = listsOf(world)
  world.server.up = false
  const service = await openService(world)
  expect(
    world.events.filter(({ event }) => event === 'clips lost' || event === 'lists lost'),
    where,
  ).toEqual([])
  const carried = { red: -1, blue: -1 }
  for (const [skill, number] of order.slice(0, told)) carried[skill] = number
  for (const skill of ['red', 'blue'] as const) {
    const clips = listedOf(service, skill)
    const before = carried[skill] < 0 ? null : lists[skill][carried[skill]]
    const after = order[told]?.[0] === skill ? lists[skill][order[told][1]] : before
    expect(isOf(before, clips) || isOf(after, clips), `${where}: ${skill} has ${clips}`).toBe(true)
  }
  // The hub is there again, and says once more what it said last of each skill, and then what is new.
  world.server.up = true
  service.linkUp()
  await play(world, service, Math.max(0, told - 2), () => {})
  const [last] = lists.red.slice(-1)
  expect([...listedOf(service, 'red')].sort(), where).toEqual(
    (last ?? []).map(({ id, sha256 }) => `${id} ${sha256}`).sort(),
  )
  expect(listedOf(service, 'blue'), where).toHaveLength(2)
  expect((await played(world, service, 'x')).equals(bytesOf('x', 700)), where).toBe(true)
  expect((await played(world, service, 'a')).equals(bytesOf('a changed', 700)), where).toBe(true)
  await settled(world, service.close())
  const contents = new Set(Array.from(service.list(), ({ content }) => content.key))
  expect(await contentFiles(world), where).toHaveLength(contents.size)
}
