/** The bad line: what it carries, how fast, how late, and how it breaks. */
import { createHash, randomBytes } from 'node:crypto'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { type BadLink, type LinkOptions, openLink } from '../../bootloader-sim/adapters/link.ts'
import { EverbootError } from '../../core/errors.ts'
import { seededRandom } from '../../core/prng.ts'
import { KiB, MiB } from '../../core/units.ts'

let server: Server | null = null
let link: BadLink | null = null

afterEach(async () => {
  await link?.close()
  link = null
  server?.close()
})

/** A server that does `serve` with each connection, and a link to it. */
async function through(options: Partial<LinkOptions>, serve: (socket: Socket) => void): Promise<BadLink> {
  const made = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    serve(socket)
  })
  server = made
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve))
  const { port } = made.address() as { port: number }
  link = await openLink({
    listenPort: 0,
    to: { host: '127.0.0.1', port },
    rate: null,
    latencyMs: 0,
    cutShare: 0,
    random: seededRandom(7),
    ...options,
  })
  return link
}

interface Received {
  readonly bytes: number
  readonly sha256: string
  readonly broken: boolean
  readonly ms: number
}

/** Sends `send`, ends, and takes what comes back. */
function exchange(port: number, send: Uint8Array): Promise<Received> {
  const begun = performance.now()
  const hash = createHash('sha256')
  let bytes = 0
  return new Promise((resolve) => {
    const socket = createConnection({ port, allowHalfOpen: true })
    const done = (broken: boolean): void => {
      socket.destroy()
      resolve({ bytes, sha256: hash.copy().digest('hex'), broken, ms: performance.now() - begun })
    }
    socket.on('data', (part: Buffer) => {
      bytes += part.length
      hash.update(part)
    })
    socket.on('end', () => done(false))
    socket.on('error', () => done(true))
    socket.end(send)
  })
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const echo = (socket: Socket): void => void socket.pipe(socket)

describe('bad line', () => {
  it('carries both directions unchanged, with half-closed connections, and counts them', async () => {
    const { port, counters } = await through({}, echo)
    const sent = randomBytes(9 * MiB + 17)
    const [one, other] = await Promise.all([exchange(port, sent), exchange(port, sent.subarray(0, 3))])
    expect(one).toMatchObject({ bytes: sent.length, sha256: sha256(sent), broken: false })
    expect(other).toMatchObject({ bytes: 3, broken: false })
    expect(counters()).toEqual({ up: sent.length + 3, down: sent.length + 3, connections: 2, broken: 0 })
  })

  it('keeps to its rate, in each direction', async () => {
    const { port } = await through({ rate: 256 * KiB }, echo)
    const sent = randomBytes(256 * KiB)
    const { ms, bytes } = await exchange(port, sent)
    expect(bytes).toBe(sent.length)
    // Both directions work at once; the first segments come back while the last ones go.
    expect(ms).toBeGreaterThan(950)
    expect(ms).toBeLessThan(2_000)
  })

  it('shares its rate fairly between connections', async () => {
    const answer = randomBytes(100 * KiB)
    const { port } = await through({ rate: 200 * KiB }, (socket) => {
      socket.once('data', (asked: Buffer) =>
        socket.end(asked[0] === 1 ? answer : answer.subarray(0, 2 * KiB)),
      )
    })
    const long = exchange(port, Uint8Array.of(1))
    await new Promise((resolve) => setTimeout(resolve, 100))
    const short = await exchange(port, Uint8Array.of(2))
    expect(short.bytes).toBe(2 * KiB)
    expect(short.ms).toBeLessThan(150)
    expect((await long).ms).toBeGreaterThan(400)
  })

  it('delays by the round trip it was given, and loses no throughput by it', async () => {
    const { port } = await through({ latencyMs: 300, rate: 2 * MiB }, echo)
    const ping = await exchange(port, Uint8Array.of(1))
    expect(ping.ms).toBeGreaterThanOrEqual(295)
    expect(ping.ms).toBeLessThan(500)
    const bulk = await exchange(port, randomBytes(MiB))
    expect(bulk.bytes).toBe(MiB)
    expect(bulk.ms).toBeLessThan(1_600)
  })

  it('breaks about the share of connections it was told to, at points early and late', async () => {
    const answer = randomBytes(64 * KiB)
    const options = { cutShare: 0.3, random: seededRandom(3) }
    const { port, counters } = await through(options, (socket) => void socket.end(answer))
    const broken: number[] = []
    for (let number = 0; number < 120; number += 1) {
      const it = await exchange(port, Uint8Array.of(1))
      if (it.broken) broken.push(it.bytes)
      else expect(it.sha256).toBe(sha256(answer))
    }
    expect(broken.length).toBe(counters().broken)
    expect(broken.length).toBeGreaterThan(10)
    expect(broken.length).toBeLessThan(50)
    expect(new Set(broken).size).toBeGreaterThan(5)
  })

  it('breaks everything when cut, takes nothing until restored', async () => {
    const opened = await through({ rate: 64 * KiB }, echo)
    const under = exchange(opened.port, randomBytes(MiB))
    await new Promise((resolve) => setTimeout(resolve, 200))
    opened.cut()
    expect((await under).broken).toBe(true)
    expect(await exchange(opened.port, Uint8Array.of(1))).toMatchObject({ broken: true, bytes: 0 })
    opened.restore()
    expect(await exchange(opened.port, Uint8Array.of(1))).toMatchObject({ broken: false, bytes: 1 })
    expect(opened.counters()).toMatchObject({ connections: 3, broken: 2 })
  })

  it('holds back a sender whose receiver is slow', async () => {
    const taken: Socket[] = []
    const { port, counters } = await through({}, (socket) => {
      socket.pause()
      taken.push(socket)
    })
    const socket = createConnection({ port })
    socket.on('error', () => {})
    let accepted = 0
    const chunk = Buffer.alloc(MiB)
    const end = performance.now() + 500
    while (performance.now() < end && accepted < 64) {
      if (socket.write(chunk)) accepted += 1
      else await new Promise((resolve) => setTimeout(resolve, 10))
      if (socket.writableLength > 8 * MiB) break
    }
    // Kernel buffers take a few MiB on both sides; the link itself keeps no more than its window.
    expect(counters().up).toBeLessThan(16 * MiB)
    socket.destroy()
    for (const it of taken) it.destroy()
  })

  it('breaks when the far end is not there', async () => {
    const opened = await through({}, echo)
    await new Promise<void>((resolve) => server?.close(() => resolve()))
    expect(await exchange(opened.port, Uint8Array.of(1))).toMatchObject({ bytes: 0 })
  })

  it('refuses a port that is taken', async () => {
    const opened = await through({}, echo)
    const again = openLink({
      listenPort: opened.port,
      to: { host: '127.0.0.1', port: 1 },
      rate: null,
      latencyMs: 0,
      cutShare: 0,
      random: seededRandom(1),
    })
    await expect(again).rejects.toSatisfy(
      (it) => it instanceof EverbootError && it.fault.code === 'EB-PORT-IN-USE',
    )
  })
})
