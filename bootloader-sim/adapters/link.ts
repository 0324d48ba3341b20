/**
 * A bad line between device and hub: a TCP proxy with a rate, a delay, and connections that break.
 * Promise: bytes keep their order and are never changed; both directions have the rate, shared fairly by
 * their connections; memory per connection is bounded; what it counts has really been passed on.
 * Leaves to others: who uses it (demo, bench, tests).
 */
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { EverbootError, fault } from '../../core/errors.ts'
import { linkLimits } from '../../core/limits.ts'
import type { Random } from '../../core/ports.ts'

export interface LinkOptions {
  /** 0: any free port. */
  readonly listenPort: number
  readonly to: { readonly host: string; readonly port: number }
  /** Bytes per second in each direction; null: as fast as it goes. */
  readonly rate: number | null
  /** Round trip, half of it in each direction. */
  readonly latencyMs: number
  /** Share of connections that break at a random point, 0 to 1. */
  readonly cutShare: number
  readonly random: Random
  /** Several links over the same line share its rate; absent: a line of its own. */
  readonly lines?: Lines
}

/** The two directions of a line. */
export interface Lines {
  readonly up: Line
  readonly down: Line
}

/** @param rate bytes per second in each direction; null: as fast as it goes */
export function linesOf(rate: number | null): Lines {
  return { up: new Line(rate), down: new Line(rate) }
}

export interface LinkCounters {
  /** Bytes towards the hub. */
  readonly up: number
  /** Bytes towards the device. */
  readonly down: number
  readonly connections: number
  /** Connections that the link broke. */
  readonly broken: number
}

export interface BadLink {
  readonly port: number
  counters(): LinkCounters
  /** Breaks every connection; new ones break at once. */
  cut(): void
  restore(): void
  close(): Promise<void>
}

/** @throws EverbootError EB-PORT-IN-USE */
export async function openLink(options: LinkOptions): Promise<BadLink> {
  const state: State = {
    options,
    lines: options.lines ?? linesOf(options.rate),
    count: { up: 0, down: 0, connections: 0, broken: 0 },
    open: new Set(),
    whole: true,
  }
  const server = createServer({ allowHalfOpen: true }, (near) => accept(state, near))
  const cut = (): void => {
    state.whole = false
    for (const breakUp of [...state.open]) breakUp()
  }
  return {
    port: await listen(server, options.listenPort),
    counters: () => ({ ...state.count }),
    cut,
    restore() {
      state.whole = true
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      cut()
      await closed
    },
  }
}

interface State {
  readonly options: LinkOptions
  readonly lines: Lines
  readonly count: { up: number; down: number; connections: number; broken: number }
  /** Breaks one connection each. */
  readonly open: Set<() => void>
  whole: boolean
}

function accept(state: State, near: Socket): void {
  state.count.connections += 1
  near.on('error', () => near.destroy())
  if (state.whole) carry(state, near)
  else {
    state.count.broken += 1
    near.resetAndDestroy()
  }
}

/** One connection, to its end. */
function carry(state: State, near: Socket): void {
  const { options, lines, count, open } = state
  const far = createConnection({ ...options.to, allowHalfOpen: true })
  const breakUp = (): void => {
    if (!open.delete(breakUp)) return
    count.broken += 1
    near.resetAndDestroy()
    far.resetAndDestroy()
  }
  open.add(breakUp)
  let left = cutPoint(options)
  const pass = (direction: 'up' | 'down', to: Socket, segment: Buffer): boolean => {
    const part = segment.subarray(0, Math.max(0, left))
    left -= part.length
    count[direction] += part.length
    const whole = part.length === segment.length
    to.write(part, () => {
      if (!whole) breakUp()
    })
    return whole
  }
  const way = { delayMs: options.latencyMs / 2, windowBytes: windowOf(options) }
  new Pipe({ ...way, from: near, to: far, line: lines.up, pass: (segment) => pass('up', far, segment) })
  new Pipe({ ...way, from: far, to: near, line: lines.down, pass: (segment) => pass('down', near, segment) })
  for (const socket of [near, far]) {
    socket.setNoDelay(true)
    socket.on('error', () => {
      open.delete(breakUp)
      near.destroy()
      far.destroy()
    })
    socket.on('close', () => {
      if (near.destroyed && far.destroyed) open.delete(breakUp)
    })
  }
}

/** Bytes after which the connection breaks: early as often as late, on a scale of powers of two. */
function cutPoint(options: LinkOptions): number {
  const { cutShare, random } = options
  if (random.below(linkLimits.shareSteps) >= cutShare * linkLimits.shareSteps) return Number.POSITIVE_INFINITY
  return 1 + random.below(2 ** random.below(linkLimits.cutBytesExponentMax))
}

/** What fills the line and its delay, and some more. */
function windowOf(options: LinkOptions): number {
  return linkLimits.windowBytes + Math.ceil(((options.rate ?? 0) * options.latencyMs) / 1000)
}

async function listen(server: Server, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const busy = fault('EB-PORT-IN-USE', `port ${port} cannot be listened on: ${cause.message}`)
      reject(new EverbootError(busy, { cause }))
    })
    server.listen(port, '127.0.0.1', resolve)
  })
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : port
}

/** One direction of the line: a segment at a time, each connection in turn. */
class Line {
  readonly #rate: number | null
  readonly #turn: Pipe[] = []
  #freeAtMs = 0
  #busy = false

  constructor(rate: number | null) {
    this.#rate = rate
  }

  /** `pipe` has something to send. */
  want(pipe: Pipe): void {
    if (!this.#turn.includes(pipe)) this.#turn.push(pipe)
    if (!this.#busy) this.#send()
  }

  #send(): void {
    this.#busy = false
    const now = performance.now()
    // An idle line saves up this much; timers are no finer.
    this.#freeAtMs = Math.max(this.#freeAtMs, now - linkLimits.burstMs)
    while (this.#freeAtMs <= now) {
      const next = this.#turn.shift()
      if (next === undefined) return
      const segment = next.take(this.#rate === null ? linkLimits.windowBytes : linkLimits.segmentBytes)
      if (segment === null) continue
      if (this.#rate !== null) this.#freeAtMs += (segment.length * 1000) / this.#rate
      next.depart(segment, this.#rate === null ? now : Math.max(now, this.#freeAtMs))
      this.#turn.push(next)
    }
    this.#busy = true
    setTimeout(() => this.#send(), Math.max(1, this.#freeAtMs - now))
  }
}

interface PipeSettings {
  readonly from: Socket
  readonly to: Socket
  readonly line: Line
  readonly delayMs: number
  readonly windowBytes: number
  /** Gives a segment to `to`. @returns false when it went only in part and the connection breaks. */
  readonly pass: (segment: Buffer) => boolean
}

/** One direction of one connection: what waits for the line, and what is under way. */
class Pipe {
  readonly #it: PipeSettings
  readonly #waiting: Buffer[] = []
  readonly #flying: { readonly segment: Buffer; readonly atMs: number }[] = []
  #bytes = 0
  #ended = false
  #landing = false

  constructor(settings: PipeSettings) {
    this.#it = settings
    const { from, to, line } = settings
    from.on('data', (bytes: Buffer) => {
      this.#waiting.push(bytes)
      this.#bytes += bytes.length
      line.want(this)
      this.#flow()
    })
    from.on('end', () => {
      this.#ended = true
      this.#flow()
    })
    to.on('drain', () => this.#flow())
  }

  /** The next bytes for the line, or null when none wait. */
  take(bytesMax: number): Buffer | null {
    const [first] = this.#waiting
    if (first === undefined) return null
    const segment = first.subarray(0, bytesMax)
    if (segment.length === first.length) this.#waiting.shift()
    else this.#waiting[0] = first.subarray(segment.length)
    return segment
  }

  /** @param atMs when the last bit of it is on the line */
  depart(segment: Buffer, atMs: number): void {
    this.#flying.push({ segment, atMs: atMs + this.#it.delayMs })
    if (!this.#landing) this.#landLater(atMs + this.#it.delayMs)
  }

  #landLater(atMs: number): void {
    this.#landing = true
    setTimeout(() => this.#land(), Math.max(0, atMs - performance.now()))
  }

  #land(): void {
    this.#landing = false
    const now = performance.now()
    for (let next = this.#flying[0]; next !== undefined && next.atMs <= now; next = this.#flying[0]) {
      this.#flying.shift()
      this.#bytes -= next.segment.length
      // Nothing follows a break, not even an orderly end.
      if (!this.#it.to.destroyed && !this.#it.pass(next.segment)) return
    }
    const [next] = this.#flying
    if (next !== undefined) this.#landLater(next.atMs)
    this.#flow()
  }

  #flow(): void {
    const { from, to, windowBytes } = this.#it
    if (this.#bytes + to.writableLength >= windowBytes) from.pause()
    else if (from.isPaused()) from.resume()
    if (this.#ended && this.#bytes === 0 && !to.destroyed) to.end()
  }
}
