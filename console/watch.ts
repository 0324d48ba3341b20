/**
 * Watches a console: hands its bytes and lines on, plays a script, and ends when the script has seen everything,
 * time is up, the device is gone or somebody stops it.
 * Promise: ends exactly once; what it holds is bounded (an open line, the last lines, one sighting a pattern);
 * the last word of a device, though not ended by a line feed, is a line too.
 * Leaves to others: the wire (transport.ts), printing and files (the sink), what the outcome means for a command.
 */
import { type Fault, fault, faultOf } from '../core/errors.ts'
import { consoleLimits } from '../core/limits.ts'
import type { Clock } from '../core/ports.ts'
import { lineSplitter } from './line-splitter.ts'
import { type Progress, type Sighting, type Step, scriptRun } from './script.ts'
import type { ControlLine, Transport } from './transport.ts'

/** Where a console goes; what it throws ends the watch. */
export interface Sink {
  bytes(bytes: Uint8Array, atMs: number): void
  /** @param atMs when the line began, of `Clock.monotonicMs()` */
  line(text: string, atMs: number): void
}

export interface WatchPorts {
  readonly transport: Transport
  readonly clock: Clock
  readonly sink: Sink
  readonly stop: AbortSignal
}

export interface WatchOptions {
  readonly steps: readonly Step[]
  /** Null: until it ends by itself. */
  readonly timeoutMs: number | null
  /** Control line to reset the device by, before anything is sent. */
  readonly reset: ControlLine | null
}

export interface Outcome {
  /** Why the script failed or the console ended; null when it saw everything, or was stopped without a script. */
  readonly fault: Fault | null
  /** With milliseconds since the start of the watch. */
  readonly seen: readonly (Sighting & { readonly afterMs: number })[]
  readonly lastLines: readonly string[]
  readonly lines: number
  readonly bytes: number
}

export function watch(ports: WatchPorts, options: WatchOptions): Promise<Outcome> {
  return new Promise((resolve) => begin(ports, options, resolve))
}

function begin(ports: WatchPorts, options: WatchOptions, resolve: (outcome: Outcome) => void): void {
  const { transport, clock, sink, stop } = ports
  const { steps, timeoutMs, reset } = options
  const startMs = clock.monotonicMs()
  const splitter = lineSplitter()
  const script = scriptRun(steps)
  const seen: (Sighting & { afterMs: number })[] = []
  const lastLines: string[] = []
  const count = { lines: 0, bytes: 0 }
  let lineMs = startMs
  let over = false
  let unsent = 0
  let sending = reset === null ? Promise.resolve() : transport.reset(reset)
  let cancelQuiet = (): void => {}

  const finish = (why: Fault | null): void => {
    if (over) return
    over = true
    cancelQuiet()
    cancelDeadline()
    stop.removeEventListener('abort', stopped)
    resolve({ fault: why, seen, lastLines, ...count })
  }
  /** Nothing that a sink throws is lost. */
  const guarded = (work: () => void): void => {
    if (over) return
    try {
      work()
    } catch (caught) {
      finish(faultOf(caught))
    }
  }
  const line = (text: string, atMs: number): void => {
    count.lines += 1
    lastLines.push(text)
    if (lastLines.length > consoleLimits.lastLines) lastLines.shift()
    sink.line(text, atMs)
    act(script.whole(text))
  }
  const act = (progress: Progress): void => {
    for (const it of progress.seen) seen.push({ ...it, afterMs: clock.monotonicMs() - startMs })
    for (const bytes of progress.send) send(bytes)
    if (steps.length > 0 && script.waitingFor() === null) {
      sending.then(
        () => closeLine(null),
        () => {},
      )
    }
  }
  const send = (bytes: Uint8Array): void => {
    unsent += 1
    sending = sending
      .then(() => transport.write(bytes))
      .then(() => {
        unsent -= 1
      })
    sending.catch(failed)
  }
  const lookAtPartial = (): void => guarded(() => act(script.partial(splitter.partial())))
  /** The open line is looked at and handed on before the end. */
  const closeLine = (why: Fault | null): void =>
    guarded(() => {
      for (const text of splitter.end()) line(text, lineMs)
      const complete = steps.length > 0 && script.waitingFor() === null && unsent === 0
      finish(complete ? null : why)
    })
  const stopped = (): void => closeLine(steps.length === 0 ? null : notSeen('it was interrupted'))
  const late = (): void =>
    closeLine(steps.length === 0 ? null : notSeen(`${(timeoutMs ?? 0) / 1000} s are over`))
  const notSeen = (why: string): Fault => {
    const pattern = script.waitingFor()
    if (pattern === null)
      return fault('EB-NOT-SEEN', `${transport.name} took not all that was sent, and ${why}`)
    const part = `${seen.length + 1} of ${steps.filter((it) => it.kind === 'expect').length}`
    const what = `${JSON.stringify(pattern)} (${part}) was not seen`
    return fault('EB-NOT-SEEN', `${transport.name}: ${what}, and ${why}`)
  }
  const failed = (caught: unknown): void => finish(faultOf(caught))

  const cancelDeadline = timeoutMs === null ? (): void => {} : clock.timer(timeoutMs, late)
  transport.listen({
    data: (bytes) =>
      guarded(() => {
        const nowMs = clock.monotonicMs()
        if (splitter.partial() === '') lineMs = nowMs
        count.bytes += bytes.length
        sink.bytes(bytes, nowMs)
        for (const text of splitter.push(bytes)) {
          line(text, lineMs)
          lineMs = nowMs
        }
        cancelQuiet()
        if (splitter.partial() !== '') cancelQuiet = clock.timer(consoleLimits.quietMs, lookAtPartial)
      }),
    ended: closeLine,
  })
  sending.catch(failed)
  if (stop.aborted) stopped()
  else stop.addEventListener('abort', stopped)
  guarded(() => act(script.start()))
}
