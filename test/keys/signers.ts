/** Signers made from fixed seeds, for tests: the same keys each time. */
import { createHash, createPrivateKey } from 'node:crypto'
import { orThrow } from '../../core/errors.ts'
import type { KeyRing } from '../../keys/public-key.ts'
import { ed25519Signer, type KeySigner } from '../../keys/signer.ts'

/** DER of a PKCS#8 Ed25519 key before its 32 bytes (RFC 8410). */
const prefix = Buffer.from('302e020100300506032b657004220420', 'hex')

export function testSigner(name: string): KeySigner {
  const seed = createHash('sha256').update(`test key ${name}`).digest()
  const key = createPrivateKey({ key: Buffer.concat([prefix, seed]), format: 'der', type: 'pkcs8' })
  return orThrow(ed25519Signer(key.export({ type: 'pkcs8', format: 'pem' }) as string, name))
}

export function ringOf(signers: readonly KeySigner[], threshold = 1): KeyRing {
  const raw = (it: KeySigner): Uint8Array => Buffer.from(it.publicKey.keyval.public, 'hex')
  return { keys: new Map(signers.map((it) => [it.keyId, raw(it)])), threshold }
}
