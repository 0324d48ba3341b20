/**
 * Challenges: for one device and one content, for a while, once.
 */
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { hubClipLimits } from '../../../core/clip-limits.ts'
import { createChallenges } from '../../../hub/clips/challenges.ts'
import { digestOf } from '../fixtures.ts'

const [one, two] = [digestOf('1'), digestOf('2')]

function world() {
  const clock = { nowMs: 1_000_000, wallMs: () => clock.nowMs }
  const challenges = createChallenges({ bytes: (count) => randomBytes(count) }, clock)
  const use = (device: string, sha256: string, challenge: string): string =>
    challenges.use(device, sha256, challenge)?.code ?? 'good'
  return { clock, challenges, use }
}

describe('a challenge', () => {
  it('is good once', () => {
    const { challenges, use } = world()
    const challenge = challenges.issue('dev1', one)
    expect(challenge).toMatch(/^[0-9a-f]{112}$/)
    expect([use('dev1', one, challenge), use('dev1', one, challenge)]).toEqual(['good', 'EB-CONFLICT'])
  })

  it('is never the same twice', () => {
    const { challenges } = world()
    expect(new Set(Array.from({ length: 100 }, () => challenges.issue('dev1', one))).size).toBe(100)
  })

  it('is good for its device and content only, and not used up by others who try it', () => {
    const { challenges, use } = world()
    const challenge = challenges.issue('dev1', one)
    expect(use('dev2', one, challenge)).toBe('EB-CONFLICT')
    expect(use('dev1', two, challenge)).toBe('EB-CONFLICT')
    expect(use('dev1', one, challenge)).toBe('good')
  })

  it('is not good with any bit changed, another length or another spelling', () => {
    const { challenges, use } = world()
    const challenge = challenges.issue('dev1', one)
    for (let bit = 0; bit < challenge.length * 4; bit += 1) {
      const bytes = Buffer.from(challenge, 'hex')
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(use('dev1', one, bytes.toString('hex'))).toBe('EB-CONFLICT')
    }
    for (const bad of ['', 'zz', challenge.slice(2), `${challenge}00`, `${challenge}zz`]) {
      expect(use('dev1', one, bad)).toBe('EB-CONFLICT')
    }
  })

  it('is good for its time, and not before it was made when the clock goes back', () => {
    const { clock, challenges, use } = world()
    const [early, late, future] = [1, 2, 3].map(() => challenges.issue('dev1', one)) as [
      string,
      string,
      string,
    ]
    clock.nowMs += hubClipLimits.challengeMs
    expect(use('dev1', one, early)).toBe('good')
    clock.nowMs += 1
    expect(use('dev1', one, late)).toBe('EB-CONFLICT')
    clock.nowMs = 999_999
    expect(use('dev1', one, future)).toBe('EB-CONFLICT')
  })

  it('of another start of the hub is not good', () => {
    const challenge = world().challenges.issue('dev1', one)
    expect(world().use('dev1', one, challenge)).toBe('EB-CONFLICT')
  })

  it('can be used so often by one device, by all, and again after a while', () => {
    const { clock, challenges, use } = world()
    const { challengesPerDeviceMax, challengesMax } = hubClipLimits
    const useNew = (device: string): string => use(device, one, challenges.issue(device, one))
    for (let at = 0; at < challengesPerDeviceMax; at += 1) expect(useNew('dev0')).toBe('good')
    expect(useNew('dev0')).toBe('EB-LIMIT')
    expect(useNew('dev1')).toBe('good')
    for (let at = challengesPerDeviceMax + 1; at < challengesMax; at += 1) {
      expect(useNew(`dev${2 + (at % 20)}`)).toBe('good')
    }
    expect(useNew('dev99')).toBe('EB-LIMIT')
    clock.nowMs += hubClipLimits.challengeMs + 1
    expect([useNew('dev0'), useNew('dev99')]).toEqual(['good', 'good'])
  })

  it('that was used stays used for as long as it is not too old', () => {
    const { clock, challenges, use } = world()
    const challenge = challenges.issue('dev1', one)
    expect(use('dev1', one, challenge)).toBe('good')
    for (let passed = 0; passed <= hubClipLimits.challengeMs; passed += 10_000) {
      clock.nowMs = 1_000_000 + passed
      expect(use('dev1', one, challenge)).toBe('EB-CONFLICT')
      use('dev2', two, challenges.issue('dev2', two))
    }
  })
})
