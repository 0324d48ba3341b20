/**
 * The hub's certificates, checked by openssl and node:crypto.
 */
import { execFileSync } from 'node:child_process'
import { randomBytes, X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { hubLimits } from '../../../core/limits.ts'
import { days } from '../../../core/units.ts'
import { ensureIdentity } from '../../../hub/tls/adapters/authority.ts'
import { covers, makeAuthority, makeServerCertificate } from '../../../hub/tls/adapters/certificate.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'everboot-tls-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const now = Date.UTC(2027, 0, 1)
const validity = { fromMs: now - days(10), untilMs: now + days(30 * 365) }
const authority = () => makeAuthority(validity, randomBytes(16))
const names = ['localhost', '127.0.0.1', '::1', 'fe80::1:2', 'hub.example']

describe('a server certificate', () => {
  it('is taken by openssl, strictly, for each of its names and no other', () => {
    const ca = authority()
    const server = makeServerCertificate(ca, names, validity, randomBytes(16))
    writeFileSync(join(directory, 'ca.pem'), ca.cert)
    writeFileSync(join(directory, 'server.pem'), server.cert)
    const verify = (...more: string[]): string => {
      const at = String(now / 1_000)
      const args = [
        'verify',
        '-x509_strict',
        '-attime',
        at,
        '-purpose',
        'sslserver',
        '-CAfile',
        'ca.pem',
        ...more,
        'server.pem',
      ]
      try {
        return execFileSync('openssl', args, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] }).toString()
      } catch (caught) {
        return String((caught as { stderr: Buffer }).stderr)
      }
    }
    for (const name of names) {
      expect(verify(/^[\d:]|::/.test(name) ? '-verify_ip' : '-verify_hostname', name)).toBe(
        'server.pem: OK\n',
      )
    }
    expect(verify('-verify_hostname', 'other.example')).toMatch(/hostname mismatch/i)
    expect(verify('-verify_ip', '10.0.0.1')).toMatch(/IP address mismatch/i)
  })

  it('is not believed under another authority, with another key, out of its time', () => {
    const ca = authority()
    const server = makeServerCertificate(ca, names, validity, randomBytes(16))
    expect(covers(server, ca, names, now, now + days(1))).toBe(true)
    expect(covers(server, authority(), names, now, now)).toBe(false)
    expect(covers({ ...server, key: authority().key }, ca, names, now, now)).toBe(false)
    expect(covers(server, ca, ['other.example'], now, now)).toBe(false)
    expect(covers(server, ca, names, now - days(11), now)).toBe(false)
    expect(covers(server, ca, names, now, now + days(31 * 365))).toBe(false)
  })

  it('cannot itself sign', () => {
    const ca = authority()
    const server = makeServerCertificate(ca, names, validity, randomBytes(16))
    expect(new X509Certificate(ca.cert).ca).toBe(true)
    expect(new X509Certificate(server.cert).ca).toBe(false)
    const leaf = makeServerCertificate(server, names, validity, randomBytes(16))
    writeFileSync(join(directory, 'ca.pem'), ca.cert + server.cert)
    writeFileSync(join(directory, 'leaf.pem'), leaf.cert)
    expect(() =>
      execFileSync('openssl', ['verify', '-CAfile', 'ca.pem', 'leaf.pem'], { cwd: directory, stdio: 'pipe' }),
    ).toThrow()
  })
})

describe('the certificate files of a hub', () => {
  it('are made once and kept', async () => {
    const one = await ensureIdentity(directory, '127.0.0.1', now)
    const two = await ensureIdentity(directory, '127.0.0.1', now + days(30))
    expect(two).toEqual(one)
    for (const name of ['ca.pem', 'ca.key.pem', 'server.pem', 'server.key.pem']) {
      expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600)
    }
    const cert = new X509Certificate(one.server.cert)
    expect(cert.checkHost(hostname()) ?? cert.subjectAltName).toContain(hostname())
    expect(cert.validFromDate.getTime()).toBeLessThan(now - days(9 * 365))
  })

  it('get a new server certificate, under the same CA, near its end or for another host', async () => {
    const one = await ensureIdentity(directory, '127.0.0.1', now)
    const other = await ensureIdentity(directory, '192.0.2.7', now)
    expect(other.ca).toBe(one.ca)
    expect(other.server.cert).not.toBe(one.server.cert)
    expect(new X509Certificate(other.server.cert).checkIP('192.0.2.7')).toBeDefined()
    const late = now + hubLimits.certificateMs - hubLimits.renewBeforeMs + days(1)
    const renewed = await ensureIdentity(directory, '192.0.2.7', late)
    expect(renewed.ca).toBe(one.ca)
    expect(new X509Certificate(renewed.server.cert).validToDate.getTime()).toBeGreaterThan(
      late + days(4 * 365),
    )
  })

  it('get a new server certificate when the kept one is damaged', async () => {
    const one = await ensureIdentity(directory, '127.0.0.1', now)
    writeFileSync(join(directory, 'server.pem'), 'no certificate')
    const two = await ensureIdentity(directory, '127.0.0.1', now)
    expect(two.ca).toBe(one.ca)
    expect(covers(two.server, { cert: one.ca, key: '' }, ['localhost'], now, now)).toBe(true)
  })

  it('never get a new CA in place of one that cannot be read', async () => {
    await ensureIdentity(directory, '127.0.0.1', now)
    const cert = readFileSync(join(directory, 'ca.pem'))
    for (const bad of ['', 'no certificate', authority().cert]) {
      writeFileSync(join(directory, 'ca.pem'), bad)
      await expect(ensureIdentity(directory, '127.0.0.1', now)).rejects.toThrow('EB-KEY')
      expect(readFileSync(join(directory, 'ca.pem'), 'utf8')).toBe(bad)
    }
    writeFileSync(join(directory, 'ca.pem'), cert)
    writeFileSync(join(directory, 'ca.key.pem'), 'no key')
    await expect(ensureIdentity(directory, '127.0.0.1', now)).rejects.toThrow('EB-KEY')
  })
})
