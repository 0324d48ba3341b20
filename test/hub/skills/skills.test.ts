/**
 * Publishing skills: what is newer, what is refused, what an announcement must be.
 */
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { clipLimits, hubClipLimits } from '../../../core/clip-limits.ts'
import { wireLimits } from '../../../core/limits.ts'
import type { Digest } from '../../../core/units.ts'
import { clipsFrom } from '../../../hub/clips/load.ts'
import type { ClipState, Skill } from '../../../hub/clips/model.ts'
import type { HubMessage, HubState } from '../../../hub/core/model.ts'
import { reduce } from '../../../hub/core/reduce.ts'
import { readPublication } from '../../../hub/skills/publication.ts'
import { missingOf, refusalOf, republishSkills } from '../../../hub/skills/skills.ts'
import { signEnvelope } from '../../../keys/envelope.ts'
import { verifyEd25519 } from '../../../keys/verify-node.ts'
import { accepted, addDevice, digestOf, hubAfter, publication } from '../fixtures.ts'
import { newKeys } from '../releases.ts'

const [one, two, list, other] = ['1', '2', 'f', 'e'].map(digestOf) as [Digest, Digest, Digest, Digest]
const here = (sha256: Digest, bytes = 5): HubMessage => ({
  kind: 'content-here',
  sha256,
  bytes,
  owner: null,
  atMs: 1,
})
const publish = (made: ReturnType<typeof publication>, atMs = 10): HubMessage => ({
  kind: 'publish-skill',
  publication: made,
  atMs,
})
const start = hubAfter([addDevice('dev1'), here(one), here(two), here(list), here(other)])
const answerTo = (state: HubState, message: HubMessage) => {
  const { answer } = reduce(state, message)
  return answer.ok ? (answer.value.changed ? 'taken' : 'known') : answer.error
}
const bothClips = [
  ['a', one],
  ['b', two],
] as const

describe('a skill', () => {
  const first = publication('s', 5, bothClips)
  const published = hubAfter([publish(first)], start)

  it('is published with one commit, told to the devices after it, and logged', () => {
    const { effects } = accepted(reduce(start, publish(first)))
    expect(effects.map((it) => it.kind)).toEqual(['commit', 'publish-skill', 'log'])
    expect(effects.at(-1)).toMatchObject({
      event: { event: 'skill', skill: 's', seq: 5, clips: 2, withdrawn: false },
    })
    expect(published.clips.skills.get('s')).toMatchObject({ seq: 5, version: 'v5', atMs: 10 })
  })

  it('that is published already is known, and changes nothing', () => {
    expect(reduce(published, publish(first))).toMatchObject({ state: published, effects: [] })
    expect(answerTo(published, publish(first))).toBe('known')
  })

  it('is refused under an older number, and under the same with other content', () => {
    for (const seq of [4, 1]) {
      expect(answerTo(published, publish(publication('s', seq, bothClips)))).toMatchObject({
        code: 'EB-CONFLICT',
        what: `skill s is published with number 5, this one has ${seq}`,
      })
    }
    expect(answerTo(published, publish(publication('s', 5, [['a', one]])))).toMatchObject({
      code: 'EB-CONFLICT',
      what: expect.stringContaining('another announcement of that number'),
    })
  })

  it('is refused when its number lies far ahead of the clock, unless the one before did', () => {
    const ahead = wireLimits.sequenceAheadMs
    expect(answerTo(start, publish(publication('s', 11 + ahead, bothClips)))).toMatchObject({
      code: 'EB-SEQUENCE',
    })
    expect(answerTo(start, publish(publication('s', 10 + ahead, bothClips)))).toBe('taken')
    const late = hubAfter([publish(publication('s', 10 + ahead, bothClips))], start)
    expect(answerTo(late, publish(publication('s', 11 + ahead, [['a', one]])))).toBe('taken')
  })

  it('is refused with the number of contents that are missing, each counted once', () => {
    const made = publication('s', 5, [
      ['a', one],
      ['b', digestOf('7')],
      ['c', digestOf('7')],
      ['d', digestOf('8')],
    ])
    expect(answerTo(start, publish(made))).toMatchObject({
      code: 'EB-CLIP-MISSING',
      what: `2 contents of skill s are not at the hub, the first is ${digestOf('7')}`,
    })
    expect(missingOf(start.clips, first)).toBeNull()
  })

  it('is refused when its list is not at the hub, or a clip has another length there', () => {
    const noList = publication('s', 5, bothClips, digestOf('9'))
    expect(answerTo(start, publish(noList))).toMatchObject({
      code: 'EB-CLIP-MISSING',
      what: expect.stringContaining('list'),
    })
    const long = hubAfter([here(digestOf('6'), 6)], start)
    expect(answerTo(long, publish(publication('s', 5, [['a', digestOf('6')]])))).toMatchObject({
      code: 'EB-BLOB',
      what: 'clip a has 6 bytes, skill s lists 5',
    })
  })

  it('is refused a clip of another skill, naming both; the other may be withdrawn first', () => {
    const rival = publication('t', 6, [['b', one]], other)
    expect(answerTo(published, publish(rival))).toMatchObject({
      code: 'EB-CONFLICT',
      what: 'clip b of skill t belongs to skill s',
    })
    expect(answerTo(published, publish(publication('s', 6, [['b', one]], other)))).toBe('taken')
    const withdrawn = hubAfter([publish(publication('s', 7, null))], published)
    expect(answerTo(withdrawn, publish(publication('t', 6, [['b', two]], other)))).toMatchObject({
      code: 'EB-CLIP-MISSING',
    })
    const sent = hubAfter([here(one)], withdrawn)
    expect(answerTo(sent, publish(rival))).toBe('taken')
  })

  it('that is updated drops what only the former list named', () => {
    const step = accepted(reduce(published, publish(publication('s', 6, [['a', two]], other))))
    expect(step.effects.flatMap((it) => (it.kind === 'drop-content' ? [it.sha256] : []))).toEqual([one, list])
    expect(step.effects.map((it) => it.kind)).toEqual([
      'commit',
      'drop-content',
      'drop-content',
      'publish-skill',
      'log',
    ])
  })

  it('that is withdrawn stays known, drops its contents but those of others, and may come back', () => {
    const owned = hubAfter(
      [{ kind: 'own-clip', owner: { device: 'dev1', clip: 'x' }, sha256: one, atMs: 1 }],
      published,
    )
    const step = accepted(reduce(owned, publish(publication('s', 7, null))))
    expect(step.effects.flatMap((it) => (it.kind === 'drop-content' ? [it.sha256] : []))).toEqual([two, list])
    expect(step.state.clips.skills.get('s')).toMatchObject({ seq: 7, list: null, clips: [] })
    expect(republishSkills(step.state.clips)).toHaveLength(1)
    const again = hubAfter([here(list)], step.state)
    expect(answerTo(again, publish(publication('s', 8, [['a', one]])))).toBe('taken')
    expect(answerTo(start, publish(publication('s', 7, null)))).toMatchObject({ code: 'EB-NOT-FOUND' })
  })

  it('is refused when there are too many skills or too many clips on their lists', () => {
    const skill = (id: string, clips: number): Skill => ({
      id,
      seq: 1,
      version: '1',
      list: null,
      envelope: '',
      clips: Array.from({ length: clips }, (_, at) => ({ id: `${id}-${at}`, sha256: one, bytes: 5 })),
      atMs: 1,
    })
    const withSkills = (skills: readonly Skill[]): ClipState =>
      clipsFrom({ skills, contents: start.clips.contents.values(), ownClips: [] })
    const many = withSkills(Array.from({ length: clipLimits.skillsMax }, (_, at) => skill(`s${at}`, 0)))
    expect(refusalOf(many, first, 10)?.code).toBe('EB-LIMIT')
    expect(refusalOf(many, publication('s7', 9, bothClips), 10)).toBeNull()
    const full = withSkills([skill('big', hubClipLimits.listedMax - 1)])
    expect(refusalOf(full, first, 10)?.code).toBe('EB-LIMIT')
    expect(refusalOf(full, publication('s', 5, [['a', one]]), 10)).toBeNull()
  })
})

describe('a publication', () => {
  const keys = newKeys()
  const ring = {
    threshold: 1,
    keys: new Map([[keys.skill.keyId, Buffer.from(keys.skill.publicKey.keyval.public, 'hex')]]),
  }
  const clip = (id: string) => ({
    id,
    sha256: one,
    bytes: 5,
    pieces: Buffer.alloc(32).toString('base64'),
    audio: {
      format: 'wav',
      durationMs: 5,
      sampleRate: 8000,
      bitRate: 64_000,
      channels: 1,
      compressionLevel: null,
    },
    language: null,
  })
  const listBytes = Buffer.from(JSON.stringify({ v: 1, clips: [clip('a'), clip('b')] }))
  const sha256 = createHash('sha256').update(listBytes).digest('hex')
  const announcement = {
    _type: 'everboot-skill',
    format: 1,
    id: 's',
    seq: 5,
    version: '1',
    list: { bytes: listBytes.length, sha256 },
  }
  const read = (signed: unknown, bytes: Uint8Array | null = listBytes, signer = keys.skill) =>
    readPublication(signEnvelope(signed, [signer]), bytes, ring, verifyEd25519)
  const codeOf = (...args: Parameters<typeof read>): string => {
    const it = read(...args)
    return it.ok ? 'ok' : it.error.code
  }

  it('gives the clips of its list once signature, length and hash held', () => {
    expect(read(announcement)).toMatchObject({
      ok: true,
      value: {
        announcement,
        clips: [
          { id: 'a', sha256: one, bytes: 5 },
          { id: 'b', sha256: one, bytes: 5 },
        ],
      },
    })
    expect(read({ ...announcement, list: null }, null)).toMatchObject({ ok: true, value: { clips: [] } })
  })

  it.each<[string, Parameters<typeof read>, string]>([
    ['signed by a release key', [announcement, listBytes, keys.release], 'EB-UNKNOWN-KEY'],
    ['signed by a stranger', [announcement, listBytes, newKeys().skill], 'EB-UNKNOWN-KEY'],
    ['that is no announcement', [{ ...announcement, _type: 'everboot-wraps' }], 'EB-MESSAGE'],
    ['with an unknown field', [{ ...announcement, more: 1 }], 'EB-MESSAGE'],
    ['with an unsafe id', [{ ...announcement, id: '../s' }], 'EB-MESSAGE'],
    ['with another list', [announcement, Buffer.from(JSON.stringify({ v: 1, clips: [] }))], 'EB-BLOB'],
    [
      'with a list of the same length',
      [announcement, Buffer.from(String(listBytes).replace('5', '6'))],
      'EB-BLOB',
    ],
    ['with a longer list', [announcement, Buffer.concat([listBytes, Buffer.from(' ')])], 'EB-BLOB'],
    [
      'with another length of the list',
      [{ ...announcement, list: { bytes: listBytes.length + 1, sha256 } }],
      'EB-BLOB',
    ],
    ['without its list', [announcement, null], 'EB-BLOB'],
    ['withdrawn with a list', [{ ...announcement, list: null }, listBytes], 'EB-BLOB'],
  ])('%s is refused', (_what, args, code) => {
    expect(codeOf(...args)).toBe(code)
  })

  it('whose list is no list of clips is refused', () => {
    for (const text of ['{}', 'nothing', JSON.stringify({ v: 1, clips: [clip('a'), clip('a')] })]) {
      const bytes = Buffer.from(text)
      const hash = createHash('sha256').update(bytes).digest('hex')
      expect(codeOf({ ...announcement, list: { bytes: bytes.length, sha256: hash } }, bytes)).toBe(
        'EB-MESSAGE',
      )
    }
  })

  it('with any bit of its envelope flipped is refused', () => {
    const envelope = signEnvelope(announcement, [keys.skill])
    for (let at = 0; at < envelope.length; at += 1) {
      const bytes = Buffer.from(envelope)
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8))
      expect(readPublication(bytes, listBytes, ring, verifyEd25519).ok).toBe(false)
    }
  })
})
