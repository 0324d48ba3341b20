/** What is said of a sound, compared with what it is. */
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { type AudioClaims, checkClaims, claimsSchema } from '../../audio/claims.ts'
import type { Audio } from '../../core/wire/skills.ts'

const audio: Audio = {
  format: 'mp3',
  durationMs: 20_000,
  sampleRate: 44_100,
  bitRate: 64_000,
  channels: 2,
  compressionLevel: 3,
}

/** The fault, or null. */
function faultOf(claims: AudioClaims, found: Audio = audio): unknown {
  const checked = checkClaims(found, claims, 'hello')
  if (checked.ok) expect(checked.value).toBe(found)
  return checked.ok ? null : [checked.error.code, checked.error.what]
}

describe('a claim holds', () => {
  it.each<AudioClaims>([
    {},
    audio,
    { durationMs: 20_200 },
    { durationMs: 19_800 },
    { bitRate: 56_000 },
    { bitRate: 72_000 },
    { compressionLevel: 3, channels: 2 },
  ])('when it says %j', (claims) => {
    expect(faultOf(claims)).toBeNull()
  })

  it('within what an encoder adds to a short sound', () => {
    expect(faultOf({ durationMs: 600 }, { ...audio, durationMs: 500 })).toBeNull()
    expect(faultOf({ durationMs: 601 }, { ...audio, durationMs: 500 })).not.toBeNull()
  })
})

describe('a claim is refused with field, claim and finding', () => {
  it.each<[AudioClaims, string]>([
    [{ format: 'wav' }, 'format is said to be wav, found mp3'],
    [{ durationMs: 20_201 }, 'durationMs is said to be 20201, found 20000'],
    [{ durationMs: 19_799 }, 'durationMs is said to be 19799, found 20000'],
    [{ sampleRate: 48_000 }, 'sampleRate is said to be 48000, found 44100'],
    [{ bitRate: 54_000 }, 'bitRate is said to be 54000, found 64000'],
    [{ bitRate: 128_000 }, 'bitRate is said to be 128000, found 64000'],
    [{ channels: 1 }, 'channels is said to be 1, found 2'],
    [{ compressionLevel: 5 }, 'compressionLevel is said to be 5, found 3'],
    [{ compressionLevel: null }, 'compressionLevel is said to be null, found 3'],
    [{ durationMs: 20_000, channels: 1 }, 'channels is said to be 1, found 2'],
  ])('%j', (claims, words) => {
    expect(faultOf(claims)).toEqual(['EB-AUDIO-CLAIM', `hello: ${words}`])
  })

  it('also where the file does not say', () => {
    const silent = { ...audio, compressionLevel: null }
    expect(faultOf({ compressionLevel: 5 }, silent)).toEqual([
      'EB-AUDIO-CLAIM',
      'hello: compressionLevel is said to be 5, found null',
    ])
    expect(faultOf({ compressionLevel: null }, silent)).toBeNull()
  })
})

describe('the form of claims', () => {
  it('takes any part of what is known of a sound', () => {
    for (const claims of [{}, audio, { durationMs: 1 }, { compressionLevel: null }]) {
      expect(v.parse(claimsSchema, claims)).toEqual(claims)
    }
  })

  it.each([
    '{"duration":1}',
    '{"durationMs":0}',
    '{"durationMs":1.5}',
    '{"durationMs":"1"}',
    '{"sampleRate":11025}',
    '{"channels":0}',
    '{"channels":9}',
    '{"compressionLevel":13}',
    '{"format":"aac"}',
    '{"bitRate":-1}',
    '"mp3"',
    'null',
  ])('refuses %s', (text) => {
    expect(v.safeParse(claimsSchema, JSON.parse(text)).success).toBe(false)
  })
})
