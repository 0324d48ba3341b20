/**
 * The local interface of the clip cache: what is asked for is done, and answered.
 * Promise: entity tags are strong, and are the content; a range is honoured only of the content that the client has a
 * part of; a clip whose sound is not sent is done with.
 * Source: RFC 9110. Leaves to others: reading requests (clip-request.ts), HTTP itself (adapters/clip-server.ts).
 */
import * as v from 'valibot'
import { contentTypeOf } from '../../audio/content-type.ts'
import { raise } from '../../core/errors.ts'
import { notModified, rangeFor } from '../../core/http-range.ts'
import { isDigest, safeName } from '../../core/units.ts'
import { type Answer, faultAnswer, jsonAnswer, shown } from './clip-answers.ts'
import type { Asked } from './clip-request.ts'
import type { ClipService, Playable } from './clip-service.ts'
import type { StoredClip } from './store-types.ts'

type Of<To extends Asked['to']> = Extract<Asked, { to: To }>

/**
 * @param body what came with the request, within its limit
 * @throws EverbootError what the service throws, or EB-USAGE when the body is not what is asked for
 */
export async function answerTo(service: ClipService, asked: Asked, body: Uint8Array): Promise<Answer> {
  switch (asked.to) {
    case 'refuse':
      return faultAnswer(asked.fault, asked.status, asked.headers)
    case 'play':
      return play(service, await service.get(asked.id), asked)
    case 'put': {
      const { placed, clip } = await service.put(asked.about, body)
      const isNew = placed === 'added' || placed === 'alias'
      return jsonAnswer(isNew ? 201 : 200, { placed, clip: shown(clip) })
    }
    case 'remove':
      return remove(service, asked)
    case 'pin':
      return pin(service, asked.id, documentOf(pinSchema, body).pinned)
    case 'share':
      return jsonAnswer(200, { id: asked.id, sent: await service.share(asked.id) })
    case 'show':
      return jsonAnswer(200, { clip: shown(known(service, asked.id)) })
    case 'list':
      return jsonAnswer(200, pageOf(service, asked))
    case 'stats':
      return jsonAnswer(200, service.stats())
    case 'invalidate':
      return jsonAnswer(200, { gone: await invalidate(service, documentOf(invalidateSchema, body)) })
    case 'prefetch':
      return jsonAnswer(202, { wanted: service.prefetch(asked.skill) })
  }
}

function play(service: ClipService, playable: Playable, asked: Of<'play'>): Answer {
  const { id, tag, bytes, audio, from } = playable
  const etag = `"sha256-${tag}"`
  const fixed = {
    etag,
    'accept-ranges': 'bytes',
    // An id may get another content at any time; a private one leaves no copy.
    'cache-control': service.peek(id)?.private === true ? 'no-store' : 'no-cache',
    'x-everboot-from': from,
    'x-content-type-options': 'nosniff',
  }
  const range = rangeFor(bytes, etag, asked.range, asked.ifRange)
  const isPart = range.kind === 'part'
  const { start, endExclusive } = isPart ? range : { start: 0, endExclusive: bytes }
  const type = { 'content-type': contentTypeOf(audio.format), 'content-length': `${endExclusive - start}` }
  const without = (status: number, more: Readonly<Record<string, string>>): Answer => {
    playable.done()
    return { status, headers: { ...fixed, ...more }, body: null }
  }
  if (notModified(etag, asked.ifNoneMatch)) return without(304, {})
  if (range.kind === 'unsatisfiable') {
    return without(416, { 'content-range': `bytes */${bytes}`, 'content-length': '0' })
  }
  if (asked.head) return without(200, type)
  const part = isPart ? { 'content-range': `bytes ${start}-${endExclusive - 1}/${bytes}` } : {}
  const body = { playable, start, endExclusive }
  return { status: isPart ? 206 : 200, headers: { ...fixed, ...type, ...part }, body }
}

/** @throws EverbootError EB-CLIP-MISSING */
function known(service: ClipService, id: string): StoredClip {
  return service.peek(id) ?? raise('EB-CLIP-MISSING', `there is no clip ${id}`)
}

async function remove(service: ClipService, { id, forget }: Of<'remove'>): Promise<Answer> {
  const was = forget ? await service.forget(id) : await service.remove(id)
  if (!was) raise('EB-CLIP-MISSING', `there is no clip ${id}`)
  return jsonAnswer(200, { gone: 1 })
}

async function pin(service: ClipService, id: string, pinned: boolean): Promise<Answer> {
  const done = await service.pin(id, pinned)
  const clip = shown(known(service, id))
  if (!done) raise('EB-CLIP-FULL', `clip ${id} has ${clip.bytes} bytes: pinned clips have no room for it`)
  return jsonAnswer(200, { clip })
}

const pinSchema = v.strictObject({ pinned: v.boolean() })
const invalidateSchema = v.union([
  v.strictObject({ skill: v.pipe(v.string(), v.regex(safeName)) }),
  v.strictObject({ content: v.pipe(v.string(), v.check(isDigest)) }),
  v.strictObject({ all: v.literal(true) }),
])

/** @returns how many clips went */
async function invalidate(
  service: ClipService,
  what: v.InferOutput<typeof invalidateSchema>,
): Promise<number> {
  if ('skill' in what) return service.invalidateSkill(what.skill)
  if ('content' in what) return service.invalidateContent(what.content)
  const { items } = service.stats()
  await service.clear()
  return items
}

/** @throws EverbootError EB-USAGE */
function documentOf<T>(schema: v.GenericSchema<unknown, T>, body: Uint8Array): T {
  let document: unknown
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    raise('EB-USAGE', 'the body is not JSON')
  }
  const parsed = v.safeParse(schema, document)
  if (parsed.success) return parsed.output
  const [{ message }] = parsed.issues
  raise('EB-USAGE', `the body is not understood: ${message}`)
}

/** Clips in the order of their ids: those that follow `after`. `next` continues the list; null: it has ended. */
function pageOf(service: ClipService, { after, limit, skill }: Of<'list'>) {
  const page: string[] = []
  let more = false
  for (const id of service.ids(skill)) {
    if (id <= after) continue
    if (page.length === limit && id > (page.at(-1) ?? '')) {
      more = true
      continue
    }
    page.splice(placeOf(page, id), 0, id)
    if (page.length <= limit) continue
    page.pop()
    more = true
  }
  const clips = page.map((id) => service.peek(id)).filter((it) => it !== null)
  return { clips: clips.map(shown), next: more ? (page.at(-1) ?? null) : null }
}

/** Where a text belongs in a sorted list. */
function placeOf(sorted: readonly string[], text: string): number {
  let from = 0
  let to = sorted.length
  while (from < to) {
    const middle = (from + to) >>> 1
    if ((sorted[middle] ?? '') < text) from = middle + 1
    else to = middle
  }
  return from
}
