/**
 * Tokens: what a device or an operator shows to be let in.
 * Promise: 256 random bits; the hub keeps only SHA-256 of a token; comparing takes the same time wherever
 * two hashes differ. A device's token begins with its id, so that HTTP needs no second field.
 * Leaves to others: where tokens are sent (MQTT password, HTTP `Authorization: Bearer`).
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Entropy } from '../../core/ports.ts'

const secretBytes = 32
const adminPrefix = 'everboot-admin'

export function makeDeviceToken(deviceId: string, entropy: Entropy): string {
  return `${deviceId}.${secret(entropy)}`
}

export function makeAdminToken(entropy: Entropy): string {
  return `${adminPrefix}_${secret(entropy)}`
}

/** @returns 64 hex digits */
export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}

/** @param tokenSha256 64 hex digits, as kept */
export function matchesToken(token: string, tokenSha256: string): boolean {
  const shown = createHash('sha256').update(token).digest()
  const kept = Buffer.from(tokenSha256, 'hex')
  return kept.length === shown.length && timingSafeEqual(shown, kept)
}

/** The device that a token says it is of; ids may hold dots, secrets do not. */
export function deviceIdOf(token: string): string | null {
  const end = token.lastIndexOf('.')
  return end > 0 ? token.slice(0, end) : null
}

function secret(entropy: Entropy): string {
  return Buffer.from(entropy.bytes(secretBytes)).toString('base64url')
}
