/**
 * Bad servers and bad lines through the whole agent: what ends an attempt, what is waited for, what is fetched
 * again and how often.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import type { Answer } from '../../bootloader-sim/devices/network.ts'
import { type ErrorCode, EverbootError, fault } from '../../core/errors.ts'
import { downloadLimits } from '../../core/limits.ts'
import type { FetchRequest } from '../../core/ports.ts'
import { pieceBytes } from '../../proof/publisher.ts'
import {
  type Factory,
  holds,
  hour,
  makeFactory,
  minute,
  reported,
  type Scene,
  scene,
  stillUpdates,
} from './fixtures.ts'

let factory: Factory
beforeAll(async () => {
  factory = await makeFactory()
})

/** A sealed piece that does not compress: the piece and its tag. */
const sealedBytes = pieceBytes + 16

const isBlob = (request: FetchRequest): boolean => request.url.endsWith('.blob')
const blobRequests = ({ world }: Scene): readonly FetchRequest[] => world.net.files.requests.filter(isBlob)

interface Bad {
  readonly name: string
  readonly code: ErrorCode
  /** How often it may be asked for. */
  readonly requests: number
  bend(answer: Answer): void
}

const html = Buffer.from('<html><body>Please log in to our network</body></html>')
const refusing = (status: number) => (answer: Answer) => {
  answer.status = status
  answer.contentRange = null
  answer.body = html
}

const bad: readonly Bad[] = [
  { name: '404', code: 'EB-HTTP-STATUS', requests: 1, bend: refusing(404) },
  { name: '410', code: 'EB-HTTP-STATUS', requests: 1, bend: refusing(410) },
  { name: '302 to a captive portal', code: 'EB-HTTP-STATUS', requests: 1, bend: refusing(302) },
  { name: '401', code: 'EB-AUTH', requests: 1, bend: refusing(401) },
  { name: '403', code: 'EB-AUTH', requests: 1, bend: refusing(403) },
  { name: '416', code: 'EB-RANGE', requests: 1, bend: refusing(416) },
  {
    name: 'the page of a captive portal',
    code: 'EB-RANGE',
    requests: 3,
    bend(answer) {
      Object.assign(answer, { status: 200, etag: null, contentRange: null, body: html })
    },
  },
  {
    name: 'the whole file for a range',
    code: 'EB-RANGE',
    requests: 3,
    bend(answer) {
      Object.assign(answer, { status: 200, contentRange: null })
    },
  },
  {
    name: 'a range without saying which',
    code: 'EB-RANGE',
    requests: 3,
    bend(answer) {
      answer.contentRange = null
    },
  },
  {
    name: 'another range',
    code: 'EB-RANGE',
    requests: 3,
    bend(answer) {
      const { start, endExclusive, size } = answer.contentRange ?? { start: 0, endExclusive: 0, size: 0 }
      answer.contentRange = { start: start + 1, endExclusive: endExclusive + 1, size }
    },
  },
  {
    name: 'a range of a file of another size',
    code: 'EB-RANGE',
    requests: 3,
    bend(answer) {
      const { start, endExclusive, size } = answer.contentRange ?? { start: 0, endExclusive: 0, size: 0 }
      answer.contentRange = { start, endExclusive, size: size + 1 }
    },
  },
  {
    name: 'more bytes than asked for',
    code: 'EB-ENDLESS',
    requests: 3,
    bend(answer) {
      // The surplus comes before the pieces are complete: it must not be taken for them.
      answer.body = Buffer.concat([answer.body.subarray(0, 10), Buffer.alloc(2 ** 20)])
      answer.partBytes = 2 ** 20
    },
  },
  {
    name: 'other bytes of the right length',
    code: 'EB-PIECE',
    requests: 3,
    bend(answer) {
      answer.body = Buffer.alloc(answer.body.length, 7)
    },
  },
]

describe('a server that answers for the blob with', () => {
  it.each(bad)(
    '$name ends the attempt with $code after $requests requests',
    async ({ code, requests, bend }) => {
      const at = await scene(factory)
      const v2 = await at.release('2', 'healthy')
      at.world.net.files.bend = (request, answer) => {
        if (isBlob(request)) bend(answer)
      }
      const seq = await at.assign(v2)
      expect(await reported(at, seq)).toMatchObject({ result: 'failed', code })
      expect(blobRequests(at)).toHaveLength(requests)
      expect(at.board.boots).toEqual(['a'])
      expect(await at.board.record()).toMatchObject({ priority: 'a', b: { ok: false, sv: 0, tries: 0 } })
      await stillUpdates(at)
    },
  )

  it.each(['manifest.json', 'rootfs.index'])(
    '404 for %s ends the attempt after one request',
    async (file) => {
      const at = await scene(factory)
      const v2 = await at.release('2', 'healthy')
      at.world.net.files.bend = (request, answer) => {
        if (request.url.endsWith(file)) refusing(404)(answer)
      }
      const seq = await at.assign(v2)
      expect(await reported(at, seq)).toMatchObject({ code: 'EB-HTTP-STATUS' })
      expect(at.world.net.files.requests.filter((it) => it.url.endsWith(file))).toHaveLength(1)
      await stillUpdates(at)
    },
  )
})

/** Bends the first so many answers for the blob. */
function bendFirst(at: Scene, count: number, bend: (answer: Answer) => void): void {
  let left = count
  at.world.net.files.bend = (request, answer) => {
    if (!isBlob(request) || left === 0) return
    left -= 1
    bend(answer)
  }
}

describe('a server that recovers', () => {
  it('from a row of 500s is asked again ever more rarely, then the update completes', async () => {
    const at = await scene(factory)
    bendFirst(at, 9, refusing(503))
    const seq = await at.assign(await at.release('2', 'healthy'))
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
    expect(blobRequests(at)).toHaveLength(10)
  })

  it('is not asked before the time it named in Retry-After, not even when the link comes back', async () => {
    const at = await scene(factory)
    const { world, board } = at
    const times: number[] = []
    world.net.files.bend = (request, answer) => {
      if (!isBlob(request)) return
      times.push(world.time.nowMs())
      if (times.length > 5) return
      refusing(429)(answer)
      answer.retryAfterMs = 100_000
    }
    const seq = await at.assign(await at.release('2', 'healthy'))
    await world.time.until(() => times.length === 5, hour)
    await world.time.pass(20_000)
    board.cutLink()
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
    const gaps = times.slice(1).map((it, index) => it - (times[index] ?? 0))
    expect(gaps).toHaveLength(5)
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(100_000)
  })

  it('does not make the device wait longer than five minutes by an absurd Retry-After', async () => {
    const at = await scene(factory)
    bendFirst(at, 1, (answer) => {
      refusing(429)(answer)
      answer.retryAfterMs = 10 ** 12
    })
    const seq = await at.assign(await at.release('2', 'healthy'))
    expect(await reported(at, seq, 10 * minute)).toMatchObject({ result: 'ok' })
  })

  it('from stalling is given up as too slow within a minute each time, and resumed', async () => {
    const at = await scene(factory)
    const { world } = at
    bendFirst(at, 2, (answer) => {
      answer.stallAfter = 2 * sealedBytes + 5
    })
    const seq = await at.assign(await at.release('2', 'healthy'))
    await world.time.until(() => blobRequests(at).length === 3, 10 * minute)
    expect(world.time.nowMs()).toBeGreaterThan(2 * downloadLimits.slowWindowMs - 1)
    expect(world.time.nowMs()).toBeLessThan(3 * minute)
    expect(at.board.log.filter((it) => it['code'] === 'EB-SLOW')).toHaveLength(2)
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
    const [first = -1, second = 0, third = 0] = blobRequests(at).map((it) => it.range?.start ?? 0)
    expect(first).toBe(0)
    expect(second).toBeGreaterThan(sealedBytes)
    expect(third - second).toBe(2 * sealedBytes)
  })

  it('from one byte a second is given up as too slow after a minute', async () => {
    const at = await scene(factory)
    bendFirst(at, 1, (answer) => Object.assign(answer, { partMs: 1000, partBytes: 1 }))
    const seq = await at.assign(await at.release('2', 'healthy'))
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
    expect(at.board.log.filter((it) => it['code'] === 'EB-SLOW')).toHaveLength(1)
  })

  it('is believed at two KiB a second, however long that takes', async () => {
    const at = await scene(factory)
    at.world.net.files.bend = (request, answer) => {
      if (isBlob(request)) Object.assign(answer, { partMs: 1000, partBytes: 2048 })
    }
    const seq = await at.assign(await at.release('2', 'healthy'))
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
    expect(blobRequests(at)).toHaveLength(1)
  })

  it('from an unsigned certificate is waited for', async () => {
    const at = await scene(factory)
    let refused = 0
    at.world.net.files.bend = () => {
      refused += 1
      if (refused < 6) throw new EverbootError(fault('EB-TLS', 'hub: SELF_SIGNED_CERT_IN_CHAIN'))
    }
    const seq = await at.assign(await at.release('2', 'healthy'))
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
  })
})

describe('a throttled download', () => {
  it('takes as long as its rate says', async () => {
    const at = await scene(factory)
    const v2 = await at.release('2', 'healthy')
    const bytes = v2.files.get('rootfs.blob')?.length ?? 0
    const start = at.world.time.nowMs()
    const seq = await at.assign(v2, 4096)
    await at.world.time.until(() => at.board.boots.length === 2, hour)
    const tookMs = at.world.time.nowMs() - start
    // The bucket holds one second.
    expect(tookMs).toBeGreaterThan((bytes / 4096 - 1) * 1000)
    expect(tookMs).toBeLessThan((bytes / 4096 + 5) * 1000)
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
    expect(blobRequests(at)).toHaveLength(1)
  })
})

describe('a download that is stopped', () => {
  /** Stops at the n-th part of the blob. @returns bytes sent beyond one copy of the release, or null when it was over */
  async function stopped(n: number, stop: (at: Scene) => void): Promise<number | null> {
    const at = await scene(factory, { quick: true })
    const { world } = at
    const v2 = await at.release('2', 'healthy', { pieces: 8 })
    let parts = 0
    let done = false
    world.net.files.bend = (request, answer) => {
      if (!isBlob(request)) return
      // 40 KiB/s: a slow link, on which every piece is made durable at once.
      Object.assign(answer, { partMs: 50, partBytes: 2048 })
    }
    world.net.files.onPart = (url) => {
      if (!url.endsWith('.blob')) return
      parts += 1
      if (parts !== n || done) return
      done = true
      stop(at)
    }
    const seq = await at.assign(v2)
    expect(await reported(at, seq), `stopped at part ${n}`).toMatchObject({ result: 'ok' })
    expect(holds(at.board, 'b', v2)).toBe(true)
    const own = [...v2.files.values()].reduce((sum, it) => sum + it.length, 0)
    const { bytesFetched, bytesRefetched } = lastProgress(at)
    const blobAndIndex = own - v2.manifestBytes.length
    expect(bytesFetched - bytesRefetched, 'useful bytes').toBeLessThanOrEqual(2 * blobAndIndex)
    return done ? world.net.files.sent - own : null
  }

  const index = 32 + 8 * 80 + 16

  it('by kill -9 of the agent fetches again the pieces in flight only (I8)', async () => {
    let stops = 0
    for (let n = 1; ; n += 2) {
      const again = await stopped(n, ({ board }) => board.killAgent())
      if (again === null) break
      stops += 1
      // What the port had read ahead counts as in flight: one piece and the index page, which is not kept.
      expect(again, `part ${n}`).toBeLessThanOrEqual(sealedBytes + 2048 + index)
    }
    expect(stops).toBeGreaterThan(4)
  })

  it('by a power cut on a slow link fetches again the piece in flight only', async () => {
    for (let n = 1; ; n += 3) {
      const again = await stopped(n, ({ board }) => {
        board.powerOff('lost')
        void board.powerOn()
      })
      if (again === null) break
      expect(again, `part ${n}`).toBeLessThanOrEqual(sealedBytes + 2048 + index + 5_000)
    }
  })
})

function lastProgress({ world }: Scene) {
  const shown = world.statuses('board-1').findLast((it) => it.report !== undefined)?.progress
  return shown ?? { bytesFetched: 0, bytesRefetched: 0 }
}
