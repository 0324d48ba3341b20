/**
 * Asks the clip cache of this device over its socket: for programs, and for the commands of `everboot clips`.
 * Promise: what breaks off is a failure, never a short clip; a body is sent only when the cache wants it; waits end.
 * Leaves to others: what is asked for (clip-request.ts), what is done with the sound.
 */
import type { ClientRequest, IncomingMessage } from 'node:http'
import { clipLimits, servingLimits } from '../../../core/clip-limits.ts'
import { EverbootError, errorTable, fault, isErrorCode, raise } from '../../../core/errors.ts'
import type { ClipStats } from '../../../core/wire/skills.ts'
import type { ShownClip } from '../clip-answers.ts'
import type { Placed } from '../store-types.ts'

const http = process.getBuiltinModule('node:http')

/** A clip that comes. */
export interface ComingClip {
  readonly type: string
  readonly bytes: number
  readonly from: string
  /** Strong, quotes included. */
  readonly etag: string
  /** To be read to the end. @throws EverbootError EB-HUB-UNREACHABLE when it breaks off */
  readonly parts: AsyncIterable<Uint8Array>
}

/** A sound that is to be stored, and what is said of it. */
export interface Upload {
  readonly bytes: number
  readonly parts: AsyncIterable<Uint8Array>
  /** As the interface names them: skill, language, ttl, pinned, private, format, … */
  readonly said: Readonly<Record<string, string>>
}

export type Invalid = { readonly skill: string } | { readonly content: string } | { readonly all: true }

/** Everything fails with EB-NO-AGENT when nobody answers, and with the code of the cache when it refuses. */
export interface ClipClient {
  get(id: string): Promise<ComingClip>
  put(id: string, upload: Upload): Promise<{ readonly placed: Placed; readonly clip: ShownClip }>
  show(id: string): Promise<ShownClip>
  /** Page by page, in the order of ids. */
  list(skill?: string): AsyncGenerator<readonly ShownClip[]>
  stats(): Promise<ClipStats>
  remove(id: string): Promise<void>
  /** A private clip's key is destroyed. */
  forget(id: string): Promise<void>
  /** @returns how many clips went */
  invalidate(what: Invalid): Promise<number>
  pin(id: string, pinned: boolean): Promise<ShownClip>
  /** The hub keeps it too. @returns bytes that had to be sent */
  share(id: string): Promise<number>
  /** @returns how many clips are to be fetched */
  prefetch(skill: string): Promise<number>
}

/** @param interrupted ends what is under way */
export function clipClient(socket: string, interrupted?: AbortSignal): ClipClient {
  const send = (method: string, path: string, body: Body = nothing): Promise<IncomingMessage> =>
    answerOf({ socket, interrupted, method, path, body })
  const ask = async <T>(method: string, path: string, document?: unknown): Promise<T> =>
    JSON.parse(await textOf(await send(method, path, documentBody(document)))) as T
  const at = (id: string): string => `/clips/${encodeURIComponent(id)}`
  return {
    get: async (id) => comingClip(id, await send('GET', at(id))),
    async put(id, { bytes, parts, said }) {
      const path = `${at(id)}?${new URLSearchParams(said)}`
      return JSON.parse(await textOf(await send('PUT', path, { bytes, parts })))
    },
    show: async (id) => (await ask<{ clip: ShownClip }>('GET', `${at(id)}/about`)).clip,
    async *list(skill) {
      const query = { limit: `${servingLimits.pageClipsMax}`, ...(skill === undefined ? {} : { skill }) }
      for (let after: string | null = ''; after !== null; ) {
        const path = `/clips?${new URLSearchParams({ ...query, after })}`
        const page: { clips: ShownClip[]; next: string | null } = await ask('GET', path)
        yield page.clips
        after = page.next
      }
    },
    stats: () => ask('GET', '/stats'),
    share: async (id) => (await ask<{ sent: number }>('POST', `${at(id)}/share`)).sent,
    remove: async (id) => void (await ask('DELETE', at(id))),
    forget: async (id) => void (await ask('DELETE', `${at(id)}?forget=1`)),
    invalidate: async (what) => (await ask<{ gone: number }>('POST', '/invalidate', what)).gone,
    pin: async (id, pinned) => (await ask<{ clip: ShownClip }>('POST', `${at(id)}/pin`, { pinned })).clip,
    prefetch: async (skill) => {
      const path = `/skills/${encodeURIComponent(skill)}/prefetch`
      return (await ask<{ wanted: number }>('POST', path)).wanted
    },
  }
}

interface Body {
  readonly bytes: number
  readonly parts: AsyncIterable<Uint8Array> | readonly Uint8Array[]
}

const nothing: Body = { bytes: 0, parts: [] }

function documentBody(document: unknown): Body {
  if (document === undefined) return nothing
  const bytes = Buffer.from(JSON.stringify(document))
  return { bytes: bytes.length, parts: [bytes] }
}

interface Question {
  readonly socket: string
  readonly interrupted: AbortSignal | undefined
  readonly method: string
  readonly path: string
  readonly body: Body
}

/** @returns the answer when it is a good one. @throws EverbootError the one that the answer holds */
async function answerOf(it: Question): Promise<IncomingMessage> {
  const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
    const { socket, interrupted, method, path, body } = it
    const headers: Record<string, string> = body.bytes === 0 ? {} : { 'content-length': `${body.bytes}` }
    if (body.bytes > waitBytes) headers['expect'] = '100-continue'
    const outgoing = http.request({ socketPath: socket, method, path, headers, agent: false })
    const stop = (): void => void outgoing.destroy(new EverbootError(fault('EB-CANCELLED', 'interrupted')))
    interrupted?.addEventListener('abort', stop, { once: true })
    outgoing.once('close', () => interrupted?.removeEventListener('abort', stop))
    outgoing.setTimeout(servingLimits.answerMs, () => outgoing.destroy(silence(socket)))
    outgoing.on('error', (caught: NodeJS.ErrnoException) => reject(faultOfConnection(socket, caught)))
    outgoing.on('response', resolve)
    const sendBody = (): void => {
      sendParts(outgoing, body).catch((caught: unknown) => {
        reject(caught)
        outgoing.destroy()
      })
    }
    if (headers['expect'] === undefined) sendBody()
    else outgoing.once('continue', sendBody)
    if (interrupted?.aborted === true) stop()
  })
  const { statusCode = 0 } = incoming
  if (statusCode >= 200 && statusCode < 300) return incoming
  throw errorOf(statusCode, await textOf(incoming))
}

/** Longer bodies wait until they are wanted. */
const waitBytes = 16 * 1024

async function sendParts(outgoing: ClientRequest, { bytes, parts }: Body): Promise<void> {
  let left = bytes
  for await (const part of parts) {
    left -= part.length
    if (left < 0) break
    if (outgoing.destroyed) return
    if (!outgoing.write(part)) await drained(outgoing)
  }
  if (left !== 0) raise('EB-FILE', 'what is sent changed its length meanwhile')
  outgoing.end()
}

function drained(outgoing: ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      outgoing.off('drain', end)
      outgoing.off('close', end)
      resolve()
    }
    outgoing.on('drain', end)
    outgoing.on('close', end)
  })
}

function silence(socket: string): EverbootError {
  const seconds = servingLimits.answerMs / 1000
  return new EverbootError(fault('EB-TIMEOUT', `the clip cache at ${socket} said nothing for ${seconds} s`))
}

function faultOfConnection(socket: string, caught: NodeJS.ErrnoException): EverbootError {
  if (caught instanceof EverbootError) return caught
  const { code = caught.message } = caught
  const todo = code === 'EACCES' ? 'run it as root or as a member of the group everboot' : undefined
  return new EverbootError(fault('EB-NO-AGENT', `${socket}: ${code}`, todo), { cause: caught })
}

function errorOf(status: number, text: string): EverbootError {
  const { code = '', what = '', todo } = errorIn(text)
  if (isErrorCode(code)) return new EverbootError(fault(code, what, todo ?? errorTable[code].todo))
  return new EverbootError(fault('EB-HTTP-STATUS', `the clip cache answered ${status}`))
}

function errorIn(text: string): { readonly code?: string; readonly what?: string; readonly todo?: string } {
  try {
    return JSON.parse(text).error ?? {}
  } catch {
    return {}
  }
}

async function textOf(incoming: IncomingMessage): Promise<string> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of partsOf(incoming, 'the answer')) {
    bytes += part.length
    if (bytes > clipLimits.listBytesMax) raise('EB-ENDLESS', 'the answer of the clip cache does not end')
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

function comingClip(id: string, incoming: IncomingMessage): ComingClip {
  const { headers } = incoming
  return {
    type: headers['content-type'] ?? '',
    bytes: Number(headers['content-length'] ?? Number.NaN),
    from: String(headers['x-everboot-from'] ?? ''),
    etag: headers.etag ?? '',
    parts: partsOf(incoming, `clip ${id}`),
  }
}

async function* partsOf(incoming: IncomingMessage, what: string): AsyncGenerator<Uint8Array> {
  let bytes = 0
  try {
    for await (const part of incoming) {
      bytes += (part as Uint8Array).length
      yield part as Uint8Array
    }
  } catch (cause) {
    if (cause instanceof EverbootError) throw cause
    const of = incoming.headers['content-length'] ?? 'more'
    const todo = 'ask again; the log of the agent says why'
    raise('EB-HUB-UNREACHABLE', `${what} broke off after ${bytes} of ${of} bytes`, { todo, cause })
  }
}
