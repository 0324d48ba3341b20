/** The lists of skills: kept sealed, replaced in one step, and which skill a clip belongs to. */
import { describe, expect, it } from 'vitest'
import { listEntry } from '../../../audio/list-entry.ts'
import { simFiles } from '../../../bootloader-sim/devices/file-store.ts'
import { createPower } from '../../../bootloader-sim/devices/power.ts'
import { raise } from '../../../core/errors.ts'
import type { ListedClip } from '../../../core/wire/skills.ts'
import { Catalog, type SkillList } from '../../../device/clips/catalog.ts'
import { cacheKeys } from '../../../device/clips/clip-key.ts'
import { bytesOf, codeOf, seededEntropy, someAudio } from './fixtures.ts'

const keys = cacheKeys(new Uint8Array(32).fill(5))
const lists = { key: keys.lists, nameOf: (skill: string) => keys.nameOf('s', Buffer.from(skill)) }
const clip = (id: string, sound = id): ListedClip =>
  listEntry(id, bytesOf(sound, 100), someAudio, { language: null })
const list = (skill: string, seq: number, ...clips: readonly string[]): SkillList => ({
  ...{ skill, seq, version: `v${seq}` },
  clips: clips.map((id) => clip(id)),
})

async function opened(files = simFiles(), seed = 1) {
  const catalog = new Catalog({ files, entropy: seededEntropy(seed), lists })
  return { files, catalog, lost: await catalog.load() }
}

const owner = (catalog: Catalog, id: string) => catalog.find(id)?.skill ?? null

describe('the catalog', () => {
  it('knows after a start what it was given, and shows nothing of it on the medium', async () => {
    const { files, catalog } = await opened()
    await catalog.keep(list('red', 3, 'hello', 'bye'))
    await catalog.keep({ ...list('~blue', 1, 'mine'), forgotten: ['gone'] })
    const { catalog: again, lost } = await opened(files)
    expect(lost).toBe(0)
    expect(again.get('red')).toEqual(list('red', 3, 'hello', 'bye'))
    expect(again.get('~blue')?.forgotten).toEqual(['gone'])
    expect(again.find('bye')).toEqual({ skill: 'red', clip: clip('bye') })
    expect([again.get('green'), again.find('nothing')]).toEqual([null, null])
    for (const name of await files.list()) {
      expect(name).toMatch(/^s[0-9a-f]{32}$/)
      expect(Buffer.from(files.content(name) ?? []).includes('hello')).toBe(false)
    }
  })

  it('replaces a list whole', async () => {
    const { files, catalog } = await opened()
    await catalog.keep(list('red', 1, 'a', 'b'))
    await catalog.keep({ ...list('red', 2, 'b'), clips: [clip('b', 'another sound'), clip('c')] })
    for (const it of [catalog, (await opened(files)).catalog]) {
      expect(it.find('a')).toBeNull()
      expect(it.find('b')?.clip).toEqual(clip('b', 'another sound'))
      expect(owner(it, 'c')).toBe('red')
      expect([...it.skills()].map(({ seq }) => seq)).toEqual([2])
    }
    expect(await files.list()).toHaveLength(1)
  })

  it('lets the first of several skills keep a clip, and the next one have it when that lets it go', async () => {
    const { catalog } = await opened()
    await catalog.keep(list('red', 5, 'x'))
    await catalog.keep(list('blue', 6, 'x'))
    await catalog.keep(list('green', 7, 'x'))
    expect(owner(catalog, 'x')).toBe('red')
    // To say it again changes nothing.
    await catalog.keep(list('red', 8, 'x', 'y'))
    await catalog.keep(list('blue', 9, 'x', 'z'))
    expect(owner(catalog, 'x')).toBe('red')
    await catalog.keep(list('red', 10, 'y'))
    expect(owner(catalog, 'x')).toBe('blue')
    await catalog.keep(list('green', 11))
    await catalog.keep(list('blue', 12))
    expect(owner(catalog, 'x')).toBeNull()
    await catalog.keep(list('red', 13, 'x'))
    expect(owner(catalog, 'x')).toBe('red')
  })

  it('has a clip that moved from one skill to another, whichever list comes first, also after a start', async () => {
    for (const order of [
      ['red', 'blue'],
      ['blue', 'red'],
    ]) {
      const { files, catalog } = await opened()
      await catalog.keep(list('red', 1, 'x', 'y'))
      for (const skill of order) {
        await catalog.keep(skill === 'red' ? list('red', 2, 'y') : list('blue', 3, 'x'))
      }
      expect([owner(catalog, 'x'), owner(catalog, 'y')]).toEqual(['blue', 'red'])
      expect(owner((await opened(files)).catalog, 'x')).toBe('blue')
    }
  })

  it('gives a clip of several skills to the older list after a start, whatever the files are called', async () => {
    const names = ['red', 'blue', 'green', 'white', 'black']
    const { files, catalog } = await opened()
    for (const [at, skill] of names.entries()) await catalog.keep(list(skill, 10 - at, 'x'))
    for (let start = 0; start < 3; start += 1) expect(owner((await opened(files)).catalog, 'x')).toBe('black')
  })

  it('takes a list that cannot be read for none, removes it, and leaves other files alone', async () => {
    const damage: readonly ((bytes: Buffer) => Uint8Array)[] = [
      (bytes) => bytes.subarray(0, bytes.length - 1),
      (bytes) => bytes.subarray(0, 10),
      () => new Uint8Array(),
      (bytes) => Buffer.concat([Buffer.from('EBL2'), bytes.subarray(4)]),
      (bytes) => Buffer.concat([bytes, Buffer.of(0)]),
      (bytes) => Buffer.from(bytes).fill(0, 60),
    ]
    for (const change of damage) {
      const { files, catalog } = await opened()
      await catalog.keep(list('red', 1, 'a'))
      await catalog.keep(list('blue', 1, 'b'))
      const name = lists.nameOf('red')
      files.put(name, change(Buffer.from(files.content(name) ?? [])))
      files.put('some-notes', Buffer.from('of somebody'))
      files.put(`${lists.nameOf('blue')}.new`, Buffer.from('half'))
      const { catalog: again, lost } = await opened(files)
      expect(lost).toBe(1)
      expect([again.get('red'), again.find('a')]).toEqual([null, null])
      expect(owner(again, 'b')).toBe('blue')
      expect([...(await files.list())].sort()).toEqual([lists.nameOf('blue'), 'some-notes'].sort())
      expect((await opened(files)).lost).toBe(0)
    }
  })

  it('does not take the list of one skill for that of another', async () => {
    const { files, catalog } = await opened()
    await catalog.keep(list('red', 1, 'a'))
    files.put(lists.nameOf('blue'), files.content(lists.nameOf('red')) ?? new Uint8Array())
    const { catalog: again } = await opened(files)
    expect(again.get('blue')).toBeNull()
    expect([...again.skills()]).toHaveLength(1)
  })

  it('knows the old list when the new one could not be kept', async () => {
    for (const operation of ['write', 'syncFile', 'rename', 'syncDir'] as const) {
      const { files, catalog } = await opened()
      await catalog.keep(list('red', 1, 'a'))
      files.fault = (now) => {
        if (now === operation) raise('EB-DATA-FULL', 'planted')
      }
      expect(await codeOf(catalog.keep(list('red', 2, 'b')))).toBe('EB-DATA-FULL')
      files.fault = () => {}
      expect([owner(catalog, 'a'), owner(catalog, 'b')]).toEqual(['red', null])
      await catalog.keep(list('red', 3, 'c'))
      expect((await opened(files)).catalog.get('red')?.seq).toBe(3)
    }
  })

  it('has the old or the new list whole, wherever the power goes', async () => {
    for (let cut = 0, more = true; more; cut += 1) {
      const power = createPower()
      const files = simFiles(power)
      const { catalog } = await opened(files)
      await catalog.keep(list('red', 1, 'a'))
      more = false
      power.cutWhen((_, n) => n === cut, 'after')
      power.onCut = () => {
        more = true
      }
      void catalog.keep(list('red', 2, 'b'))
      await new Promise(setImmediate)
      for (const fate of ['lost', 'kept', 'front', 'back'] as const) {
        const left = simFiles()
        left.restore(files.image())
        left.crash(left.pending().map(({ tearable }) => (tearable || fate === 'lost' ? fate : 'kept')))
        const { catalog: again, lost } = await opened(left)
        expect(lost).toBe(0)
        expect([1, 2]).toContain(again.get('red')?.seq)
        expect(await left.list()).toHaveLength(1)
      }
    }
  })
})
