/**
 * Skills on their way to devices: at once to those that are connected, by subscribing to those that come later,
 * also after a restart or a kill of the hub; half a publication is seen by nobody.
 */
import { randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import mqtt from 'mqtt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { allSkills, skillTopic } from '../../../core/wire/topics.ts'
import type { ClientFile } from '../../../hub/config.ts'
import { contentOf } from '../clips/contents.ts'
import { digestOf } from '../fixtures.ts'
import { type Answer, ask, json, newDevice } from '../http-client.ts'
import {
  type HubHome,
  type HubProcess,
  hubHome,
  type LocalHub,
  localHub,
  readClient,
  spawnHub,
} from '../hub-process.ts'
import { newKeys } from '../releases.ts'
import { makeSkill, publishSkill, putBody, putSkill } from '../skills/made-skills.ts'
import { connectDevice, options, type TestDevice } from './clients.ts'

const codeOf = (answer: Answer): string => json(answer).error?.code ?? 'ok'
const bytes = () => randomBytes(3_000)

/** A device that listens for skills. */
async function listening(
  client: ClientFile,
  id: string,
  token: string,
  filter = allSkills,
): Promise<TestDevice> {
  const device = await connectDevice(client, id, token)
  await device.mqtt.subscribeAsync(filter, { qos: 1 })
  return device
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Payloads as they were published, as bytes. */
const heard = (device: TestDevice, id: string): readonly string[] =>
  device.received.filter((it) => it.topic === skillTopic(id)).map((it) => it.payload)
const textOf = (skill: { readonly envelope: Uint8Array }): string => Buffer.from(skill.envelope).toString()

describe('a skill', () => {
  let home: HubHome
  let hub: LocalHub
  let tokens: string[]
  beforeAll(async () => {
    home = hubHome()
    hub = await localHub(home)
    tokens = [await newDevice(hub.client, 'dev1'), await newDevice(hub.client, 'dev2')]
  })
  afterAll(async () => {
    await hub.close()
    home.remove()
  })
  const connect = (at: number, filter?: string) =>
    listening(hub.client, `dev${at + 1}`, tokens[at] ?? '', filter)
  const publish = (id: string, seq: number, clips: Record<string, Buffer> | null) =>
    publishSkill(hub.client, home.keys.skill, id, seq, clips)

  it('reaches every device that listens, each once, and one that comes later by subscribing', async () => {
    const one = await connect(0)
    await one.mqtt.subscribeAsync(skillTopic('jokes'), { qos: 1 })
    const first = await publish('jokes', 1_000, { knock: bytes() })
    await one.next(skillTopic('jokes'))
    const two = await connect(1)
    expect(await two.next(skillTopic('jokes'))).toMatchObject({ payload: textOf(first), retain: true })
    const second = await publish('jokes', 2_000, { knock: bytes() })
    for (const it of [one, two]) {
      expect(await it.next(skillTopic('jokes'), (payload) => payload === textOf(second))).toMatchObject({
        retain: false,
      })
    }
    await pause(100)
    expect(heard(one, 'jokes')).toEqual([textOf(first), textOf(second)])
    expect(heard(two, 'jokes')).toEqual([textOf(first), textOf(second)])
    await one.end()
    await two.end()
  })

  it('reaches a device that listens for it alone, and none that does not listen', async () => {
    const one = await connect(0, skillTopic('only'))
    const two = await connectDevice(hub.client, 'dev2', tokens[1] ?? '')
    await publish('other', 1_000, { x: bytes() })
    const made = await publish('only', 1_000, { y: bytes() })
    await one.next(skillTopic('only'))
    expect(heard(one, 'only')).toEqual([textOf(made)])
    expect([...one.received, ...two.received].filter((it) => it.topic !== skillTopic('only'))).toEqual([])
    await one.end()
    await two.end()
  })

  it('that is withdrawn is told as such, also to those that come later', async () => {
    await publish('gone', 1_000, { z: bytes() })
    const one = await connect(0)
    const withdrawn = await publish('gone', 2_000, null)
    await one.next(skillTopic('gone'), (it) => it === textOf(withdrawn))
    const two = await connect(1)
    await two.next(skillTopic('gone'))
    expect(heard(two, 'gone')).toEqual([textOf(withdrawn)])
    await one.end()
    await two.end()
  })

  it('that is older or was sent before changes nothing and is told to nobody again', async () => {
    const made = await publish('news', 5_000, { n: bytes() })
    const one = await connect(0)
    await one.next(skillTopic('news'))
    const again = await putSkill(hub.client, made)
    expect([again.status, json(again).published]).toEqual([200, false])
    const older = await putSkill(hub.client, makeSkill(home.keys.skill, 'news', 4_000, null))
    expect([older.status, codeOf(older)]).toEqual([409, 'EB-CONFLICT'])
    await pause(100)
    expect(heard(one, 'news')).toEqual([textOf(made)])
    await one.end()
  })

  it('is refused, and told to nobody, when signature, list, contents, number or clips are wrong', async () => {
    const clip = bytes()
    await putBody(hub.client, `/v1/clips/${contentOf(clip).sha256}`, clip)
    await publish('owner', 1_000, { taken: bytes() })
    const good = makeSkill(home.keys.skill, 'bad', 1_000, { q: clip })
    const emptyList = Buffer.from('{"v":1,"clips":[]}').toString('base64')
    const cases: [string, Promise<Answer>, number, string][] = [
      [
        'a stranger',
        putSkill(hub.client, makeSkill(newKeys().skill, 'bad', 1, { q: clip })),
        422,
        'EB-UNKNOWN-KEY',
      ],
      [
        'a release key',
        putSkill(hub.client, makeSkill(home.keys.release, 'bad', 1, { q: clip })),
        422,
        'EB-UNKNOWN-KEY',
      ],
      ['another list', putSkill(hub.client, good, { list: emptyList }), 422, 'EB-BLOB'],
      ['no list', putSkill(hub.client, { ...good, list: null }), 422, 'EB-BLOB'],
      ['no base64', putSkill(hub.client, good, { list: '***' }), 400, 'EB-MESSAGE'],
      ['an unknown field', putSkill(hub.client, good, { more: 1 }), 400, 'EB-MESSAGE'],
      [
        'missing contents',
        putSkill(hub.client, makeSkill(home.keys.skill, 'bad', 1, { q: bytes() })),
        422,
        'EB-CLIP-MISSING',
      ],
      [
        'a clip of another',
        putSkill(hub.client, makeSkill(home.keys.skill, 'bad', 1, { taken: clip })),
        409,
        'EB-CONFLICT',
      ],
      [
        'the far future',
        putSkill(hub.client, makeSkill(home.keys.skill, 'bad', 9e15, { q: clip })),
        422,
        'EB-SEQUENCE',
      ],
      [
        'nothing to withdraw',
        putSkill(hub.client, makeSkill(home.keys.skill, 'bad', 1, null)),
        404,
        'EB-NOT-FOUND',
      ],
    ]
    const one = await connect(0)
    const before = json(await ask(hub.client, '/v1/clips')).contents
    for (const [what, answer, status, code] of cases) {
      expect([what, (await answer).status, codeOf(await answer)]).toEqual([what, status, code])
    }
    expect(json(await ask(hub.client, '/v1/clips')).contents).toEqual(before)
    expect(heard(one, 'bad')).toEqual([])
    expect((await ask(hub.client, '/v1/skills/bad')).status).toBe(404)
    await one.end()
  })

  it('can be listed and looked at', async () => {
    const [same, other] = [bytes(), bytes()]
    const made = await publish('shown', 7_000, { a1: same, a2: same, a3: other })
    const { skills } = json(await ask(hub.client, '/v1/skills'))
    const shown = skills.find((it: { id: string }) => it.id === 'shown')
    expect(shown).toEqual({
      id: 'shown',
      seq: 7_000,
      version: 'v7000',
      atMs: expect.any(Number),
      withdrawn: false,
      list: { bytes: made.list?.bytes.length, sha256: made.list?.sha256 },
      clips: 3,
      contents: 2,
      bytes: 9_000,
      contentBytes: 6_000,
    })
    await publish('rival', 7_000, { b1: other })
    expect(json(await ask(hub.client, '/v1/skills/shown'))).toEqual({
      ...shown,
      listed: [
        { id: 'a1', sha256: contentOf(same).sha256, bytes: 3_000, sharedWith: 0 },
        { id: 'a2', sha256: contentOf(same).sha256, bytes: 3_000, sharedWith: 0 },
        { id: 'a3', sha256: contentOf(other).sha256, bytes: 3_000, sharedWith: 1 },
      ],
    })
    const page = json(await ask(hub.client, '/v1/skills?limit=1'))
    expect([page.skills.length, page.next]).toEqual([1, page.skills[0].id])
  })

  it('topic can be used by a device for hearing only', async () => {
    const one = await connect(0)
    const before = json(await ask(hub.client, '/v1/hub')).broker.refusedPublishes
    for (const retain of [false, true]) {
      await one.mqtt.publishAsync(skillTopic('shown'), 'x', { qos: 1, retain })
    }
    expect(json(await ask(hub.client, '/v1/hub')).broker.refusedPublishes).toBe(before + 2)
    const two = await connect(1)
    await two.next(skillTopic('shown'))
    expect(heard(two, 'shown')).not.toContain('x')
    for (const filter of ['eb/1/skills/#', 'eb/1/+/+', 'eb/+/skills/+', 'eb/1/skills/', 'eb/1/skills/a/b']) {
      await expect(one.mqtt.subscribeAsync(filter, { qos: 1 })).rejects.toThrow(/Unspecified error|128/)
    }
    await one.end()
    await two.end()
  })

  it('is told to many devices, though one of them does not read', async () => {
    const more = await Promise.all(
      Array.from({ length: 20 }, async (_, at) => {
        const id = `many${at}`
        return listening(hub.client, id, await newDevice(hub.client, id))
      }),
    )
    const deaf = await mqtt.connectAsync(hub.client.mqtt, options(hub.client, 'dev1', tokens[0] ?? ''))
    await deaf.subscribeAsync(allSkills, { qos: 1 })
    deaf.stream.pause()
    const made = await publish('all', 1_000, { m: bytes() })
    for (const it of more) expect((await it.next(skillTopic('all'))).payload).toBe(textOf(made))
    await Promise.all(more.map((it) => it.end()))
    deaf.stream.destroy()
  })

  it('is known after a restart, and told again to whoever comes', async () => {
    const made = await publish('kept', 3_000, { k: bytes() })
    await hub.close()
    hub = await localHub(home)
    const one = await connect(0)
    expect((await one.next(skillTopic('kept'))).payload).toBe(textOf(made))
    expect(json(await ask(hub.client, '/v1/skills/kept'))).toMatchObject({ seq: 3_000, clips: 1 })
    expect(json(await ask(hub.client, '/v1/clips')).contents.count).toBeGreaterThan(5)
    await one.end()
  })
})

describe('a hub that is killed while skills are published', () => {
  it('shows no half: what was answered is there, what was not may be sent again', async () => {
    const home = hubHome()
    let hub: HubProcess = await spawnHub(home)
    const token = await newDevice(hub.client, 'dev1')
    const published = new Map<string, number>()
    for (let round = 0; round < 6; round += 1) {
      let killed: Promise<unknown> | null = null
      for (let at = 0; at < 1_000; at += 1) {
        const seq = 1_000 * (round + 1) + at
        // Somewhere in what follows: while clips, list or announcement are under way.
        if (at === 5) killed = pause(round * 3).then(() => hub.stop('SIGKILL'))
        const id = `s${at % 5}`
        const done = await publishSkill(hub.client, home.keys.skill, id, seq, {
          [`${id}-clip`]: bytes(),
        }).then(
          () => true,
          () => false,
        )
        if (!done) break
        published.set(id, seq)
      }
      await killed
      hub = await spawnHub(home)
      await expect.poll(() => readdirSync(join(home.data, 'clips', 'incoming'))).toEqual([])
      const { skills } = json(await ask(hub.client, '/v1/skills'))
      for (const { id, seq, list } of skills) {
        expect(seq).toBeGreaterThanOrEqual(published.get(id) ?? 0)
        const answer = await ask(hub.client, `/clips/${list.sha256}`, { token })
        expect(contentOf(answer.body).sha256).toBe(list.sha256)
        for (const clip of JSON.parse(answer.body.toString()).clips) {
          const content = await ask(hub.client, `/clips/${clip.sha256}`, { token })
          expect(contentOf(content.body).sha256).toBe(clip.sha256)
        }
      }
      for (const id of published.keys()) expect(skills.map((it: { id: string }) => it.id)).toContain(id)
    }
    expect(published.size).toBe(5)
    const device = await listening(readClient(home), 'dev1', token)
    await device.next(skillTopic('s4'))
    // What lies in the store is what the hub knows, once removals have ended.
    const files = () =>
      readdirSync(join(home.data, 'clips'))
        .filter((it) => it !== 'incoming')
        .flatMap((it) => readdirSync(join(home.data, 'clips', it)))
    await expect
      .poll(async () => json(await ask(hub.client, '/v1/clips')).contents.count)
      .toBe(files().length)
    expect((await ask(hub.client, `/clips/${digestOf('0')}`, { token })).status).toBe(404)
    await device.end()
    await hub.stop('SIGTERM')
    home.remove()
  }, 60_000)
})
