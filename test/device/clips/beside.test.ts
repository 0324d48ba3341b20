/** The clip cache beside the updater: nothing of it holds up or breaks what it lies beside. */
import { describe, expect, it } from 'vitest'
import { simFiles } from '../../../bootloader-sim/devices/file-store.ts'
import { clipLimits, servingLimits } from '../../../core/clip-limits.ts'
import { raise } from '../../../core/errors.ts'
import { clipsBeside } from '../../../device/clips/beside.ts'
import type { ClipService } from '../../../device/clips/clip-service.ts'
import { yieldingFiles } from '../../../device/clips/yielding-files.ts'
import {
  announce,
  atHub,
  bytesOf,
  type ClipWorld,
  clipWorld,
  codeOf,
  minute,
  openService,
  settled,
  wavOf,
} from './fixtures.ts'

interface Scene {
  readonly world: ClipWorld
  readonly log: string[]
  readonly clips: ReturnType<typeof clipsBeside>
  service: ClipService | null
  opens: () => Promise<void>
  serves: () => Promise<void>
  unserves: () => Promise<void>
}

function scene(): Scene {
  const world = clipWorld()
  const log: string[] = []
  const nothing = async (): Promise<void> => {}
  const clips = clipsBeside({
    clock: world.time.clock,
    events: world.ports.events,
    async open() {
      await it.opens()
      const service = await openService(world)
      it.service = service
      log.push('open')
      return { service, release: async () => void log.push('release') }
    },
    async serve() {
      await it.serves()
      return async () => {
        log.push('unserve')
        await it.unserves()
      }
    },
  })
  const it: Scene = { world, log, clips, service: null, opens: nothing, serves: nothing, unserves: nothing }
  return it
}

const said = ({ world }: Scene) => world.events.map(({ event }) => event)

describe('the clip cache beside the updater', () => {
  it('hears what was announced before it was open, the newest of each skill', async () => {
    const it = scene()
    const { world, clips } = it
    const list = (seq: number, id: string) =>
      announce(world, 'red', seq, [atHub(world, id, bytesOf(id, 300))])
    clips.announced('red', list(1, 'a'))
    clips.announced('red', list(2, 'b'))
    clips.linkUp()
    expect([clips.newFigures(), await clips.giveWay(10)]).toEqual([null, 0])
    clips.start()
    await world.time.pass(minute)
    expect(Array.from(it.service?.list() ?? [], ({ id }) => id)).toEqual(['b'])
    expect(world.server.requests).toHaveLength(2)
    clips.announced('red', list(3, 'c'))
    await world.time.pass(minute)
    expect(Array.from(it.service?.list() ?? [], ({ id }) => id)).toEqual(['c'])
  })

  it('remembers no more than it can have skills before it is open', async () => {
    const it = scene()
    for (let at = 0; at < clipLimits.skillsMax + 500; at += 1)
      it.clips.announced(`skill-${at}`, Buffer.from('none'))
    it.clips.start()
    await it.world.time.pass(minute)
    expect(said(it).filter((event) => event === 'skill refused')).toHaveLength(clipLimits.skillsMax)
  })

  it('is tried again when it cannot be opened or served, and its files are let go meanwhile', async () => {
    const it = scene()
    it.opens = async () => raise('EB-CLIP-LOCKED', 'planted')
    it.clips.start()
    await it.world.time.pass(servingLimits.reopenMs - 1)
    expect(said(it)).toEqual(['clips closed'])
    it.opens = async () => {}
    it.serves = async () => raise('EB-PORT-IN-USE', 'planted')
    await it.world.time.pass(10)
    expect(it.log).toEqual(['open', 'release'])
    expect(it.clips.newFigures()).toBeNull()
    it.serves = async () => {}
    await it.world.time.pass(servingLimits.reopenMs)
    expect(it.log).toEqual(['open', 'release', 'open'])
    expect(it.clips.newFigures()).toMatchObject({ items: 0 })
    expect(it.clips.newFigures()).toBeNull()
  })

  it('lets its files go whatever fails at its end, and is not opened any more', async () => {
    const it = scene()
    it.clips.start()
    await it.world.time.pass(10)
    it.unserves = async () => raise('EB-FILE', 'planted')
    await settled(it.world, it.clips.close())
    expect(it.log).toEqual(['open', 'unserve', 'release'])
    expect(said(it)).toContain('clips not closed')
    it.clips.start()
    await it.world.time.pass(minute)
    expect(it.log).toHaveLength(3)
    const never = scene()
    never.opens = async () => raise('EB-CLIP-LOCKED', 'planted')
    never.clips.start()
    await never.world.time.pass(10)
    await settled(never.world, never.clips.close())
    await never.world.time.pass(minute)
    expect([never.log, never.world.time.timers()]).toEqual([[], 0])
  })

  it('gives way to the agent, and to nobody when it fails itself', async () => {
    const it = scene()
    it.clips.start()
    await it.world.time.pass(10)
    const about = {
      id: 'a',
      skill: 'notes',
      language: null,
      private: false,
      pinned: false,
      ttlMs: 0,
      claims: {},
    } as const
    await it.service?.put(about, wavOf('a', 9_000))
    const figures = it.clips.newFigures()
    expect(figures?.items).toBe(1)
    expect(await it.clips.giveWay(1)).toBe(figures?.sizeBytes)
    await it.service?.put(about, wavOf('a', 9_000))
    it.world.files.fault = () => raise('EB-DATA-IO', 'planted')
    expect(await it.clips.giveWay(1)).toBe(0)
    expect(said(it)).toContain('clips do not give way')
  })
})

describe('files of the agent beside clips', () => {
  it('are written once more when clips gave way on a full medium, and only then', async () => {
    for (const freed of [0, 500]) {
      const files = simFiles()
      const asked: number[] = []
      const yielding = yieldingFiles(files, {
        async giveWay(bytes) {
          asked.push(bytes)
          files.fault = () => {}
          return freed
        },
      })
      for (const [operation, work] of [
        ['write', () => yielding.write('journal', Buffer.alloc(2_000_000))],
        ['rename', () => yielding.rename('journal', 'other')],
        ['syncFile', () => yielding.syncFile('other')],
        ['syncDir', () => yielding.syncDir()],
      ] as const) {
        files.fault = (now) => {
          if (now === operation) raise('EB-DATA-FULL', 'planted')
        }
        expect(await codeOf(work())).toBe(freed === 0 ? 'EB-DATA-FULL' : undefined)
      }
      expect(asked).toEqual([
        2_000_000,
        servingLimits.yieldBytes,
        servingLimits.yieldBytes,
        servingLimits.yieldBytes,
      ])
      files.fault = () => raise('EB-DATA-IO', 'planted')
      expect(await codeOf(yielding.write('journal', Buffer.alloc(1)))).toBe('EB-DATA-IO')
      expect(asked).toHaveLength(4)
    }
  })
})
