/**
 * What a request of the local interface asks for: method, target and headers in, one thing to do out.
 * Promise: never throws; names are decoded once and are safe names then; what a browser could be tricked into sending is
 * refused over a port: foreign hosts, other origins, changes without the token.
 * Source: RFC 9110; RFC 9112, section 3.2. Leaves to others: bodies, and doing it (clip-api.ts).
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { cacheLimits, clipLimits, servingLimits } from '../../core/clip-limits.ts'
import { EverbootError, type Fault, fault, raise } from '../../core/errors.ts'
import { safeName } from '../../core/units.ts'
import { claimsOf, wholeNumber } from './clip-claims.ts'
import type { NewClip } from './clip-service.ts'

export interface ApiRequest {
  readonly method: string
  /** As it stands on the request line. */
  readonly target: string
  /** By names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>
}

/** How a request came. Whoever can open the socket may do everything. */
export type Way = { readonly over: 'socket' } | LoopbackWay

export interface LoopbackWay {
  readonly over: 'loopback'
  readonly port: number
  /** SHA-256 of the token for changes; null: nothing can be changed. */
  readonly tokenSha256: Uint8Array | null
}

export type Asked =
  | {
      readonly to: 'play'
      readonly id: string
      readonly head: boolean
      readonly range: string | undefined
      readonly ifRange: string | undefined
      readonly ifNoneMatch: string | undefined
    }
  | { readonly to: 'put'; readonly about: NewClip }
  | { readonly to: 'remove'; readonly id: string; readonly forget: boolean }
  | { readonly to: 'pin'; readonly id: string }
  | { readonly to: 'share'; readonly id: string }
  | { readonly to: 'show'; readonly id: string }
  | { readonly to: 'list'; readonly after: string; readonly limit: number; readonly skill: string | null }
  | { readonly to: 'stats' }
  | { readonly to: 'invalidate' }
  | { readonly to: 'prefetch'; readonly skill: string }
  | {
      readonly to: 'refuse'
      readonly fault: Fault
      /** Null: as the code of the fault has it. */
      readonly status: number | null
      readonly headers: Readonly<Record<string, string>>
    }

/** Bytes that the body of such a request may have. */
export function bodyBytesMax({ to }: Asked): number {
  if (to === 'put') return clipLimits.clipBytesMax
  return to === 'pin' || to === 'invalidate' ? servingLimits.requestBytesMax : 0
}

export function readRequest(request: ApiRequest, way: Way): Asked {
  const refused = way.over === 'loopback' ? refusedOverPort(request, way) : null
  if (refused !== null) return refused
  try {
    return route(request)
  } catch (caught) {
    if (!(caught instanceof EverbootError)) throw caught
    return { to: 'refuse', fault: caught.fault, status: null, headers: {} }
  }
}

function refusedOverPort({ method, headers }: ApiRequest, way: LoopbackWay): Asked | null {
  const refuse = (status: number, what: string, todo: string, more = {}): Asked => ({
    to: 'refuse',
    fault: fault('EB-AUTH', what, todo),
    status,
    headers: more,
  })
  const { host = '', origin, authorization = '' } = headers
  if (!isOwnHost(host, way.port)) return refuse(403, 'the request is for another host', 'use 127.0.0.1')
  if (origin !== undefined) return refuse(403, 'web pages may not ask', 'use the socket')
  if (method === 'GET' || method === 'HEAD') return null
  if (way.tokenSha256 === null) return refuse(403, 'over the port clips are only read', 'use the socket')
  const [, given = ''] = /^bearer +(\S+) *$/i.exec(authorization) ?? []
  const isRight = timingSafeEqual(createHash('sha256').update(given).digest(), way.tokenSha256)
  return isRight
    ? null
    : refuse(401, 'changes over the port need the token', 'send it: Authorization: Bearer TOKEN', {
        'www-authenticate': 'Bearer',
      })
}

/** A name that resolves to this machine only by a trick (DNS rebinding) is not one of these. */
function isOwnHost(host: string, port: number): boolean {
  const [, , digits = '80'] = /^(localhost|127\.0\.0\.1|\[::1\])(?::(\d{1,5}))?$/i.exec(host) ?? [0, 0, '0']
  return Number(digits) === port
}

type Handler = (request: ApiRequest, name: string, query: Query) => Asked

const clip: Readonly<Record<string, Handler>> = {
  GET: play,
  HEAD: play,
  PUT: (_, id, query) => ({ to: 'put', about: newClip(id, query) }),
  DELETE: (_, id, query) => ({ to: 'remove', id, forget: query.flag('forget') }),
}

/** By path, `*` for a name; then by method. */
const routes: Readonly<Record<string, Readonly<Record<string, Handler>>>> = {
  'clips/*': clip,
  'clips/*/pin': { POST: (_, id) => ({ to: 'pin', id }) },
  'clips/*/share': { POST: (_, id) => ({ to: 'share', id }) },
  'clips/*/about': { GET: (_, id) => ({ to: 'show', id }) },
  clips: { GET: (_request, _name, query) => list(query) },
  stats: { GET: () => ({ to: 'stats' }) },
  invalidate: { POST: () => ({ to: 'invalidate' }) },
  'skills/*/prefetch': { POST: (_, skill) => ({ to: 'prefetch', skill }) },
}

function route(request: ApiRequest): Asked {
  const { method, target } = request
  const [path = '', ...queries] = target.split('?')
  const [before, kind = '', name, ...more] = path.split('/')
  const form = [kind, ...(name === undefined ? [] : ['*']), ...more].join('/')
  const methods = before === '' && Object.hasOwn(routes, form) ? routes[form] : undefined
  if (methods === undefined) raise('EB-NOT-FOUND', 'there is no such resource', { todo: 'check the path' })
  const handler = Object.hasOwn(methods, method) ? methods[method] : undefined
  if (handler === undefined) {
    const allow = Object.keys(methods).join(', ')
    const what = `${method.slice(0, 20)} cannot be done here`
    return { to: 'refuse', fault: fault('EB-USAGE', what, `use ${allow}`), status: 405, headers: { allow } }
  }
  const query = new Query(queries.join('?'))
  const asked = handler(request, name === undefined ? '' : decoded(name), query)
  query.end()
  return asked
}

/** @throws EverbootError EB-CLIP-NAME */
function decoded(segment: string): string {
  let name: string
  try {
    name = decodeURIComponent(segment)
  } catch {
    name = segment
  }
  return safe(name)
}

function safe(name: string): string {
  if (!safeName.test(name)) raise('EB-CLIP-NAME', `${JSON.stringify(name.slice(0, 80))} is no name`)
  return name
}

function play({ method, headers }: ApiRequest, id: string): Asked {
  const head = method === 'HEAD'
  const { range, 'if-range': ifRange, 'if-none-match': ifNoneMatch } = headers
  // RFC 9110, section 14.2: a range means something for GET only.
  return { to: 'play', id, head, range: head ? undefined : range, ifRange, ifNoneMatch }
}

function newClip(id: string, query: Query): NewClip {
  const ttl = query.number('ttl', cacheLimits.ttlMsMax / 1000)
  return {
    id,
    skill: safe(query.text('skill') ?? raise('EB-USAGE', 'skill is missing')),
    language: query.text('language'),
    ttlMs: ttl === null ? null : ttl * 1000,
    pinned: query.flag('pinned'),
    private: query.flag('private'),
    claims: claimsOf((name) => query.text(name)),
  }
}

function list(query: Query): Asked {
  const limit = query.number('limit', servingLimits.pageClipsMax) ?? servingLimits.pageClips
  if (limit === 0) raise('EB-USAGE', 'limit is 0')
  return { to: 'list', after: query.text('after') ?? '', limit, skill: query.text('skill') }
}

/** What follows the path; what nobody asked about, or stands there twice, is a mistake. */
class Query {
  readonly #all: URLSearchParams
  readonly #read = new Set<string>()

  constructor(text: string) {
    this.#all = new URLSearchParams(text)
  }

  text(name: string): string | null {
    this.#read.add(name)
    const values = this.#all.getAll(name)
    if (values.length > 1) raise('EB-USAGE', `${name} is said ${values.length} times`)
    return values[0] ?? null
  }

  flag(name: string): boolean {
    const text = this.text(name) ?? '0'
    if (text !== '0' && text !== '1') raise('EB-USAGE', `${name} is neither 0 nor 1`)
    return text === '1'
  }

  number(name: string, max: number): number | null {
    const text = this.text(name)
    const number = text === null ? null : wholeNumber(name, text)
    if (number !== null && number > max) raise('EB-USAGE', `${name} is ${number}, at most ${max}`)
    return number
  }

  /** @throws EverbootError EB-USAGE when something was not read */
  end(): void {
    const unknown = [...this.#all.keys()].find((name) => !this.#read.has(name))
    if (unknown !== undefined) raise('EB-USAGE', `${JSON.stringify(unknown.slice(0, 40))} is not known here`)
  }
}
