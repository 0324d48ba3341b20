/**
 * Contents at the hub under any order of messages: counted right, removed only when nobody refers to them, and
 * the same after a restart.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hubClipLimits } from '../../../core/clip-limits.ts'
import type { Digest } from '../../../core/units.ts'
import { clipFigures } from '../../../hub/clips/figures.ts'
import { clipsFrom } from '../../../hub/clips/load.ts'
import type { ClipState, Content, OwnClip, Skill } from '../../../hub/clips/model.ts'
import { mayRead, ownRefusal } from '../../../hub/clips/own-clips.ts'
import type { HubMessage, HubState, Write } from '../../../hub/core/model.ts'
import { reduce } from '../../../hub/core/reduce.ts'
import { contentsOf } from '../../../hub/skills/skills.ts'
import { accepted, addDevice, digestOf, hubAfter, publication } from '../fixtures.ts'

const start = hubAfter([addDevice('dev1'), addDevice('dev2')])
const one = digestOf('1')
const two = digestOf('2')

const here = (sha256: Digest, owner: [string, string] | null = null, atMs = 1): HubMessage => ({
  kind: 'content-here',
  sha256,
  bytes: 5,
  owner: owner === null ? null : { device: owner[0], clip: owner[1] },
  atMs,
})
const coming = (sha256: Digest): HubMessage => ({ kind: 'content-coming', sha256, bytes: 5, atMs: 1 })
const claim = (sha256: Digest, device: string, clip: string): HubMessage => ({
  kind: 'own-clip',
  owner: { device, clip },
  sha256,
  atMs: 2,
})
const forget = (device: string, clip: string): HubMessage => ({
  kind: 'forget-clip',
  owner: { device, clip },
  atMs: 3,
})
const publish = (...args: Parameters<typeof publication>): HubMessage => ({
  kind: 'publish-skill',
  publication: publication(...args),
  atMs: 4,
})

const stateOf = (state: HubState, sha256: Digest) => state.clips.contents.get(sha256)?.state ?? 'unknown'
const kinds = (state: HubState, message: HubMessage) => reduce(state, message).effects.map((it) => it.kind)
const codeOf = (state: HubState, message: HubMessage): string => {
  const { answer } = reduce(state, message)
  return answer.ok ? 'ok' : answer.error.code
}

describe('a content', () => {
  it('is announced, then here, and of one owner; what another device says of the clip is its own', () => {
    const state = hubAfter([coming(one), here(one, ['dev1', 'a'])], start)
    expect(stateOf(state, one)).toBe('here')
    expect(mayRead(state.clips, 'dev1', one)).toBe(true)
    expect(mayRead(state.clips, 'dev2', one)).toBe(false)
    expect(reduce(state, forget('dev2', 'a'))).toMatchObject({
      effects: [],
      answer: { value: { changed: false } },
    })
  })

  it('is not put twice', () => {
    const state = hubAfter([here(one)], start)
    expect(reduce(state, coming(one))).toMatchObject({ effects: [], answer: { value: { changed: false } } })
    expect(reduce(state, here(one)).answer).toMatchObject({ value: { changed: false } })
  })

  it('stays while one of its clips is left, and goes with the last, after the commit', () => {
    const state = hubAfter(
      [here(one, ['dev1', 'a']), claim(one, 'dev1', 'b'), claim(one, 'dev2', 'a')],
      start,
    )
    expect(kinds(state, forget('dev1', 'a'))).toEqual(['commit'])
    const last = hubAfter([forget('dev1', 'a'), forget('dev2', 'a')], state)
    expect(kinds(last, forget('dev1', 'b'))).toEqual(['commit', 'drop-content'])
    const left = hubAfter([forget('dev1', 'b')], last)
    expect(stateOf(left, one)).toBe('leaving')
    expect(stateOf(hubAfter([{ kind: 'content-gone', sha256: one }], left), one)).toBe('unknown')
  })

  it('that comes back while it leaves is here, and is not forgotten when its removal is told', () => {
    const back = hubAfter([here(one, ['dev1', 'a']), forget('dev1', 'a'), coming(one), here(one)], start)
    expect(reduce(back, { kind: 'content-gone', sha256: one })).toMatchObject({
      effects: [],
      answer: { value: { changed: false } },
    })
    expect(stateOf(back, one)).toBe('here')
  })

  it('that leaves can be neither read, claimed nor published', () => {
    const state = hubAfter([here(one, ['dev1', 'a']), forget('dev1', 'a'), here(digestOf('f'))], start)
    expect(codeOf(state, claim(one, 'dev1', 'b'))).toBe('EB-NOT-FOUND')
    expect(codeOf(state, publish('s', 1, [['a', one]]))).toBe('EB-CLIP-MISSING')
  })

  it('goes when its only clip becomes another content', () => {
    const state = hubAfter([here(one, ['dev1', 'a']), here(two, ['dev1', 'a'])], start)
    expect([stateOf(state, one), stateOf(state, two), state.clips.ownCount]).toEqual(['leaving', 'here', 1])
    expect(mayRead(state.clips, 'dev1', one)).toBe(false)
  })

  it('that a clip names already changes nothing', () => {
    const state = hubAfter([here(one, ['dev1', 'a'])], start)
    expect(reduce(state, claim(one, 'dev1', 'a'))).toMatchObject({
      effects: [],
      answer: { value: { changed: false } },
    })
  })

  it('that was lost is missing until it comes again, for whoever referred to it', () => {
    const held = hubAfter([here(one, ['dev1', 'a'])], start)
    const lost = accepted(reduce(held, { kind: 'content-lost', sha256: one, atMs: 9 }))
    expect(lost.effects.map((it) => it.kind)).toEqual(['commit', 'drop-content', 'log'])
    expect(codeOf(lost.state, claim(one, 'dev2', 'a'))).toBe('EB-NOT-FOUND')
    expect(reduce(lost.state, { kind: 'content-lost', sha256: one, atMs: 9 }).effects).toEqual([])
    const again = hubAfter([coming(one), here(one, ['dev1', 'a'])], lost.state)
    expect([stateOf(again, one), mayRead(again.clips, 'dev1', one)]).toEqual(['here', true])
  })

  it('is not for a device that the hub does not know', () => {
    for (const message of [here(one, ['dev9', 'a']), claim(one, 'dev9', 'a')]) {
      expect(codeOf(hubAfter([here(one)], start), message)).toBe('EB-NOT-FOUND')
    }
  })
})

describe('the sweep', () => {
  it('ends what is half done and removes what nobody came to use, and nothing else', () => {
    const day = hubClipLimits.unusedMs
    const state = hubAfter(
      [
        coming(one),
        here(two, null, 10),
        here(digestOf('3'), null, 20),
        here(digestOf('4'), ['dev1', 'a'], 10),
      ],
      start,
    )
    const step = reduce(state, { kind: 'sweep-contents', atMs: 15 + day })
    expect(step.effects.filter((it) => it.kind === 'drop-content').map((it) => it.sha256)).toEqual([one, two])
    expect(stateOf(step.state, digestOf('3'))).toBe('here')
    expect(stateOf(step.state, digestOf('4'))).toBe('here')
    const quiet = reduce(hubAfter([here(one)], start), { kind: 'sweep-contents', atMs: 0 })
    expect(quiet).toMatchObject({ effects: [], answer: { value: { changed: false } } })
  })
})

describe('what devices may store', () => {
  const full = (count: number, bytes: number, ownCount = count): HubState => {
    const own = Array.from({ length: count }, (_, at) => ({
      device: 'dev1',
      clip: `c${at}`,
      sha256: one,
      bytes,
    }))
    const clips = clipsFrom({ skills: [], contents: [], ownClips: own })
    return { ...start, clips: { ...clips, ownCount } }
  }

  it('is limited in number and bytes for one device, and in number for all', () => {
    const { ownClipsMax, ownBytesMax, ownTotalMax } = hubClipLimits
    const owner = { device: 'dev1', clip: 'new' }
    const replaced = { device: 'dev1', clip: 'c0' }
    expect(ownRefusal(full(ownClipsMax - 1, 1), owner, 5)).toBeNull()
    expect(ownRefusal(full(ownClipsMax, 1), owner, 5)?.code).toBe('EB-LIMIT')
    expect(ownRefusal(full(ownClipsMax, 1), replaced, 5)).toBeNull()
    expect(ownRefusal(full(1, ownBytesMax - 5), owner, 5)).toBeNull()
    expect(ownRefusal(full(1, ownBytesMax - 5), owner, 6)?.code).toBe('EB-LIMIT')
    expect(ownRefusal(full(1, ownBytesMax), replaced, ownBytesMax)).toBeNull()
    expect(ownRefusal(full(1, 1, ownTotalMax), { device: 'dev2', clip: 'a' }, 5)?.code).toBe('EB-LIMIT')
    expect(ownRefusal(full(1, 1, ownTotalMax), replaced, 5)).toBeNull()
    expect(codeOf(full(ownClipsMax, 1), here(two, ['dev1', 'new']))).toBe('EB-LIMIT')
  })
})

const digests = ['1', '2', '3', '4'].map(digestOf)
const owned = fc.tuple(fc.constantFrom('dev1', 'dev2', 'dev9'), fc.constantFrom('a', 'b', 'c'))
const digest = fc.constantFrom(...digests)
const messageArbitrary: fc.Arbitrary<HubMessage> = fc.oneof(
  digest.map(coming),
  fc.tuple(digest, fc.option(owned)).map(([sha256, owner]) => here(sha256, owner)),
  fc.tuple(digest, owned).map(([sha256, [device, clip]]) => claim(sha256, device, clip)),
  owned.map(([device, clip]) => forget(device, clip)),
  digest.map((sha256): HubMessage => ({ kind: 'content-gone', sha256 })),
  digest.map((sha256): HubMessage => ({ kind: 'content-lost', sha256, atMs: 5 })),
  fc
    .tuple(
      fc.constantFrom('s', 't'),
      fc.integer({ min: 1, max: 9 }),
      fc.option(fc.uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'c'), digest), { selector: ([id]) => id })),
    )
    .map(([id, seq, clips]) => publish(id, seq, clips, digestOf(id === 's' ? '3' : '4'))),
  fc.constant<HubMessage>({ kind: 'sweep-contents', atMs: 3 * hubClipLimits.unusedMs }),
)

/** The rows that the writes leave. */
interface Rows {
  readonly skills: Map<string, Skill>
  readonly contents: Map<string, Content>
  readonly ownClips: Map<string, OwnClip>
}

function write(rows: Rows, it: Write): void {
  if (it.kind === 'put-skill') rows.skills.set(it.skill.id, it.skill)
  else if (it.kind === 'put-content') rows.contents.set(it.content.sha256, it.content)
  else if (it.kind === 'remove-content') rows.contents.delete(it.sha256)
  else if (it.kind === 'put-own-clip') rows.ownClips.set(`${it.own.device} ${it.own.clip}`, it.own)
  else if (it.kind === 'remove-own-clip') rows.ownClips.delete(`${it.owner.device} ${it.owner.clip}`)
}

/** All of it as plain values, maps sorted. */
function plain(clips: ClipState): unknown {
  return {
    skills: clips.skills.values(),
    contents: clips.contents.values(),
    own: clips.own.values().map((it) => [...it].sort()),
    ownCount: clips.ownCount,
    inSkills: [...clips.inSkills].sort(),
    onDevices: digests.map((it) => clips.onDevices.get(it) ?? 0),
  }
}

describe('any order of messages', () => {
  it('leaves rows from which a restart makes the same state, and never drops a content that is referred to', () => {
    fc.assert(
      fc.property(fc.array(messageArbitrary, { maxLength: 40 }), (messages) => {
        const rows: Rows = { skills: new Map(), contents: new Map(), ownClips: new Map() }
        let state = start
        for (const message of messages) {
          const before = state
          const step = reduce(before, message)
          state = step.state
          for (const it of step.effects) {
            if (it.kind === 'commit') for (const row of it.writes) write(rows, row)
            if (it.kind === 'drop-content') expect(stateOf(state, it.sha256)).not.toBe('here')
          }
          if (message.kind === 'content-lost') continue
          const referred = new Set([
            ...[...rows.skills.values()].flatMap(contentsOf),
            ...[...rows.ownClips.values()].map((it) => it.sha256),
          ])
          const gone = digests.filter((it) => stateOf(before, it) === 'here' && stateOf(state, it) !== 'here')
          expect(gone.filter((it) => referred.has(it))).toEqual([])
        }
        const again = clipsFrom({
          skills: [...rows.skills.values()],
          contents: [...rows.contents.values()],
          ownClips: [...rows.ownClips.values()],
        })
        expect(plain(again)).toEqual(plain(state.clips))
      }),
      { numRuns: 1_000 },
    )
  })

  it('keeps the figures true', () => {
    fc.assert(
      fc.property(fc.array(messageArbitrary, { maxLength: 30 }), (messages) => {
        let state = start
        for (const it of messages) if (it.kind !== 'content-lost') state = reduce(state, it).state
        const { clips } = state
        const figures = clipFigures(clips)
        const present = clips.contents.values().filter((it) => it.state === 'here')
        expect(figures.contents).toEqual({ count: present.length, bytes: 5 * present.length })
        const own = clips.own.values().flatMap((it) => [...it.values()])
        const listed = clips.skills.values().flatMap((it) => it.clips)
        expect(figures.devices).toMatchObject({ clips: own.length, bytes: 5 * own.length })
        expect(figures.skills).toMatchObject({ clips: listed.length, bytes: 5 * listed.length })
        expect(figures.bytesSaved).toBeGreaterThanOrEqual(0)
      }),
      { numRuns: 300 },
    )
  })

  it('says what sharing saves', () => {
    const list = digestOf('f')
    const state = hubAfter(
      [
        here(one, ['dev1', 'x']),
        here(two),
        here(list),
        here(digestOf('5')),
        claim(one, 'dev2', 'x'),
        publish('s', 1, [
          ['a', one],
          ['b', two],
          ['c', two],
        ]),
      ],
      start,
    )
    expect(clipFigures(state.clips)).toEqual({
      contents: { count: 4, bytes: 20 },
      lists: { count: 1, bytes: 5 },
      unused: { count: 1, bytes: 5 },
      skills: { count: 1, clips: 3, bytes: 15 },
      devices: { count: 2, clips: 2, bytes: 10 },
      dedupRatio: 2.5,
      bytesSaved: 15,
    })
    expect(clipFigures(start.clips)).toMatchObject({ dedupRatio: 1, bytesSaved: 0 })
  })
})
