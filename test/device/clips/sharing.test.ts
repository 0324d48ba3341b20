/** Clips that the hub keeps for a device: asked first, proved, fetched back, and gone for good when they are removed. */
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { raise } from '../../../core/errors.ts'
import { type ClipService, openClipService } from '../../../device/clips/clip-service.ts'
import type { ClipUplink } from '../../../device/clips/sharing.ts'
import {
  announce,
  atHub,
  bytesOf,
  type ClipWorld,
  clipWorld,
  codeOf,
  minute,
  played,
  settingsOf,
  settled,
  shaOf,
  wavOf,
} from './fixtures.ts'

/** A hub that keeps clips of one device, and what it was asked. */
class Hub implements ClipUplink {
  readonly own = new Map<string, string>()
  readonly calls: string[] = []
  up = true
  believes = true
  dropMs = 1_000
  readonly #world: ClipWorld

  constructor(world: ClipWorld) {
    this.#world = world
  }

  async #call(what: string): Promise<void> {
    this.calls.push(what)
    await this.#world.time.clock.sleep(1_000)
    if (!this.up) raise('EB-HUB-UNREACHABLE', 'it is away')
  }

  async have(sha256: string) {
    await this.#call('have')
    return this.#world.server.files.has(`/clips/${sha256}`) ? 'c0ffee' : null
  }

  async claim(sha256: string, clip: string, challenge: string, proof: string) {
    await this.#call(`claim ${clip}`)
    const content = this.#world.server.files.get(`/clips/${sha256}`) ?? Buffer.alloc(0)
    const right = createHash('sha256').update(Buffer.from(challenge, 'hex')).update(content).digest('hex')
    if (proof !== right || !this.believes) return false
    this.own.set(clip, sha256)
    return true
  }

  async upload(sha256: string, clip: string, content: Uint8Array) {
    await this.#call(`upload ${clip}`)
    this.#world.server.files.set(`/clips/${sha256}`, Buffer.from(content))
    this.own.set(clip, sha256)
  }

  async drop(clip: string) {
    await this.#call(`drop ${clip}`)
    await this.#world.time.clock.sleep(this.dropMs)
    this.own.delete(clip)
  }
}

async function scene() {
  const world = clipWorld()
  const hub = new Hub(world)
  const open = () => openClipService({ ...world.ports, uplink: hub }, settingsOf())
  return { world, hub, open, service: await open() }
}

const put = (service: ClipService, id: string, bytes: Uint8Array, own = false) =>
  service.put(
    { id, skill: 'notes', language: null, private: own, pinned: false, ttlMs: 0, claims: {} },
    bytes,
  )

const [one, two] = [wavOf('one'), wavOf('two')]

describe('a clip that is shared', () => {
  it('is sent once, and comes back when it had to give way, also after a start', async () => {
    const { world, hub, open, service } = await scene()
    await put(service, 'a', one)
    expect(await settled(world, service.share('a'))).toBe(one.length)
    expect(hub.calls).toEqual(['have', 'upload a'])
    expect([await settled(world, service.share('a')), hub.calls.length]).toEqual([0, 2])
    await service.clear()
    expect(await played(world, service, 'a')).toEqual(one)
    expect(service.peek('a')).toMatchObject({ skill: 'notes', listed: false })
    await service.clear()
    await settled(world, service.close())
    expect(await played(world, await open(), 'a')).toEqual(one)
  })

  it('is not sent when the hub has its bytes and believes that the device has them too', async () => {
    const { world, hub, service } = await scene()
    world.server.files.set(`/clips/${shaOf(one)}`, one)
    await put(service, 'a', one)
    expect(await settled(world, service.share('a'))).toBe(0)
    expect(hub.calls).toEqual(['have', 'claim a'])
    hub.believes = false
    await put(service, 'b', one)
    expect(await settled(world, service.share('b'))).toBe(one.length)
    expect([...hub.own.keys()]).toEqual(['a', 'b'])
  })

  it('is refused when it is private, or not there, and nothing is asked', async () => {
    const { hub, service } = await scene()
    await put(service, 'a', one, true)
    expect(await codeOf(service.share('a'))).toBe('EB-CLIP-PRIVATE')
    expect(await codeOf(service.share('none'))).toBe('EB-CLIP-MISSING')
    expect(await codeOf(service.share('../x'))).toBe('EB-CLIP-NAME')
    expect(hub.calls).toEqual([])
  })

  it('with others at once is listed with all of them', async () => {
    const { world, service, open } = await scene()
    const ids = ['a', 'b', 'c', 'd']
    for (const id of ids) await put(service, id, wavOf(id))
    await settled(world, Promise.all(ids.map((id) => service.share(id))))
    await service.clear()
    await settled(world, service.close())
    const again = await open()
    for (const id of ids) expect(await played(world, again, id)).toEqual(wavOf(id))
  })

  it('that is not what it was when the hub has it does not come back as that', async () => {
    const { world, hub, service } = await scene()
    await put(service, 'a', one)
    const sharing = service.share('a')
    await world.time.pass(500)
    await put(service, 'a', two)
    await settled(world, sharing)
    service.linkUp()
    await world.time.pass(minute)
    await service.clear()
    expect(await codeOf(settled(world, service.get('a')))).toBe('EB-CLIP-MISSING')
    expect(hub.own.size).toBe(0)
  })

  it('and put with another content does not come back with the old one', async () => {
    const { world, hub, service } = await scene()
    await put(service, 'a', one)
    await settled(world, service.share('a'))
    await put(service, 'a', two)
    await world.time.pass(minute)
    expect(hub.own.size).toBe(0)
    await service.clear()
    expect(await codeOf(settled(world, service.get('a')))).toBe('EB-CLIP-MISSING')
    await put(service, 'a', two, true)
    expect(await codeOf(service.share('a'))).toBe('EB-CLIP-PRIVATE')
  })

  it('and put again as it was stays shared', async () => {
    const { world, hub, service } = await scene()
    await put(service, 'a', one)
    await settled(world, service.share('a'))
    await put(service, 'a', one)
    await world.time.pass(minute)
    expect([...hub.own.keys()]).toEqual(['a'])
    await service.clear()
    expect(await played(world, service, 'a')).toEqual(one)
  })

  it('is shared anew when the list of own clips was lost', async () => {
    const { world, hub, open, service } = await scene()
    await put(service, 'a', one)
    await settled(world, service.share('a'))
    await settled(world, service.close())
    for (const name of await world.files.list())
      if (/^s[0-9a-f]/.test(name)) world.files.put(name, Buffer.alloc(9))
    const again = await open()
    expect(await settled(world, again.share('a'))).toBe(0)
    expect(hub.calls.slice(-2)).toEqual(['have', 'claim a'])
    await again.clear()
    expect(await played(world, again, 'a')).toEqual(one)
  })
})

describe.each(['remove', 'forget'] as const)('a shared clip, by %s', (how) => {
  it('is gone at once and does not come back, though the hub is away for long', async () => {
    const { world, hub, open, service } = await scene()
    await put(service, 'a', one)
    await settled(world, service.share('a'))
    hub.up = false
    const began = world.time.nowMs()
    expect(await service[how]('a')).toBe(true)
    expect(world.time.nowMs()).toBe(began)
    expect(await codeOf(service.get('a'))).toBe('EB-CLIP-MISSING')
    await world.time.pass(minute)
    await settled(world, service.close())
    const again = await open()
    expect(await codeOf(again.get('a'))).toBe('EB-CLIP-MISSING')
    expect([...hub.own.keys()]).toEqual(['a'])
    hub.up = true
    again.linkUp()
    await world.time.pass(minute)
    expect(hub.own.size).toBe(0)
    const calls = hub.calls.length
    again.linkUp()
    await world.time.pass(minute)
    expect(hub.calls).toHaveLength(calls)
  })

  it('with others at once comes back no more than they do', async () => {
    const { world, hub, service } = await scene()
    const ids = ['a', 'b', 'c']
    for (const id of ids) await put(service, id, wavOf(id))
    await settled(world, Promise.all(ids.map((id) => service.share(id))))
    await Promise.all(ids.map((id) => service[how](id)))
    await world.time.pass(minute)
    expect(hub.own.size).toBe(0)
    for (const id of ids) expect(await codeOf(service.get(id))).toBe('EB-CLIP-MISSING')
  })

  it('and stored and shared again meanwhile is kept by the hub', async () => {
    const { world, hub, service } = await scene()
    hub.dropMs = 10_000
    await put(service, 'a', one)
    await settled(world, service.share('a'))
    await service[how]('a')
    await put(service, 'a', two)
    const sharing = service.share('a')
    service.linkUp()
    await settled(world, sharing)
    await world.time.pass(minute)
    expect(hub.own.get('a')).toBe(shaOf(two))
    await service.clear()
    expect(await played(world, service, 'a')).toEqual(two)
  })

  it('that a skill lists, too, is not listed as an own clip any more', async () => {
    const { world, hub, service } = await scene()
    await settled(
      world,
      service.announced('notes', announce(world, 'notes', 1, [atHub(world, 'a', bytesOf('listed', 500))])),
    )
    await world.time.pass(minute)
    await put(service, 'a', one)
    await settled(world, service.share('a'))
    await service[how]('a')
    await world.time.pass(minute)
    expect(hub.own.size).toBe(0)
    await settled(world, service.announced('notes', announce(world, 'notes', 2, null)))
    expect(await codeOf(service.get('a'))).toBe('EB-CLIP-MISSING')
  })
})
