/**
 * Canonical JSON (OLPC form, as TUF signs it) and its only parser.
 * Promise: a document is taken only when its bytes are exactly the canonical form of what they say, so
 * double keys, `__proto__`, spaces, floats and other spellings of the same value are refused before any
 * signature is looked at; depth and size are checked before parsing.
 * Leaves to others: signatures (envelope.ts) and schemas.
 */
import { canonicalize } from '@tufjs/canonical-json'
import { type Fault, fault } from '../core/errors.ts'
import { releaseLimits } from '../core/limits.ts'
import { fail, ok, type Result } from '../core/result.ts'

/** In canonical form a key has no other spelling. */
const prototypeKey = '"__proto__":'

/** The canonical bytes of a JSON value. @throws TypeError for what canonical JSON cannot say (floats). */
export function canonicalBytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(canonicalize(value))
}

/**
 * @param what names the document in the fault
 * @returns the value, or EB-ENDLESS (too long), EB-ENVELOPE (anything else)
 */
export function parseCanonical(bytes: Uint8Array, bytesMax: number, what: string): Result<unknown, Fault> {
  if (bytes.length > bytesMax) {
    return fail(fault('EB-ENDLESS', `${what} has ${bytes.length} bytes, limit ${bytesMax}`))
  }
  if (depthOf(bytes) > releaseLimits.jsonDepthMax) {
    return fail(fault('EB-ENVELOPE', `${what} is nested deeper than ${releaseLimits.jsonDepthMax}`))
  }
  if (Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(prototypeKey)) {
    return fail(fault('EB-ENVELOPE', `${what} has a field __proto__`))
  }
  try {
    const value: unknown = JSON.parse(
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes),
    )
    const again = canonicalBytes(value)
    if (Buffer.compare(again, bytes) === 0) return ok(value)
    return fail(fault('EB-ENVELOPE', `${what} is not in canonical form`))
  } catch (caught) {
    if (!(caught instanceof SyntaxError) && !(caught instanceof TypeError)) throw caught
    return fail(fault('EB-ENVELOPE', `${what} is not canonical JSON`))
  }
}

/** Deepest nesting of brackets outside strings; linear, without a stack. */
function depthOf(bytes: Uint8Array): number {
  let depth = 0
  let deepest = 0
  let inString = false
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at]
    if (inString) {
      if (byte === 0x5c) at += 1
      else if (byte === 0x22) inString = false
    } else if (byte === 0x22) inString = true
    else if (byte === 0x5b || byte === 0x7b) {
      depth += 1
      if (depth > deepest) deepest = depth
    } else if (byte === 0x5d || byte === 0x7d) depth -= 1
  }
  return deepest
}
