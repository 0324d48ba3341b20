/**
 * The certificate files of a hub: made at the first start, the server's made anew when it runs out or the
 * names change. The CA stays, since devices pin it.
 * Promise: files appear whole and are readable by their owner only; a CA that cannot be read is never
 * replaced, because that would lock every device out.
 * Leaves to others: what a certificate is (certificate.ts).
 */
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { raise } from '../../../core/errors.ts'
import { hubLimits } from '../../../core/limits.ts'
import { readIfThere, writePrivately } from '../../adapters/files.ts'
import { covers, type Identity, makeAuthority, makeServerCertificate } from './certificate.ts'

export interface HubIdentity {
  /** PEM; what devices pin. */
  readonly ca: string
  readonly server: Identity
}

/**
 * @param host what the hub listens on, beside which localhost and the machine's name are always named
 * @throws EverbootError EB-KEY, EB-FILE
 */
export async function ensureIdentity(directory: string, host: string, nowMs: number): Promise<HubIdentity> {
  const authority = await ensureAuthority(directory, nowMs)
  const names = [
    ...new Set(['localhost', '127.0.0.1', '::1', hostname(), ...(isWildcard(host) ? [] : [host])]),
  ]
  const kept = await readIdentity(directory, 'server')
  if (kept !== null && stillGood(kept, authority, names, nowMs)) return { ca: authority.cert, server: kept }
  const server = makeServerCertificate(
    authority,
    names,
    { fromMs: nowMs - hubLimits.backdateMs, untilMs: nowMs + hubLimits.certificateMs },
    randomBytes(16),
  )
  await writeIdentity(directory, 'server', server)
  return { ca: authority.cert, server }
}

export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}

async function ensureAuthority(directory: string, nowMs: number): Promise<Identity> {
  const kept = await readIdentity(directory, 'ca')
  if (kept !== null) {
    if (stillGood(kept, kept, [], nowMs, nowMs)) return kept
    raise('EB-KEY', `${join(directory, 'ca.pem')} and ca.key.pem do not belong together or have run out`, {
      todo: 'restore both from a backup; devices pin this CA',
    })
  }
  const validity = { fromMs: nowMs - hubLimits.backdateMs, untilMs: nowMs + hubLimits.authorityMs }
  const authority = makeAuthority(validity, randomBytes(16))
  await writeIdentity(directory, 'ca', authority)
  return authority
}

function stillGood(
  it: Identity,
  authority: Identity,
  names: readonly string[],
  nowMs: number,
  untilMs = nowMs + hubLimits.renewBeforeMs,
): boolean {
  try {
    return covers(it, authority, names, nowMs, untilMs)
  } catch {
    return false
  }
}

/** Both files, or null when there is neither. A half of a pair that was never finished counts as none. */
async function readIdentity(directory: string, name: 'ca' | 'server'): Promise<Identity | null> {
  const cert = await readIfThere(join(directory, `${name}.pem`))
  const key = await readIfThere(join(directory, `${name}.key.pem`))
  // The certificate is written last.
  if (cert === null) return null
  return { cert: cert.toString('utf8'), key: key?.toString('utf8') ?? '' }
}

async function writeIdentity(directory: string, name: 'ca' | 'server', it: Identity): Promise<void> {
  await writePrivately(join(directory, `${name}.key.pem`), it.key)
  await writePrivately(join(directory, `${name}.pem`), it.cert)
}
