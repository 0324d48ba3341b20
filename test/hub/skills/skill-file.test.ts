/**
 * What is made of the files of a skill and of its description.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { clipLimits } from '../../../core/clip-limits.ts'
import { faultText } from '../../../core/errors.ts'
import { safeName } from '../../../core/units.ts'
import { decodeSkillFile, planSkill, type SkillFile, skillIdOf } from '../../../hub/skills/skill-file.ts'

const plan = (names: readonly string[], described: SkillFile = {}) => planSkill('dir', names, described)
const textOf = (...args: Parameters<typeof plan>): string => {
  const it = plan(...args)
  return it.ok ? `good: ${it.value.clips.map((clip) => clip.id).join(' ')}` : faultText(it.error)
}
const decode = (document: unknown): string => {
  const it = decodeSkillFile(
    typeof document === 'string' ? document : JSON.stringify(document),
    'dir/skill.json',
  )
  return it.ok ? 'good' : faultText(it.error)
}

describe('the files of a skill', () => {
  it('are clips by their names, with what is said of them; others are left out', () => {
    const described: SkillFile = {
      language: 'en',
      clips: { 'b.mp3': { id: 'bee', language: 'de-AT', ttlSeconds: 0, pinned: true, format: 'mp3' }, c: {} },
    }
    expect(plan(['c', 'b.mp3', 'a.WAV', 'read.me', 'x.ogg'], described)).toEqual({
      ok: true,
      value: {
        clips: [
          { file: 'a.WAV', id: 'a', language: 'en', ttlSeconds: undefined, pinned: undefined, claims: {} },
          {
            file: 'b.mp3',
            id: 'bee',
            language: 'de-AT',
            ttlSeconds: 0,
            pinned: true,
            claims: { format: 'mp3' },
          },
          { file: 'c', id: 'c', language: 'en', ttlSeconds: undefined, pinned: undefined, claims: {} },
          { file: 'x.ogg', id: 'x', language: 'en', ttlSeconds: undefined, pinned: undefined, claims: {} },
        ],
        leftOut: ['read.me'],
      },
    })
    expect(plan(['a.wav'], { language: 'en', clips: { 'a.wav': { language: null } } })).toMatchObject({
      value: { clips: [{ language: null }] },
    })
  })

  it.each<[string, Parameters<typeof plan>, RegExp]>([
    ['no file', [[]], /^EB-SKILL: dir is empty; put mp3/],
    [
      'no audio',
      [['a.txt', 'b', 'c.m4a', 'd']],
      /^EB-SKILL: dir holds no audio, only a.txt, b, c.m4a and 1 more;/,
    ],
    [
      'a name with a space',
      [['a b.wav']],
      /^EB-CLIP-NAME: a b.wav: "a b" is no id of a clip; rename the file, or/,
    ],
    ['a name of an extension only', [['..wav']], /^EB-CLIP-NAME: /],
    ['a name that is too long', [[`${'x'.repeat(65)}.wav`]], /^EB-CLIP-NAME: /],
    ['an unsafe id', [['a.wav'], { clips: { 'a.wav': { id: '../a' } } }], /^EB-CLIP-NAME: a.wav: "..\/a"/],
    [
      'two files of one name',
      [['a.wav', 'a.mp3']],
      /^EB-SKILL: a.mp3 and a.wav would both be clip a; remove one/,
    ],
    [
      'two files of one id',
      [['a.wav', 'b.wav'], { clips: { 'b.wav': { id: 'a' } } }],
      /^EB-SKILL: a.wav and b.wav would both be clip a/,
    ],
    ['a description of no file', [['a.wav'], { clips: { 'b.wav': {} } }], /^EB-SKILL: .* describes "b.wav"/],
    ['a path in the description', [['a.wav'], { clips: { 'x/a.wav': {} } }], /not below it$/],
    [
      'an inherited name',
      [['a.wav'], { clips: { __proto__: {}, constructor: {} } }],
      /describes "constructor"/,
    ],
    ['a private clip', [['a.wav'], { clips: { 'a.wav': { private: true } } }], /^EB-CLIP-PRIVATE: a.wav/],
    [
      'a bad language',
      [['a.wav'], { language: 'English' }],
      /^EB-CLIP-NAME: a.wav: "English" is no language; give a/,
    ],
    [
      'too many clips',
      [Array.from({ length: clipLimits.listClipsMax + 1 }, (_, at) => `${at}.wav`)],
      /^EB-LIMIT: dir has 10001 clips, limit 10000; make several/,
    ],
  ])('with %s are refused', (_what, args, text) => {
    expect(textOf(...args)).toMatch(text)
  })

  it('whatever their names, become safe ids that are used once, or nothing', () => {
    const name = fc.oneof(fc.string(), fc.stringMatching(/^[a-c./ -]{0,5}\.(wav|mp3)$/))
    fc.assert(
      fc.property(fc.uniqueArray(name, { maxLength: 6 }), (names) => {
        const it = plan(names)
        if (!it.ok) return
        const ids = it.value.clips.map(({ id }) => id)
        expect(ids.every((id) => safeName.test(id))).toBe(true)
        expect(new Set(ids).size).toBe(ids.length)
        expect([...it.value.clips.map(({ file }) => file), ...it.value.leftOut].sort()).toEqual(
          [...names].sort(),
        )
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('a description', () => {
  it('may be empty or say everything that is known', () => {
    expect(decode({})).toBe('good')
    const clip = { id: 'a', language: 'en', ttlSeconds: 60, pinned: false, private: false }
    const claims = { format: 'wav', durationMs: 5, sampleRate: 8_000, bitRate: 1, channels: 1 }
    expect(
      decode({ id: 's', version: '1', language: null, clips: { 'a.wav': { ...clip, ...claims } } }),
    ).toBe('good')
  })

  it.each<[unknown, RegExp]>([
    ['{', /^EB-SKILL: dir\/skill.json is not JSON: .*; correct dir\/skill.json, or remove it$/],
    ['', /^EB-SKILL: /],
    [[], /^EB-SKILL: dir\/skill.json: /],
    [{ name: 's' }, /^EB-SKILL: dir\/skill.json: name: /],
    [{ clips: { 'a.wav': { volume: 1 } } }, /^EB-SKILL: dir\/skill.json: clips.a.wav.volume: /],
    [{ clips: { 'a.wav': { ttlSeconds: -1 } } }, /ttlSeconds/],
    [{ clips: { 'a.wav': { ttlSeconds: 1.5 } } }, /ttlSeconds/],
    [{ clips: { 'a.wav': { sampleRate: 96_000 } } }, /sampleRate/],
    [{ clips: { 'a.wav': { format: 'aac' } } }, /format/],
    [{ clips: [] }, /^EB-SKILL: /],
    [{ version: '' }, /version/],
    [{ version: 'x'.repeat(65) }, /version/],
  ])('%j is refused', (document, text) => {
    expect(decode(document)).toMatch(text)
  })
})

describe('the id of a skill', () => {
  it('is a safe name', () => {
    expect(skillIdOf('weather-2')).toEqual({ ok: true, value: 'weather-2' })
    for (const bad of ['', '..', 'a/b', 'a b', 'x'.repeat(65)]) {
      expect(skillIdOf(bad)).toMatchObject({ ok: false, error: { code: 'EB-CLIP-NAME' } })
    }
  })
})
