/**
 * Content keys wrapped for one device: AES-256 key wrap (RFC 3394), the device's 32-byte key around a
 * 32-byte content key, 40 bytes out.
 * Promise: lengths are checked before OpenSSL sees them (its unwrap takes some sizes it should not);
 * a wrong key or a changed wrap is refused, never a wrong content key.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { assert } from '../core/assert.ts'
import { type Fault, fault } from '../core/errors.ts'
import { fail, ok, type Result } from '../core/result.ts'

export const contentKeyBytes = 32
export const wrappedKeyBytes = 40
/** The default initial value of RFC 3394, section 2.2.3.1. */
const initialValue = Buffer.from('a6a6a6a6a6a6a6a6', 'hex')

/** @param wrappingKey 32 bytes; @param contentKey 32 bytes; @returns 40 bytes */
export function wrapKey(wrappingKey: Uint8Array, contentKey: Uint8Array): Uint8Array {
  assert(wrappingKey.length === 32 && contentKey.length === contentKeyBytes, 'key wrap takes 32-byte keys')
  const cipher = createCipheriv('id-aes256-wrap', wrappingKey, initialValue)
  return Buffer.concat([cipher.update(contentKey), cipher.final()])
}

/** @returns 32 bytes, or EB-WRONG-DEVICE when the wrap was not made for this key. */
export function unwrapKey(wrappingKey: Uint8Array, wrapped: Uint8Array): Result<Uint8Array, Fault> {
  if (wrappingKey.length !== 32)
    return fail(fault('EB-KEY', `a wrapping key has ${wrappingKey.length} bytes, not 32`))
  if (wrapped.length !== wrappedKeyBytes) {
    return fail(fault('EB-WRONG-DEVICE', `a wrapped key has ${wrapped.length} bytes, not ${wrappedKeyBytes}`))
  }
  try {
    const decipher = createDecipheriv('id-aes256-wrap', wrappingKey, initialValue)
    return ok(Buffer.concat([decipher.update(wrapped), decipher.final()]))
  } catch {
    return fail(fault('EB-WRONG-DEVICE', 'the content key was not wrapped for the key of this device'))
  }
}
