/**
 * The hub and the device's own adapter for storing clips there: what one says the other understands.
 */
import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EverbootError } from '../../../core/errors.ts'
import { hubUplink } from '../../../device/clips/adapters/hub-uplink.ts'
import { contentOf, type TestContent } from '../clips/contents.ts'
import { ask, json, newDevice } from '../http-client.ts'
import { type HubHome, hubHome, type LocalHub, localHub } from '../hub-process.ts'

let home: HubHome
let hub: LocalHub
const tokens: Record<string, string> = {}
beforeAll(async () => {
  home = hubHome()
  hub = await localHub(home)
  for (const id of ['dev1', 'dev2']) tokens[id] = await newDevice(hub.client, id)
})
afterAll(async () => {
  await hub.close()
  home.remove()
})

const uplink = (id: string) =>
  hubUplink({ origin: hub.client.url, ca: hub.client.ca, token: tokens[id] ?? '' })
const proofOf = ({ bytes }: TestContent, challenge: string): string =>
  createHash('sha256').update(Buffer.from(challenge, 'hex')).update(bytes).digest('hex')
const own = async (id: string) => json(await ask(hub.client, '/clips/own', { token: tokens[id] ?? '' })).clips

describe('a device that stores clips at the hub', () => {
  it('sends what the hub has not, proves what it has, and takes both away, twice without harm', async () => {
    const clip = contentOf(randomBytes(70_000))
    const [one, two] = [uplink('dev1'), uplink('dev2')]
    expect(await one.have(clip.sha256)).toBeNull()
    await one.upload(clip.sha256, 'a', clip.bytes)
    const challenge = await two.have(clip.sha256)
    expect(await two.claim(clip.sha256, 'b', challenge ?? '', proofOf(clip, challenge ?? ''))).toBe(true)
    expect([await own('dev1'), await own('dev2')]).toEqual([
      [{ clip: 'a', sha256: clip.sha256, bytes: 70_000 }],
      [{ clip: 'b', sha256: clip.sha256, bytes: 70_000 }],
    ])
    for (let round = 0; round < 2; round += 1) {
      await one.drop('a')
      await two.drop('b')
    }
    expect([await own('dev1'), await own('dev2')]).toEqual([[], []])
    expect(await one.have(clip.sha256)).toBeNull()
  })

  it('hears when a claim does not hold, and may send the clip', async () => {
    const clip = contentOf(randomBytes(1_000))
    const [one, two] = [uplink('dev1'), uplink('dev2')]
    await one.upload(clip.sha256, 'c', clip.bytes)
    const challenge = (await two.have(clip.sha256)) ?? ''
    expect(await two.claim(clip.sha256, 'c', challenge, '0'.repeat(64))).toBe(false)
    expect(await two.claim(clip.sha256, 'c', challenge, proofOf(clip, challenge))).toBe(false)
    const late = (await two.have(clip.sha256)) ?? ''
    await one.drop('c')
    expect(await two.claim(clip.sha256, 'c', late, proofOf(clip, late))).toBe(false)
    await two.upload(clip.sha256, 'c', clip.bytes)
    expect(await own('dev2')).toContainEqual({ clip: 'c', sha256: clip.sha256, bytes: 1_000 })
  })

  it('hears a refusal by its code', async () => {
    const clip = contentOf(randomBytes(1_000))
    const failure = await uplink('dev1')
      .upload(clip.sha256, 'd', randomBytes(1_000))
      .catch((caught: unknown) => caught)
    expect(failure).toBeInstanceOf(EverbootError)
    expect((failure as EverbootError).fault.code).toBe('EB-BLOB')
  })
})
