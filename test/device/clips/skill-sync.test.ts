/** What is announced of skills: only what is signed, named and newer counts; what changed is dropped, the rest stays. */
import { describe, expect, it } from 'vitest'
import { clipLimits, servingLimits } from '../../../core/clip-limits.ts'
import { raise } from '../../../core/errors.ts'
import type { ClipService } from '../../../device/clips/clip-service.ts'
import { testSigner } from '../../keys/signers.ts'
import { announce, atHub, bytesOf, clipWorld, hour, minute, openService, settled, wavOf } from './fixtures.ts'

const sound = (name: string) => bytesOf(name, 1_000)
const idsOf = (service: ClipService) => Array.from(service.list(), ({ id, skill }) => `${skill} ${id}`).sort()

async function scene(change: Parameters<typeof openService>[1] = {}) {
  const world = clipWorld()
  const service = await openService(world, change)
  const clip = (id: string, name = id) => atHub(world, id, sound(name))
  /** Announces, and waits until all that comes of it has come. */
  const say = async (skill: string, payload: Uint8Array, to = service): Promise<void> => {
    await settled(world, to.announced(skill, payload))
    await world.time.pass(minute)
  }
  const refusals = () => world.events.filter(({ event }) => event === 'skill refused').map(({ code }) => code)
  const requests = () => world.server.requests.length
  return { world, service, clip, say, refusals, requests }
}

describe('an announcement', () => {
  it('brings the clips of its list, and takes away those that it does not name any more', async () => {
    const { world, service, clip, say } = await scene()
    await say('red', announce(world, 'red', 1, [clip('a'), clip('b'), clip('c')]))
    await say('blue', announce(world, 'blue', 1, [clip('d', 'a')]))
    expect(idsOf(service)).toEqual(['blue d', 'red a', 'red b', 'red c'])
    const aOnce = world.server.requests.length
    await say('red', announce(world, 'red', 2, [clip('b'), clip('c', 'other'), clip('e')]))
    expect(idsOf(service)).toEqual(['blue d', 'red b', 'red c', 'red e'])
    expect(service.peek('c')?.content.key).not.toBe(service.peek('b')?.content.key)
    // The list, and two contents.
    expect(world.server.requests.length - aOnce).toBe(3)
    expect(world.events.filter(({ event }) => event === 'skill')).toMatchObject([
      { skill: 'red', seq: 1, clips: 3 },
      { skill: 'blue', seq: 1 },
      { skill: 'red', seq: 2, clips: 3 },
    ])
  })

  it('of a withdrawn skill takes all that it listed, and may be followed by a new list', async () => {
    const { world, service, clip, say } = await scene()
    await say('red', announce(world, 'red', 1, [clip('a'), clip('b')]))
    await say('red', announce(world, 'red', 2, null))
    expect(idsOf(service)).toEqual([])
    await say('red', announce(world, 'red', 1, [clip('a')]))
    expect(idsOf(service)).toEqual([])
    await say('red', announce(world, 'red', 3, [clip('a')]))
    expect(idsOf(service)).toEqual(['red a'])
  })

  it('leaves what was stored on the device alone, until a list says otherwise', async () => {
    const { world, service, clip, say } = await scene()
    const put = (id: string, name: string, own = false) =>
      service.put(
        { id, skill: 'red', language: null, private: own, pinned: false, ttlMs: 0, claims: {} },
        wavOf(name),
      )
    await put('mine', 'mine')
    await put('diary', 'diary', true)
    await put('a', 'old a')
    await say('red', announce(world, 'red', 1, [clip('a'), clip('b')]))
    expect(idsOf(service)).toEqual(['red a', 'red b', 'red diary', 'red mine'])
    expect([service.peek('a')?.listed, service.peek('mine')?.listed]).toEqual([true, false])
    await say('red', announce(world, 'red', 2, null))
    expect(idsOf(service)).toEqual(['red diary', 'red mine'])
  })

  it('that is older, the same or empty changes nothing, also after a start', async () => {
    const { world, service, clip, say, requests } = await scene()
    const first = announce(world, 'red', 5, [clip('a')])
    await say('red', first)
    const older = announce(world, 'red', 4, [clip('x')])
    const same = announce(world, 'red', 5, [clip('y')])
    const before = requests()
    for (const payload of [first, older, same, new Uint8Array()]) await say('red', payload)
    expect([idsOf(service), requests()]).toEqual([['red a'], before])
    await settled(world, service.close())
    const again = await openService(world)
    for (const payload of [older, same, first]) await say('red', payload, again)
    expect([idsOf(again), requests()]).toEqual([['red a'], before])
  })

  it.each([
    ['with a wrong signature', 'EB-SIGNATURE'],
    ['signed by the key of releases', 'EB-UNKNOWN-KEY'],
    ['of another skill', 'EB-MESSAGE'],
    ['that is none', 'EB-ENVELOPE'],
    ['that is too long', 'EB-ENDLESS'],
  ])('%s is refused with %s before anything is asked for', async (how, code) => {
    const { world, service, clip, say, refusals, requests } = await scene()
    await say('red', announce(world, 'red', 1, [clip('a')]))
    const before = requests()
    const good = Buffer.from(announce(world, 'red', 2, [clip('b')]))
    const payload =
      how === 'with a wrong signature'
        ? Buffer.from(good.toString('latin1').replace('"version":"2"', '"version":"3"'), 'latin1')
        : how === 'signed by the key of releases'
          ? announce(world, 'red', 2, [clip('b')], { signer: testSigner('release') })
          : how === 'of another skill'
            ? announce(world, 'red', 2, [clip('b')], { id: 'blue' })
            : how === 'that is none'
              ? Buffer.from('{"list":null}')
              : Buffer.alloc(1_000_000, 'x')
    await say('red', payload)
    expect(refusals()).toEqual([code])
    expect([idsOf(service), requests()]).toEqual([['red a'], before])
    // The right one is taken afterwards.
    await say('red', good)
    expect(idsOf(service)).toEqual(['red b'])
  })

  it('whose list is another, damaged or not there changes nothing, and may be said again', async () => {
    const { world, service, clip, say, refusals } = await scene()
    await say('red', announce(world, 'red', 1, [clip('a')]))
    const payload = announce(world, 'red', 2, [clip('b')])
    const [path = ''] = [...world.server.files.keys()].slice(-1)
    const list = Buffer.from(world.server.files.get(path) ?? [])
    const wrong: readonly (readonly [Buffer | null, string])[] = [
      [Buffer.from(list).fill(32, 10, 12), 'EB-PIECE'],
      [list.subarray(0, 20), 'EB-RANGE'],
      [null, 'EB-HTTP-STATUS'],
    ]
    for (const [bytes, code] of wrong) {
      if (bytes === null) world.server.files.delete(path)
      else world.server.files.set(path, bytes)
      await say('red', payload)
      expect(refusals().at(-1)).toBe(code)
      expect(idsOf(service)).toEqual(['red a'])
    }
    // A hub that does not have it is not asked for ever.
    const asked = world.server.requests.length
    await world.time.pass(hour)
    expect(world.server.requests).toHaveLength(asked)
    world.server.files.set(path, list)
    await say('red', payload)
    expect(idsOf(service)).toEqual(['red b'])
  })

  it('whose list is no list, though its hash is right, is refused', async () => {
    const { world, service, clip, say, refusals } = await scene()
    const one = clip('a')
    await say('red', announce(world, 'red', 1, [one, one]))
    await say('red', announce(world, 'red', 2, [{ ...one, bytes: clipLimits.clipBytesMax + 1 }]))
    await say('red', announce(world, 'red', 3, [{ ...one, pieces: '' }]))
    expect([refusals(), idsOf(service)]).toEqual([['EB-MESSAGE', 'EB-MESSAGE', 'EB-MESSAGE'], []])
  })

  it('of a skill that this device does not follow says nothing', async () => {
    const { world, service, clip, say, requests } = await scene({ skills: new Set(['blue']) })
    await say('red', announce(world, 'red', 1, [clip('a')]))
    await say('blue', announce(world, 'blue', 1, [clip('b')]))
    expect([idsOf(service), requests()]).toEqual([['blue b'], 2])
  })
})

describe('a hub that is away while it is announced', () => {
  it('is asked again after a while, or when it is heard of, for the newest only', async () => {
    for (const heard of [false, true]) {
      const { world, service, clip, say, refusals } = await scene()
      const [one, two] = [announce(world, 'red', 1, [clip('a')]), announce(world, 'red', 2, [clip('b')])]
      world.server.up = false
      await settled(world, service.announced('red', one))
      await settled(world, service.announced('red', two))
      expect(refusals()).toEqual(['EB-HUB-UNREACHABLE', 'EB-HUB-UNREACHABLE'])
      world.server.up = true
      const before = world.server.requests.length
      if (heard) service.linkUp()
      await world.time.pass(heard ? minute / 6 : 2 * servingLimits.breakerMs)
      expect(idsOf(service)).toEqual(['red b'])
      expect(world.server.requests.length - before).toBe(2)
      await say('red', one)
      expect(idsOf(service)).toEqual(['red b'])
      expect(world.time.timers()).toBe(1)
    }
  })

  it('is not asked for all again by each announcement', async () => {
    const { world, service, clip } = await scene()
    const payloads = Array.from({ length: 40 }, (_, at) =>
      announce(world, `skill-${at}`, 1, [clip(`clip-${at}`)]),
    )
    world.server.up = false
    for (const [at, payload] of payloads.entries())
      await settled(world, service.announced(`skill-${at}`, payload))
    expect(world.server.requests.length).toBeLessThanOrEqual(payloads.length)
    await world.time.pass(10 * servingLimits.breakerMs)
    expect(world.server.requests.length).toBeLessThanOrEqual(payloads.length + 11)
    world.server.up = true
    service.linkUp()
    await world.time.pass(minute)
    expect(idsOf(service)).toHaveLength(40)
  })

  it('for one list does not hold up the others for ever', async () => {
    const { world, service, clip, say } = await scene()
    const slow = announce(world, 'red', 1, [clip('a')])
    const [path = ''] = [...world.server.files.keys()].slice(-1)
    world.server.bend = ({ url }, answer) => {
      if (url.endsWith(path)) answer.status = 503
    }
    await say('red', slow)
    await say('blue', announce(world, 'blue', 1, [clip('b')]))
    expect(idsOf(service)).toEqual(['blue b'])
    world.server.bend = () => {}
    await world.time.pass(minute)
    expect(idsOf(service)).toEqual(['blue b', 'red a'])
  })
})

describe('a list that was lost', () => {
  it('is taken again when it is announced, but none that is older', async () => {
    const { world, service, clip, say } = await scene()
    const older = announce(world, 'red', 4, [clip('x')])
    const newest = announce(world, 'red', 5, [clip('a')])
    await say('red', newest)
    await settled(world, service.close())
    const name = (await world.files.list()).find((it) => it.startsWith('s')) ?? raise('EB-FILE', 'no list')
    world.files.put(name, Buffer.from('junk'))
    const again = await openService(world)
    expect(world.events).toContainEqual({ event: 'lists lost', count: 1 })
    // Its clips are there, though nobody knows any more how they would be fetched.
    expect(idsOf(again)).toEqual(['red a'])
    await say('red', older, again)
    expect(idsOf(again)).toEqual(['red a'])
    await say('red', newest, again)
    await again.remove('a')
    await say('red', newest, again)
    expect(again.prefetch('red')).toBe(1)
  })
})

describe('a clip', () => {
  it('that moves to another skill is there under that one, whichever list comes first', async () => {
    for (const order of [
      ['red', 'blue'],
      ['blue', 'red'],
    ] as const) {
      const { world, service, clip, say } = await scene()
      await say('red', announce(world, 'red', 1, [clip('x'), clip('y')]))
      for (const skill of order) {
        const clips = skill === 'red' ? [clip('y')] : [clip('x', 'changed')]
        await say(skill, announce(world, skill, 2, clips))
      }
      const got = await settled(world, service.get('x'))
      got.done()
      expect(got.skill).toBe('blue')
      await world.time.pass(minute)
      expect(idsOf(service)).toEqual(['blue x', 'red y'])
    }
  })

  it('that is on its way when its list changes is not kept under the old one', async () => {
    for (const next of ['gone', 'changed', 'withdrawn'] as const) {
      const { world, service, clip, say } = await scene()
      const old = clip('x')
      const second = next === 'withdrawn' ? null : next === 'changed' ? [clip('x', 'changed')] : []
      world.server.bend = ({ url }, answer) => {
        if (url.endsWith(old.sha256)) answer.partMs = 5_000
      }
      await settled(world, service.announced('red', announce(world, 'red', 1, [old])))
      await world.time.pass(1_000)
      await settled(world, service.announced('red', announce(world, 'red', 2, second)), 100)
      await world.time.pass(minute)
      expect(idsOf(service)).toEqual(next === 'changed' ? ['red x'] : [])
      if (next === 'changed')
        expect(service.peek('x')?.content.key).not.toBe(Buffer.from(old.sha256, 'hex').toString('latin1'))
      await settled(world, service.close())
      await say('none', new Uint8Array())
    }
  })
})
