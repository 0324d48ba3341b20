/** Tokens: unguessable, of one device, kept only as a hash. */
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Entropy } from '../../../core/ports.ts'
import { safeName } from '../../../core/units.ts'
import {
  deviceIdOf,
  hashToken,
  makeAdminToken,
  makeDeviceToken,
  matchesToken,
} from '../../../hub/fleet/tokens.ts'

const entropy: Entropy = { bytes: (count) => randomBytes(count) }
const deviceId = fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/).filter((it) => safeName.test(it))

describe('a token', () => {
  it('carries 256 bits of chance, whoever it is for', () => {
    const asked: number[] = []
    const counting: Entropy = {
      bytes(count) {
        asked.push(count)
        return new Uint8Array(count).fill(0xfb)
      },
    }
    const secret = Buffer.alloc(32, 0xfb).toString('base64url')
    expect(makeDeviceToken('dev1', counting)).toBe(`dev1.${secret}`)
    expect(makeAdminToken(counting)).toBe(`everboot-admin_${secret}`)
    expect(asked).toEqual([32, 32])
  })

  it('names its device, dots in the id or not, and one of the operator names none', () => {
    fc.assert(
      fc.property(deviceId, (id) => {
        expect(deviceIdOf(makeDeviceToken(id, entropy))).toBe(id)
      }),
    )
    expect(deviceIdOf(makeAdminToken(entropy))).toBeNull()
    for (const text of ['', '.', '.secret', 'dev1']) expect(deviceIdOf(text), text).toBeNull()
  })

  it('matches its own hash and no other', () => {
    const token = makeDeviceToken('dev1', entropy)
    const kept = hashToken(token)
    expect(kept).toMatch(/^[0-9a-f]{64}$/)
    expect(matchesToken(token, kept)).toBe(true)
    for (const other of [makeDeviceToken('dev1', entropy), `${token}x`, token.slice(0, -1), '']) {
      expect(matchesToken(other, kept), other).toBe(false)
    }
  })

  it('matches no hash of another length, so that a damaged row lets nobody in', () => {
    const token = makeDeviceToken('dev1', entropy)
    const kept = hashToken(token)
    for (const damaged of ['', kept.slice(0, 62), `${kept}00`, 'no hash at all']) {
      expect(matchesToken(token, damaged), damaged).toBe(false)
    }
  })
})
