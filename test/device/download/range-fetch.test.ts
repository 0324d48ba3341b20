/**
 * One range over the fetch port: exactly the bytes asked for, or why not.
 */
import { describe, expect, it } from 'vitest'
import { type VirtualTime, virtualTime } from '../../../bootloader-sim/devices/clock.ts'
import { type Answer, fileServer } from '../../../bootloader-sim/devices/network.ts'
import { downloadLimits } from '../../../core/limits.ts'
import type { FetchResponse } from '../../../core/ports.ts'
import { fetchRange, type RangeBody } from '../../../device/download/range-fetch.ts'
import { newTurn } from '../../../proof/adapters/turn.ts'

const url = 'https://hub/f'
const file = Buffer.from(Array.from({ length: 256 }, (_, index) => index))
const request = { url, start: 16, endExclusive: 116, fileBytes: file.length, etag: null }

interface Got {
  readonly code: string
  readonly class: string
  readonly bytes: Uint8Array
}

async function all(body: RangeBody, time: VirtualTime): Promise<Got> {
  const parts: Uint8Array[] = []
  let got: Got | null = null
  void (async () => {
    for (;;) {
      const part = await body.read()
      if (!part.ok)
        got = { code: part.error.fault.code, class: part.error.class, bytes: Buffer.concat(parts) }
      else if (part.value === null) got = { code: 'whole', class: '', bytes: Buffer.concat(parts) }
      if (!part.ok || part.value === null) return
      parts.push(part.value)
    }
  })()
  await time.until(() => got !== null, 600_000)
  return got ?? { code: 'nothing', class: '', bytes: Buffer.concat(parts) }
}

async function fetched(bend: (answer: Answer) => void, change: { etag?: string } = {}) {
  const time = virtualTime(newTurn(), 0)
  const server = fileServer(time.clock)
  server.files.set('/f', file)
  server.bend = (_, answer) => bend(answer)
  const cancelling = new AbortController()
  const body = await fetchRange({ ...request, ...change }, server, time.clock, cancelling.signal)
  const got = body.ok
    ? await all(body.value, time)
    : { code: body.error.fault.code, class: body.error.class, bytes: new Uint8Array(0) }
  return { got, time, server, cancelling }
}

describe('a range', () => {
  it('is handed out whole, in parts of any size', async () => {
    for (const partBytes of [1, 7, 99, 100, 1000]) {
      const { got, time } = await fetched((answer) => {
        answer.partBytes = partBytes
      })
      expect(got).toMatchObject({ code: 'whole' })
      expect(Buffer.compare(got.bytes, file.subarray(16, 116))).toBe(0)
      expect(time.timers(), 'timers left').toBe(0)
    }
  })

  it('with the tag seen before is asked for under it, and refused under another or none', async () => {
    const { got: first, server } = await fetched(() => {})
    expect(first.code).toBe('whole')
    const etag = (await server.get({ url })).etag ?? ''
    const { got, server: asked } = await fetched(() => {}, { etag })
    expect(got.code).toBe('whole')
    expect(asked.requests[0]?.range?.ifRange).toBe(etag)
    for (const other of ['"other"', null, `W/${etag}`]) {
      const { got: refused } = await fetched(
        (answer) => {
          answer.etag = other
        },
        { etag },
      )
      expect(refused).toMatchObject({ code: 'EB-CHANGED', class: 'bytes' })
    }
  })

  it('of a changed file comes back as 200 and is called changed, not a missing range', async () => {
    const { got } = await fetched(() => {}, { etag: '"old"' })
    expect(got).toMatchObject({ code: 'EB-CHANGED', class: 'bytes' })
  })

  it('that ends early is of the network, one that goes on is not', async () => {
    const short = await fetched((answer) => {
      answer.body = answer.body.subarray(0, 99)
    })
    expect(short.got).toMatchObject({ code: 'EB-HUB-UNREACHABLE', class: 'network' })
    expect(short.got.bytes).toHaveLength(99)
    const long = await fetched((answer) => {
      answer.body = Buffer.concat([answer.body, Buffer.alloc(1)])
      answer.partBytes = 100
    })
    expect(long.got).toMatchObject({ code: 'EB-ENDLESS', class: 'bytes' })
    expect(long.got.bytes).toHaveLength(100)
    for (const it of [short, long]) expect(it.time.timers(), 'timers left').toBe(0)
  })

  it('that never ends does not fill the memory: it is cut at the first byte too many', async () => {
    let reads = 0
    const endless: FetchResponse = {
      status: 206,
      etag: null,
      contentRange: { start: 16, endExclusive: 116, size: 256 },
      contentLength: null,
      retryAfterMs: null,
      async read() {
        reads += 1
        return new Uint8Array(64)
      },
      cancel: () => {},
    }
    const time = virtualTime(newTurn(), 0)
    const body = await fetchRange(
      request,
      { get: async () => endless },
      time.clock,
      new AbortController().signal,
    )
    expect(body.ok).toBe(true)
    if (!body.ok) return
    expect(await all(body.value, time)).toMatchObject({ code: 'EB-ENDLESS' })
    expect(reads).toBe(2)
  })

  it('is cancelled when the answer is not taken', async () => {
    let cancelled = 0
    for (const status of [200, 206, 404, 500]) {
      const response: FetchResponse = {
        status,
        etag: null,
        contentRange: null,
        contentLength: null,
        retryAfterMs: null,
        read: async () => null,
        cancel: () => {
          cancelled += 1
        },
      }
      const time = virtualTime(newTurn(), 0)
      const body = await fetchRange(
        request,
        { get: async () => response },
        time.clock,
        new AbortController().signal,
      )
      expect(body.ok).toBe(false)
      expect(time.timers()).toBe(0)
    }
    expect(cancelled).toBe(4)
  })

  it('that stalls is given up after the window; one just fast enough is not', async () => {
    const stalled = await fetched((answer) => {
      answer.stallAfter = 50
    })
    expect(stalled.got).toMatchObject({ code: 'EB-SLOW', class: 'network' })
    expect(stalled.time.nowMs()).toBe(downloadLimits.slowWindowMs)
    expect(stalled.time.timers()).toBe(0)
  })

  it('ends at once when it is cancelled from outside', async () => {
    const time = virtualTime(newTurn(), 0)
    const server = fileServer(time.clock)
    server.files.set('/f', file)
    server.bend = (_, answer) => {
      answer.stallAfter = 50
    }
    const cancelling = new AbortController()
    const body = await fetchRange(request, server, time.clock, cancelling.signal)
    time.clock.timer(100, () => cancelling.abort())
    expect(body.ok).toBe(true)
    if (!body.ok) return
    expect(await all(body.value, time)).toMatchObject({ class: 'network' })
    expect(time.nowMs()).toBe(100)
    expect(time.timers()).toBe(0)
  })
})
