/**
 * One request over HTTP and its answer.
 * Promise: a body is refused before a byte of it is read where its length says enough, and is bounded where it does
 * not; sound is sent as fast as the client takes it, and as it comes; a client that goes away, or takes nothing for
 * a while, ends the reading of the clip; sound that breaks off ends the connection, so that nobody takes it for whole.
 * Leaves to others: what is asked and answered (clip-request.ts, clip-api.ts), connections (clip-server.ts).
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { clipLimits } from '../../../core/clip-limits.ts'
import { EverbootError, type Fault, fault, faultOf } from '../../../core/errors.ts'
import type { Events } from '../../../core/ports.ts'
import { bytesText } from '../../../core/units.ts'
import { type Answer, faultAnswer, type Sound } from '../clip-answers.ts'
import { answerTo } from '../clip-api.ts'
import { type Asked, bodyBytesMax, readRequest, type Way } from '../clip-request.ts'
import type { ClipService } from '../clip-service.ts'
import type { Places } from '../places.ts'
import { announcedBytes, readBody, refuseBody } from './clip-body.ts'

/** What requests are answered from. */
export interface Host {
  readonly service: ClipService
  readonly way: Way
  readonly events: Events
  /** For clips that are taken in. */
  readonly uploads: Places
  readonly idleMs: number
  readonly lingerMs: number
}

export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** The client waits for a word before it sends the body (RFC 9110, section 10.1.1). */
  readonly expects: boolean
  /** There are too many clients. */
  readonly isTooMuch: boolean
}

/** Nothing that the service or the client does makes it throw. */
export async function exchange(host: Host, it: Exchange): Promise<void> {
  const { request, response } = it
  // What a client sends behind a refusal is not even looked at.
  if (!request.socket.writable) return
  const asked = it.isTooMuch ? tooMuch : askedBy(request, host.way)
  const isUpload = asked.to === 'put' && (announcedBytes(request) ?? 0) <= bodyBytesMax(asked)
  const leave = isUpload ? await host.uploads.take() : () => {}
  const outcome = await outcomeOf(host, it, asked).finally(leave)
  if (outcome === null) return
  if (outcome.unread) refuseBody(request, response, outcome.answer, host.lingerMs)
  else await send(host, it, outcome.answer)
}

/** @returns the answer, and whether bytes of the body are left; null: the client has gone */
async function outcomeOf(
  host: Host,
  { request, response, expects }: Exchange,
  asked: Asked,
): Promise<{ readonly answer: Answer; readonly unread: boolean } | null> {
  const announced = announcedBytes(request)
  const bytesMax = bodyBytesMax(asked)
  if (asked.to === 'refuse') {
    return { answer: faultAnswer(asked.fault, asked.status, asked.headers), unread: announced !== 0 }
  }
  if ((announced ?? 0) > bytesMax) return { answer: faultAnswer(tooLong(bytesMax)), unread: true }
  if (expects && bytesMax > 0) response.writeContinue()
  const body = announced === 0 ? nothing : await readBody(request, announced, bytesMax, host.idleMs)
  if (body === 'gone') return null
  if (body === 'too long') return { answer: faultAnswer(tooLong(bytesMax)), unread: true }
  if (body === 'late') return { answer: faultAnswer(late(host.idleMs), 408), unread: true }
  const answer = answered(host, asked, body)
  if (asked.to !== 'play') return { answer: await answer, unread: false }
  const awaited = await whileHere(response, answer)
  if (awaited === null) void answer.then(unsent)
  return awaited === null ? null : { answer: awaited, unread: false }
}

const nothing = new Uint8Array(0)
const tooMuch: Asked = {
  to: 'refuse',
  fault: fault('EB-LIMIT', 'too many clients ask already', 'ask again in a while'),
  status: null,
  headers: { connection: 'close' },
}

function tooLong(bytesMax: number): Fault {
  if (bytesMax === clipLimits.clipBytesMax)
    return fault('EB-CLIP-SIZE', `the clip has more than ${bytesText(bytesMax)}`)
  return fault('EB-ENDLESS', `the body has more than ${bytesMax} bytes`, 'send less')
}

function late(idleMs: number): Fault {
  return fault('EB-TIMEOUT', `the body did not come within ${idleMs / 1000} s`)
}

function askedBy({ method = '', url = '', headers }: IncomingMessage, way: Way): Asked {
  const { host, origin, authorization, range } = headers
  const own = { host, origin, authorization, range, ...conditions(headers) }
  return readRequest({ method, target: url, headers: own }, way)
}

function conditions(headers: IncomingMessage['headers']) {
  return { 'if-range': headers['if-range'] as string | undefined, 'if-none-match': headers['if-none-match'] }
}

async function answered(host: Host, asked: Asked, body: Uint8Array): Promise<Answer> {
  try {
    return await answerTo(host.service, asked, body)
  } catch (caught) {
    return failed(host, caught)
  }
}

function failed({ events }: Host, caught: unknown): Answer {
  const it = faultOf(caught)
  const answer = faultAnswer(it)
  if (answer.status === 500) events.emit({ event: 'clip request failed', code: it.code, what: it.what })
  return answer
}

/** Nobody is there any more for that answer. */
function unsent({ body }: Answer): void {
  if (body !== null && typeof body !== 'string') body.playable.done()
}

/** @returns null when the client has gone first */
async function whileHere<T>(response: ServerResponse, work: Promise<T>): Promise<T | null> {
  let leave = (): void => {}
  const gone = new Promise<null>((resolve) => {
    leave = () => resolve(null)
  })
  if (response.destroyed) leave()
  response.once('close', leave)
  try {
    return await Promise.race([work, gone])
  } finally {
    response.off('close', leave)
  }
}

async function send(host: Host, it: Exchange, answer: Answer): Promise<void> {
  const { response } = it
  const { status, headers, body } = answer
  if (body !== null && typeof body !== 'string') return play(host, it, answer, body)
  if (response.destroyed) return
  response.writeHead(status, headers)
  response.end(body ?? undefined)
  await taken(response, 'finish', host.idleMs)
}

/** The headers wait for the first bytes: until then a failure is still an answer. */
async function play(host: Host, it: Exchange, answer: Answer, sound: Sound): Promise<void> {
  const { response } = it
  const { playable, start, endExclusive } = sound
  const parts = playable.read(start, endExclusive)[Symbol.asyncIterator]()
  let left = endExclusive - start
  try {
    while (!response.destroyed) {
      const part = await whileHere(response, parts.next())
      if (part === null) return
      if (part.done === true || part.value.length > left) break
      left -= part.value.length
      if (!response.headersSent) response.writeHead(answer.status, answer.headers)
      if (!(await passOn(response, part.value, left === 0, host.idleMs)) || left === 0) return
    }
    throw new EverbootError(fault('EB-INTERNAL', `clip ${playable.id} has another length than it says`))
  } catch (caught) {
    if (response.destroyed) return
    if (!response.headersSent) return await send(host, it, failed(host, caught))
    const { code, what } = faultOf(caught)
    host.events.emit({ event: 'clip broken off', clip: playable.id, code, what })
    response.destroy()
  } finally {
    // A read that is under way ends first.
    void Promise.resolve(parts.return?.())
      .catch(() => {})
      .finally(() => playable.done())
  }
}

/** In small parts, so that a slow client is told from one that takes nothing. @returns false: the client has gone */
async function passOn(
  response: ServerResponse,
  bytes: Uint8Array,
  last: boolean,
  idleMs: number,
): Promise<boolean> {
  for (let at = 0; at < bytes.length; at += clipLimits.pieceBytes) {
    const part = bytes.subarray(at, at + clipLimits.pieceBytes)
    if (last && at + part.length === bytes.length) {
      response.end(part)
      return taken(response, 'finish', idleMs)
    }
    if (!response.write(part) && !(await taken(response, 'drain', idleMs))) return false
  }
  return !response.destroyed
}

/** Waits until the client has taken what was written. @returns false: it has gone, or took nothing and was let go */
function taken(response: ServerResponse, event: 'drain' | 'finish', idleMs: number): Promise<boolean> {
  if (response.destroyed) return Promise.resolve(false)
  return new Promise((resolve) => {
    const end = (how: boolean): void => {
      clearTimeout(idle)
      response.off(event, yes)
      response.off('close', no)
      resolve(how)
    }
    const yes = (): void => end(true)
    const no = (): void => end(false)
    const idle = setTimeout(() => response.destroy(), idleMs)
    response.on(event, yes)
    response.on('close', no)
  })
}
