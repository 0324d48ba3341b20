/**
 * The hub's own certificate authority: one CA that devices pin, one server certificate under it.
 * ECDSA P-256 with SHA-256: a handshake costs a tenth of RSA's, which counts when a whole fleet returns at
 * once. node-forge cannot sign with EC keys, so it only lays out the ASN.1; keys and signatures are
 * node:crypto's, and so is every check (forge never verifies).
 * Promise: validity begins years back, since boards without a battery clock start there; CA: keyCertSign only,
 * path length 0; server: serverAuth only, names in subjectAltName.
 * Leaves to others: files and renewal (authority.ts). Source: RFC 5280, RFC 5480.
 */
import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  X509Certificate,
} from 'node:crypto'
import { isIP, isIPv4 } from 'node:net'
import forge from 'node-forge'

const { asn1 } = forge
type Asn1 = forge.asn1.Asn1

const oid = {
  commonName: '2.5.4.3',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const

/** A certificate and its private key, both PEM. */
export interface Identity {
  readonly cert: string
  readonly key: string
}

export interface Validity {
  readonly fromMs: number
  readonly untilMs: number
}

/** @param serial 16 random bytes; names the authority too. */
export function makeAuthority(validity: Validity, serial: Uint8Array): Identity {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = `Everboot hub CA ${Buffer.from(serial).toString('hex', 0, 4)}`
  const extensions = [
    extension(oid.basicConstraints, true, sequence(boolean(true), integer(Buffer.from([0])))),
    // keyCertSign (5) and cRLSign (6).
    extension(oid.keyUsage, true, bits(0x06, 1)),
    extension(oid.subjectKeyIdentifier, false, octets(keyIdentifier(publicKey))),
  ]
  const cert = certificate({
    issuer: name,
    subject: name,
    publicKey,
    signer: privateKey,
    validity,
    serial,
    extensions,
  })
  return { cert, key: pem(privateKey) }
}

/** @param names host names and IP addresses under which the server is reached */
export function makeServerCertificate(
  authority: Identity,
  names: readonly string[],
  validity: Validity,
  serial: Uint8Array,
): Identity {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const ca = new X509Certificate(authority.cert)
  const issuer = commonName(ca)
  const extensions = [
    extension(oid.basicConstraints, true, sequence()),
    // digitalSignature (0).
    extension(oid.keyUsage, true, bits(0x80, 7)),
    extension(oid.extendedKeyUsage, false, sequence(objectId(oid.serverAuth))),
    extension(oid.subjectAltName, false, sequence(...names.map(generalName))),
    extension(oid.subjectKeyIdentifier, false, octets(keyIdentifier(publicKey))),
    extension(
      oid.authorityKeyIdentifier,
      false,
      sequence(context(0, false, binary(keyIdentifier(ca.publicKey)))),
    ),
  ]
  const signer = createPrivateKey(authority.key)
  const subject = 'Everboot hub'
  return {
    cert: certificate({ issuer, subject, publicKey, signer, validity, serial, extensions }),
    key: pem(privateKey),
  }
}

/** True when the certificate is signed by the authority, carries all names and is valid from now until `untilMs`. */
export function covers(
  identity: Identity,
  authority: Identity,
  names: readonly string[],
  nowMs: number,
  untilMs: number,
): boolean {
  const cert = new X509Certificate(identity.cert)
  const ca = new X509Certificate(authority.cert)
  if (!cert.checkIssued(ca) || !cert.verify(ca.publicKey)) return false
  if (!cert.checkPrivateKey(createPrivateKey(identity.key))) return false
  if (cert.validFromDate.getTime() > nowMs || cert.validToDate.getTime() < untilMs) return false
  return names.every((it) => (isIP(it) ? cert.checkIP(it) : cert.checkHost(it)) !== undefined)
}

interface Draft {
  readonly issuer: string
  readonly subject: string
  readonly publicKey: KeyObject
  readonly signer: KeyObject
  readonly validity: Validity
  readonly serial: Uint8Array
  readonly extensions: readonly Asn1[]
}

function certificate(draft: Draft): string {
  const algorithm = sequence(objectId(oid.ecdsaWithSha256))
  const body = sequence(
    context(0, true, [integer(Buffer.from([2]))]),
    integer(positive(draft.serial)),
    algorithm,
    distinguishedName(draft.issuer),
    sequence(time(draft.validity.fromMs), time(draft.validity.untilMs)),
    distinguishedName(draft.subject),
    asn1.fromDer(binary(draft.publicKey.export({ type: 'spki', format: 'der' }))),
    context(3, true, [sequence(...draft.extensions)]),
  )
  const signature = sign('sha256', der(body), draft.signer)
  const whole = der(sequence(body, algorithm, bitString(signature)))
  return new X509Certificate(whole).toString()
}

function commonName(cert: X509Certificate): string {
  return cert.subject.replace(/^CN=/, '')
}

function distinguishedName(name: string): Asn1 {
  const value = make(asn1.Type.UTF8, false, name)
  return sequence(make(asn1.Type.SET, true, [sequence(objectId(oid.commonName), value)]))
}

/** RFC 5280, section 4.2.1.2, method 1. */
function keyIdentifier(key: KeyObject): Buffer {
  const spki = key.export({ type: 'spki', format: 'der' })
  // The public point is the end of the structure: 65 bytes on P-256.
  return createHash('sha1').update(spki.subarray(-65)).digest()
}

function generalName(name: string): Asn1 {
  if (!isIP(name)) return context(2, false, name)
  return context(7, false, binary(isIPv4(name) ? ipv4Bytes(name) : ipv6Bytes(name)))
}

function ipv4Bytes(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number))
}

function ipv6Bytes(address: string): Buffer {
  const [head = '', tail] = address.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const middle = Array.from({ length: 8 - left.length - right.length }, () => '0')
  const groups = [...left, ...middle, ...right].map((it) => it.padStart(4, '0'))
  return Buffer.from(groups.join(''), 'hex')
}

function extension(id: string, critical: boolean, value: Asn1): Asn1 {
  return sequence(objectId(id), ...(critical ? [boolean(true)] : []), octets(der(value)))
}

function time(ms: number): Asn1 {
  const date = new Date(ms)
  return date.getUTCFullYear() < 2050
    ? make(asn1.Type.UTCTIME, false, asn1.dateToUtcTime(date))
    : make(asn1.Type.GENERALIZEDTIME, false, asn1.dateToGeneralizedTime(date))
}

/** A serial number is positive and has no leading zero byte (RFC 5280, section 4.1.2.2). */
function positive(serial: Uint8Array): Buffer {
  const bytes = Buffer.from(serial)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes
}

const make = (type: forge.asn1.Type, constructed: boolean, value: string | Asn1[]): Asn1 =>
  asn1.create(asn1.Class.UNIVERSAL, type, constructed, value)
const sequence = (...parts: Asn1[]): Asn1 => make(asn1.Type.SEQUENCE, true, parts)
const objectId = (id: string): Asn1 => make(asn1.Type.OID, false, asn1.oidToDer(id).getBytes())
const integer = (bytes: Uint8Array): Asn1 => make(asn1.Type.INTEGER, false, binary(bytes))
const boolean = (value: boolean): Asn1 => make(asn1.Type.BOOLEAN, false, value ? '\xff' : '\0')
const octets = (bytes: Uint8Array): Asn1 => make(asn1.Type.OCTETSTRING, false, binary(bytes))
const bitString = (bytes: Uint8Array): Asn1 => make(asn1.Type.BITSTRING, false, `\0${binary(bytes)}`)
/** One byte of named bits. @param unused how many of its low bits mean nothing */
const bits = (byte: number, unused: number): Asn1 =>
  make(asn1.Type.BITSTRING, false, String.fromCharCode(unused, byte))
const context = (tag: number, constructed: boolean, value: string | Asn1[]): Asn1 =>
  asn1.create(asn1.Class.CONTEXT_SPECIFIC, tag as forge.asn1.Type, constructed, value)
const der = (value: Asn1): Buffer => Buffer.from(asn1.toDer(value).getBytes(), 'binary')
const binary = (bytes: Uint8Array): string => Buffer.from(bytes).toString('binary')
const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString()
