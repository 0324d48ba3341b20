/**
 * Connections that break and hubs that cannot be reached, under the whole agent.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import type { Answer } from '../../bootloader-sim/devices/network.ts'
import type { FetchRequest } from '../../core/ports.ts'
import { pieceBytes } from '../../proof/publisher.ts'
import {
  type Factory,
  holds,
  hour,
  lastStatus,
  makeFactory,
  minute,
  reported,
  type Scene,
  scene,
} from './fixtures.ts'

let factory: Factory
beforeAll(async () => {
  factory = await makeFactory()
})

/** A sealed piece that does not compress: the piece and its tag. */
const sealedBytes = pieceBytes + 16

const isBlob = (request: FetchRequest): boolean => request.url.endsWith('.blob')
const blobRequests = ({ world }: Scene): readonly FetchRequest[] => world.net.files.requests.filter(isBlob)

/** Bends the first so many answers for the blob. */
function bendFirst(at: Scene, count: number, bend: (answer: Answer) => void): void {
  let left = count
  at.world.net.files.bend = (request, answer) => {
    if (!isBlob(request) || left === 0) return
    left -= 1
    bend(answer)
  }
}

describe('a connection that breaks', () => {
  it('at every piece boundary, and a byte before and after, costs at most the piece in flight', async () => {
    const options = { pieces: 6 }
    const sample = await factory.publisher.make('2', 'healthy', options)
    const blob = sample.files.get('rootfs.blob')?.length ?? 0
    const pieces = Math.floor(blob / sealedBytes)
    expect(pieces).toBeGreaterThanOrEqual(3)
    for (let piece = 0; piece <= pieces; piece += 1) {
      for (const beside of [-1, 0, 1]) {
        const after = piece * sealedBytes + beside
        if (after < 0 || after > blob) continue
        const at = await scene(factory, { quick: true })
        bendFirst(at, 1, (answer) => {
          answer.breakAfter = after
        })
        const v2 = await at.release('2', 'healthy', options)
        const { files } = at.world.net
        const seq = await at.assign(v2)
        expect(await reported(at, seq), `broken after ${after}`).toMatchObject({ result: 'ok' })
        const own = [...v2.files.values()].reduce((sum, it) => sum + it.length, 0)
        expect(files.sent - own, `fetched again, broken after ${after}`).toBeLessThan(sealedBytes)
        expect(lastStatus(at.world).finished).toMatchObject({ result: 'ok' })
      }
    }
  })

  it('keeps the strong tag of the file and asks for the rest only under it', async () => {
    const at = await scene(factory)
    bendFirst(at, 1, (answer) => {
      answer.breakAfter = sealedBytes + 1
    })
    const seq = await at.assign(await at.release('2', 'healthy'))
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
    const [first, second] = blobRequests(at)
    expect(first?.range?.ifRange).toBeUndefined()
    expect(second?.range?.ifRange).toMatch(/^"sha256-[0-9a-f]{64}"$/)
  })

  it('never puts a weak tag into If-Range: the server would have to send the whole file', async () => {
    const at = await scene(factory)
    let answers = 0
    at.world.net.files.bend = (request, answer) => {
      if (!isBlob(request)) return
      answers += 1
      answer.etag = 'W/"1234-5678"'
      if (answers < 4) answer.breakAfter = sealedBytes + 1
    }
    const seq = await at.assign(await at.release('2', 'healthy'))
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
    expect(blobRequests(at).map((it) => it.range?.ifRange)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ])
  })

  it('and a tag that changed with the same bytes under it cost one request more', async () => {
    const at = await scene(factory)
    let answers = 0
    at.world.net.files.bend = (request, answer) => {
      if (!isBlob(request)) return
      answers += 1
      if (answers === 1) answer.breakAfter = sealedBytes + 1
      else answer.etag = '"other"'
    }
    const seq = await at.assign(await at.release('2', 'healthy'))
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
    expect(at.board.log.filter((it) => it['code'] === 'EB-CHANGED')).toHaveLength(1)
  })

  it('and a file that was replaced by another end the attempt; nothing of the other is kept', async () => {
    const at = await scene(factory)
    const v2 = await at.release('2', 'healthy')
    bendFirst(at, 1, (answer) => {
      answer.breakAfter = sealedBytes + 1
      const path = `/blobs/${v2.manifest.id}/rootfs.blob`
      const { files } = at.world.net.files
      files.set(path, Buffer.alloc(files.get(path)?.length ?? 0, 5))
    })
    const seq = await at.assign(v2)
    expect(await reported(at, seq)).toMatchObject({ result: 'failed', code: 'EB-PIECE' })
    const log = at.board.log.filter((it) => it.event === 'transfer failed').map((it) => it['code'])
    expect(log).toEqual(['EB-HUB-UNREACHABLE', 'EB-CHANGED', 'EB-PIECE'])
  })

  it('early with a body that is too short is tried again and resumed', async () => {
    const at = await scene(factory)
    bendFirst(at, 6, (answer) => {
      answer.body = answer.body.subarray(0, 100)
    })
    const seq = await at.assign(await at.release('2', 'healthy'))
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
    expect(blobRequests(at)).toHaveLength(7)
  })
})

describe('a hub that cannot be reached', () => {
  it('for hours is waited for with few requests, and the download goes on where it was', async () => {
    const at = await scene(factory)
    const { world } = at
    const v2 = await at.release('2', 'healthy')
    world.net.files.bend = (request, answer) => {
      if (!isBlob(request) || blobRequests(at).length > 1) return
      answer.breakAfter = 3 * sealedBytes
      world.stopHub()
    }
    const seq = await at.assign(v2)
    await world.time.pass(7 * hour)
    expect(world.net.files.requests.length).toBeLessThan(400)
    await world.startHub()
    const back = world.time.nowMs()
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
    expect(world.time.nowMs() - back).toBeLessThan(5 * minute)
    expect(holds(at.board, 'b', v2)).toBe(true)
  })

  it('because it restarts at any moment of an update loses and repeats nothing', async () => {
    const events = await restarted(0)
    expect(events).toBeGreaterThan(8)
    for (let n = 1; n <= events; n += 1) await restarted(n)
  })

  /** Restarts the hub at the n-th event of the agent. @returns how many events there were */
  async function restarted(n: number): Promise<number> {
    const at = await scene(factory, { quick: true })
    const { world, board } = at
    const v2 = await at.release('2', 'healthy', { pieces: 6 })
    let events = 0
    board.onLog = () => {
      events += 1
      if (events !== n) return
      world.stopHub()
      world.time.clock.timer(3_000, () => void world.startHub())
    }
    const seq = await at.assign(v2)
    expect((await reported(at, seq)).result, `restarted at event ${n}`).toBe('ok')
    expect(board.boots).toEqual(['a', 'b'])
    return events
  }
})
