/**
 * Releases of more than one image, of the kindle profile, and slots that hold something already.
 */
import { describe, expect, it } from 'vitest'
import { encodeJournal } from '../../device/update/journal.ts'
import { signEnvelope } from '../../keys/envelope.ts'
import { assignedTo, pieceBytes } from '../../proof/publisher.ts'
import {
  holds,
  lastStatus,
  makeFactory,
  minute,
  name,
  plantRecord,
  reported,
  scene,
  stillUpdates,
  storageOf,
  wish,
} from './fixtures.ts'

describe('a board with two partitions to a slot', () => {
  const settings = { partitions: ['rootfs', 'boot'] }
  const more = { more: ['boot'] }

  it('gets both images, each in its place, under one seal', async () => {
    const factory = await makeFactory(more)
    const at = await scene(factory, { settings })
    const v2 = await at.release('2', 'healthy', more)
    expect(await reported(at, await at.assign(v2))).toMatchObject({ result: 'ok' })
    expect(holds(at.board, 'b', v2)).toBe(true)
    const boot = v2.images.get('boot') ?? new Uint8Array(0)
    const written = at.board.partition('b', 'boot').medium(0, boot.length)
    expect(Buffer.compare(written, boot)).toBe(0)
    const shown = at.world.statuses(name).findLast((it) => it.report !== undefined)?.progress
    expect(shown === null || shown?.bytesDone === v2.image.length + boot.length).toBe(true)
  })

  it('counts as damaged when either image is', async () => {
    const factory = await makeFactory(more)
    const at = await scene(factory, { settings })
    expect(await reported(at, await at.assign(await at.release('2', 'healthy', more)))).toMatchObject({
      result: 'ok',
    })
    at.board.partition('b', 'boot').rot(5000)
    const seq = await at.assign(await at.release('3', 'healthy', more))
    expect(await reported(at, seq)).toMatchObject({ code: 'EB-SPARE-NEEDED' })
    await at.world.time.pass(5 * minute)
    expect(at.board.boots).toEqual(['a', 'b', 'a'])
  })

  it('refuses a release of one image', async () => {
    const factory = await makeFactory(more)
    const at = await scene(factory, { settings })
    const before = await storageOf(at.board)
    const seq = await at.assign(await at.release('2', 'healthy'))
    expect(await reported(at, seq)).toMatchObject({ code: 'EB-WRONG-HARDWARE' })
    expect(await storageOf(at.board)).toEqual(before)
  })

  it('goes on where it was in the second image after kill -9', async () => {
    const factory = await makeFactory(more)
    for (const piece of [0, 1, 2]) {
      const at = await scene(factory, { settings })
      const v2 = await at.release('2', 'healthy', more)
      let killed = false
      at.world.net.files.bend = (request, answer) => {
        if (request.url.endsWith('boot.blob'))
          Object.assign(answer, { partMs: 100, partBytes: pieceBytes + 16 })
      }
      let parts = 0
      at.world.net.files.onPart = (url) => {
        if (!url.endsWith('boot.blob') || killed) return
        parts += 1
        if (parts <= piece) return
        killed = true
        at.board.killAgent()
      }
      expect(await reported(at, await at.assign(v2))).toMatchObject({ result: 'ok' })
      const own = [...v2.files.values()].reduce((sum, it) => sum + it.length, 0)
      expect(at.world.net.files.sent - own, `killed after ${piece}`).toBeLessThan(3 * (pieceBytes + 16))
    }
  })
})

describe('a release of the kindle profile', () => {
  it('is installed: the RSA signature over the clear image holds', async () => {
    const factory = await makeFactory()
    const at = await scene(factory)
    const v2 = await at.release('2', 'healthy', { profile: 'kindle' })
    expect(v2.manifest.images[0]?.rsa).toBeDefined()
    expect(await reported(at, await at.assign(v2))).toMatchObject({ result: 'ok' })
    expect(holds(at.board, 'b', v2)).toBe(true)
  })

  it('is refused when its RSA key is not trusted, before the seal is written', async () => {
    const factory = await makeFactory()
    const at = await scene(factory, {
      settings: { trust: { ...factory.publisher.trust, rsa: new Map() } },
    })
    const v2 = await at.release('2', 'healthy', { profile: 'kindle' })
    expect(await reported(at, await at.assign(v2))).toMatchObject({ code: 'EB-UNKNOWN-KEY' })
    expect(lastStatus(at.world).slots.b).toMatchObject({ release: null, ok: false, tries: 0 })
  })

  it('is refused when the signature is of another image, although every hash fits', async () => {
    const factory = await makeFactory()
    const at = await scene(factory)
    const [v2, v3] = [
      await at.release('2', 'healthy', { profile: 'kindle' }),
      await at.release('3', 'healthy', { profile: 'kindle' }),
    ]
    // Signed by the release key with the RSA signature of another image: only the read-back can tell.
    const rsa = v3.manifest.images[0]?.rsa
    const images = v2.manifest.images.map((it) => ({ ...it, rsa }))
    const manifestBytes = signEnvelope({ ...v2.manifest, images }, [factory.publisher.releaseSigner])
    at.world.net.files.files.set(`/blobs/${v2.manifest.id}/manifest.json`, manifestBytes)
    const seq = await wish(at, assignedTo({ ...v2, manifestBytes }, at.board.wrappingKey))
    expect(await reported(at, seq)).toMatchObject({ code: 'EB-SIGNATURE' })
    expect(lastStatus(at.world).slots.b.release).toBeNull()
  })
})

describe('a spare slot that holds much of the release already', () => {
  it('is not fetched again where it is right, and no byte counts as fetched that was not', async () => {
    const factory = await makeFactory()
    const at = await scene(factory)
    const v2 = await at.release('2', 'healthy')
    expect(await reported(at, await at.assign(v2))).toMatchObject({ result: 'ok' })
    expect(await reported(at, await at.assign(await at.release('3', 'healthy')))).toMatchObject({
      result: 'ok',
    })
    // B still holds release 2, but for one rotten piece.
    at.board.slots.b.rot(3 * pieceBytes + 5)
    const sent = at.world.net.files.sent
    const seq = await at.assign(v2)
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
    const fetched = at.world.net.files.sent - sent - v2.manifestBytes.length
    expect(fetched).toBeLessThan(2 * pieceBytes)
    const shown = at.world
      .statuses(name)
      .findLast((it) => it.attempt?.seq === seq && it.progress !== null)?.progress
    expect(shown?.bytesFetched).toBeLessThanOrEqual(fetched)
    expect(holds(at.board, 'b', v2)).toBe(true)
  })

  it('from an attempt that was given up counts nothing as fetched by the next one', async () => {
    const at = await scene(await makeFactory({ pieces: 8 }))
    const v2 = await at.release('2', 'healthy', { pieces: 8 })
    let served = 0
    at.world.net.files.bend = (_, answer) => void Object.assign(answer, { partMs: 50, partBytes: 2048 })
    at.world.net.files.onPart = (_, bytes) => {
      served += bytes
    }
    await at.assign(v2)
    await at.world.time.until(() => served > 5 * pieceBytes, minute)
    served = 0
    const seq = await at.assign(v2)
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
    const shown = at.world
      .statuses(name)
      .findLast((it) => it.attempt?.seq === seq && it.progress !== null)?.progress
    expect(shown?.bytesFetched).toBeLessThanOrEqual(served)
  })
})

describe('an attempt that was opened', () => {
  it('before a fall back was put right goes on once it is: the refused trial is over', async () => {
    const factory = await makeFactory()
    const at = await scene(factory)
    const { board, world } = at
    const v2 = await at.release('2', 'healthy')
    const seq = world.time.clock.wallMs()
    board.powerOff()
    // The loader refused the armed slot in this boot; the journal is of an attempt that came to nothing yet.
    await plantRecord(board, { b: { ok: false, sv: 1, tries: 3 }, priority: 'b' })
    const attempt = {
      seq,
      releaseId: v2.manifest.id,
      target: 'b' as const,
      phase: 'opened' as const,
      armedInBoot: null,
      desired: { v: 1 as const, seq, release: assignedTo(v2, board.wrappingKey) },
      file: null,
      marks: {},
      bytesFetched: 0,
      bytesRefetched: 0,
      networkBefore: false,
      verdict: null,
    }
    const base = { v: 1 as const, finished: null, lived: null, handedBack: false, connection: 1, outbox: [] }
    board.files.put('journal', encodeJournal({ ...base, attempt, statusCeiling: 5000 }))
    await board.powerOn()
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
    expect(holds(board, 'b', v2)).toBe(true)
    await world.time.pass(minute)
    await stillUpdates(at)
  })
})
