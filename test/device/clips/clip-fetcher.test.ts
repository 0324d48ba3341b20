/** Who is fetched when: once for all who want it, those who wait first, and the hub is left alone when it fails. */
import { describe, expect, it } from 'vitest'
import { servingLimits } from '../../../core/clip-limits.ts'
import { raise } from '../../../core/errors.ts'
import type { ListedClip } from '../../../core/wire/skills.ts'
import { ClipDownload } from '../../../device/clips/clip-download.ts'
import { ClipFetcher, type MakeRoom, type Urgency } from '../../../device/clips/clip-fetcher.ts'
import { about, atHub, bytesOf, clipWorld, codeOf, contentFiles, openStore, settled } from './fixtures.ts'

const { breakerMs, breakerFailures, fetchesMax, negativeMs, waitingMax } = servingLimits

async function scene(makeRoom: MakeRoom = async (_bytes, _urgency, begin) => begin()) {
  const world = clipWorld()
  const { store } = await openStore(world)
  const fetcher = new ClipFetcher(world.ports, store, 'https://hub', makeRoom)
  const clip = (id: string, sound = id): ListedClip => atHub(world, id, bytesOf(sound, 20_000))
  const fetch = (it: ListedClip, urgency: Urgency = 'now') =>
    fetcher.fetch({ clip: it, about: about(it.id), wanted: () => true }, urgency)
  /** How it ended: kept, or a code. */
  const outcome = async (it: ListedClip, urgency: Urgency = 'now'): Promise<unknown> => {
    const begun = await codeOf(fetch(it, urgency))
    if (typeof begun === 'string') return begun
    const ended = await (begun as Awaited<ReturnType<typeof fetch>>).ended
    return ended.ok ? ended.value : ended.error.code
  }
  const asked = () => world.server.requests.map(({ url }) => url.slice('https://hub/clips/'.length))
  return { world, store, fetcher, clip, fetch, outcome, asked }
}

describe('fetches', () => {
  it('of one content are one request, however many want it under whatever names', async () => {
    const { world, clip, outcome, asked } = await scene()
    const all = Array.from({ length: 50 }, (_, at) =>
      outcome(clip(`clip-${at}`, 'same'), at % 2 === 0 ? 'now' : 'some time'),
    )
    expect(new Set(await settled(world, Promise.all(all)))).toEqual(new Set(['kept']))
    expect(asked()).toHaveLength(1)
  })

  it('are few at a time, and one place is kept for those who wait', async () => {
    const { world, clip, outcome, asked } = await scene()
    world.server.bend = (_, answer) => {
      answer.partMs = 1_000
    }
    const ahead = Array.from({ length: 8 }, (_, at) => clip(`ahead-${at}`))
    const all = ahead.map((it) => outcome(it, 'some time'))
    await world.time.pass(10)
    expect(asked()).toHaveLength(fetchesMax - 1)
    const urgent = [clip('now-1'), clip('now-2')]
    all.push(...urgent.map((it) => outcome(it)))
    await world.time.pass(10)
    expect(asked().at(-1)).toBe(urgent[0]?.sha256)
    await settled(world, Promise.all(all))
    // The second one that is waited for came before what was to be fetched some time.
    expect(asked().slice(0, fetchesMax + 1)).toEqual([...ahead.slice(0, 3), ...urgent].map((it) => it.sha256))
    expect(asked()).toHaveLength(10)
  })

  it('that somebody comes to wait for are put before the others', async () => {
    const { world, clip, outcome, asked } = await scene()
    world.server.bend = (_, answer) => {
      answer.partMs = 1_000
    }
    const ahead = Array.from({ length: 8 }, (_, at) => clip(`ahead-${at}`))
    const all = ahead.map((it) => outcome(it, 'some time'))
    await world.time.pass(10)
    const [hurried = clip('none')] = ahead.slice(-1)
    all.push(outcome(hurried))
    await world.time.pass(10)
    expect(asked().at(-1)).toBe(hurried.sha256)
    await settled(world, Promise.all(all))
    expect(asked()).toHaveLength(8)
  })

  it('that wait are not more than their limit', async () => {
    const { world, clip, outcome } = await scene()
    world.server.up = false
    const all = Array.from({ length: waitingMax + fetchesMax }, (_, at) =>
      outcome(clip(`clip-${at}`), 'some time'),
    )
    const codes = await settled(world, Promise.all(all))
    expect(codes.filter((it) => it === 'EB-LIMIT')).toHaveLength(1)
  })

  it('of what the hub does not have are asked for again after a while, or when it is heard of', async () => {
    const { world, fetcher, clip, outcome, asked } = await scene()
    const gone = clip('gone')
    world.server.files.delete(`/clips/${gone.sha256}`)
    expect(await settled(world, outcome(gone))).toBe('EB-CLIP-MISSING')
    expect([await outcome(gone), await outcome(gone)]).toEqual(['EB-CLIP-MISSING', 'EB-CLIP-MISSING'])
    expect(asked()).toHaveLength(1)
    await world.time.pass(negativeMs)
    expect(await settled(world, outcome(gone))).toBe('EB-CLIP-MISSING')
    expect(asked()).toHaveLength(2)
    clip('gone')
    fetcher.linkUp()
    expect(await settled(world, outcome(gone))).toBe('kept')
  })

  it('leave a hub alone that fails again and again, also those that waited already, and try it alone after a pause', async () => {
    const { world, clip, outcome, asked } = await scene()
    world.server.up = false
    const all = Array.from({ length: 40 }, (_, at) => outcome(clip(`clip-${at}`)))
    const codes = await settled(world, Promise.all(all))
    expect(new Set(codes)).toEqual(new Set(['EB-HUB-UNREACHABLE']))
    // Those that were under way when it was enough, and no others.
    expect(new Set(asked()).size).toBeLessThanOrEqual(breakerFailures + fetchesMax - 1)
    const before = asked().length
    expect(await outcome(clip('x'))).toBe('EB-HUB-UNREACHABLE')
    expect(asked()).toHaveLength(before)
    await world.time.pass(breakerMs)
    world.server.up = true
    const [first, second] = [outcome(clip('y')), outcome(clip('z'))]
    expect(await settled(world, second)).toBe('EB-HUB-UNREACHABLE')
    expect(await settled(world, first)).toBe('kept')
    expect(await settled(world, outcome(clip('z')))).toBe('kept')
  })

  it('take a hub that answers for one that is there, whatever it answers', async () => {
    const { world, clip, outcome } = await scene()
    for (let round = 0; round < 3; round += 1) {
      world.server.up = false
      for (let at = 1; at < breakerFailures; at += 1) {
        expect(await settled(world, outcome(clip(`away-${round}-${at}`)))).toBe('EB-HUB-UNREACHABLE')
      }
      world.server.up = true
      const gone = clip(`gone-${round}`)
      world.server.files.delete(`/clips/${gone.sha256}`)
      expect(await settled(world, outcome(gone))).toBe('EB-CLIP-MISSING')
    }
    expect(await settled(world, outcome(clip('there')))).toBe('kept')
  })

  it('do not blame the hub for what the medium of the device does', async () => {
    const { world, clip, outcome } = await scene()
    world.files.fault = (operation, name) => {
      if (operation === 'append' && name.startsWith('c')) raise('EB-DATA-IO', 'planted')
    }
    for (let at = 0; at < 2 * breakerFailures; at += 1) {
      expect(await settled(world, outcome(clip(`clip-${at}`)))).toBe('EB-DATA-IO')
    }
    world.files.fault = () => {}
    expect(await settled(world, outcome(clip('there')))).toBe('kept')
  })

  it('for which there is no room are not begun, and their place is free again', async () => {
    const { world, clip, outcome, asked } = await scene(async (bytes, _, begin) =>
      bytes === 20_000 ? raise('EB-CLIP-FULL', 'planted') : begin(),
    )
    for (let at = 0; at < 3 * fetchesMax; at += 1)
      expect(await outcome(clip(`clip-${at}`))).toBe('EB-CLIP-FULL')
    expect(asked()).toEqual([])
    expect(await settled(world, outcome(atHub(world, 'small', bytesOf('small', 100))))).toBe('kept')
  })

  it('are urgent as soon as somebody waits, also when room is just looked for', async () => {
    let urgent: () => Urgency = () => 'some time'
    let goOn = (): void => {}
    const { world, clip, outcome } = await scene(async (_, urgency, begin) => {
      urgent = urgency
      await new Promise<void>((resolve) => {
        goOn = resolve
      })
      return begin()
    })
    const one = clip('one')
    const ahead = outcome(one, 'some time')
    await world.time.pass(10)
    expect(urgent()).toBe('some time')
    const now = outcome(one, 'now')
    expect(urgent()).toBe('now')
    goOn()
    expect(await settled(world, Promise.all([ahead, now]))).toEqual(['kept', 'kept'])
  })

  it('begin anew when what they would join has just ended', async () => {
    let justEnded = (): void => {}
    const { world, clip, fetch, asked } = await scene(async (_bytes, _urgency, begin) => {
      const begun = begin()
      // Told before the fetcher is.
      if (begun instanceof ClipDownload) void begun.ended.then(() => justEnded())
      return begun
    })
    const one = clip('one')
    const first = await fetch(one)
    const joined = new Promise<ClipDownload>((resolve) => {
      justEnded = () => {
        justEnded = () => {}
        resolve(fetch(one))
      }
    })
    const second = await settled(world, joined)
    expect(second).not.toBe(first)
    await settled(world, second.ended)
    expect(asked()).toHaveLength(2)
  })

  it('say how much is still to come', async () => {
    const { world, fetcher, clip, outcome } = await scene()
    world.server.bend = (_, answer) => {
      answer.partMs = 1_000
    }
    const all = [outcome(clip('a')), outcome(clip('b'))]
    await world.time.pass(10)
    expect(fetcher.missingBytes).toBe(40_000)
    await settled(world, Promise.all(all))
    expect(fetcher.missingBytes).toBe(0)
  })
})

describe('a fetcher that is closed', () => {
  it('ends what is under way and what waits, and leaves nothing', async () => {
    const { world, store, fetcher, clip, outcome } = await scene()
    world.server.bend = (_, answer) => {
      answer.stallAfter = 5_000
    }
    const all = Array.from({ length: 30 }, (_, at) =>
      outcome(clip(`clip-${at}`), at % 3 === 0 ? 'now' : 'some time'),
    )
    await world.time.pass(10)
    await settled(world, fetcher.close())
    expect(new Set(await Promise.all(all))).toEqual(new Set(['EB-CANCELLED']))
    expect(await outcome(clip('late'))).toBe('EB-CANCELLED')
    expect(await fetcher.ask('0'.repeat(64))).toBeNull()
    await store.settle()
    expect(await contentFiles(world)).toEqual([])
    expect(world.time.timers()).toBe(0)
  })
})

describe('asking whether the hub has a content', () => {
  it('says yes, no, or that it is not known', async () => {
    const { world, fetcher, clip } = await scene()
    const one = clip('one')
    expect(await fetcher.ask(one.sha256)).toBe(true)
    expect(await fetcher.ask('0'.repeat(64))).toBe(false)
    world.server.bend = (_, answer) => {
      answer.status = 500
    }
    expect(await fetcher.ask(one.sha256)).toBeNull()
  })

  it('is no more done than fetching when the hub fails', async () => {
    const { world, fetcher, clip, asked } = await scene()
    world.server.up = false
    for (let at = 0; at < breakerFailures; at += 1)
      expect(await codeOf(fetcher.ask(clip('one').sha256))).toBe('EB-HUB-UNREACHABLE')
    expect(await fetcher.ask(clip('one').sha256)).toBeNull()
    expect(asked()).toHaveLength(breakerFailures)
  })
})
