/**
 * Reads journal files for the checkers: by their form only, each content once.
 * Leaves to others: whether the agent would believe it (checksum and schema: device/update/journal.ts, six
 * times as slow, and a checker sees only what an agent has just written).
 */
import type { Journal } from '../device/update/journal.ts'

/** Magic, length and checksum come before the JSON. */
const headBytes = 12

/** Contents are never changed in place, so what one says is remembered with it. */
export function journalReader(): (bytes: Uint8Array) => Journal | null {
  const known = new WeakMap<Uint8Array, Journal | null>()
  return (bytes) => {
    const found = known.get(bytes)
    if (found !== undefined) return found
    const read = readJournal(bytes)
    known.set(bytes, read)
    return read
  }
}

function readJournal(bytes: Uint8Array): Journal | null {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (whole.length < headBytes || whole.readUInt32LE(4) !== whole.length - headBytes) return null
  try {
    const document: unknown = JSON.parse(whole.toString('utf8', headBytes))
    return isJournal(document) ? document : null
  } catch {
    return null
  }
}

function isJournal(document: unknown): document is Journal {
  if (typeof document !== 'object' || document === null) return false
  return 'outbox' in document && Array.isArray(document.outbox) && 'attempt' in document
}
