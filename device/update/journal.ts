/**
 * The journal: the one file in which the agent remembers between starts which attempt it works on, how far
 * it is, which ended last, and what the hub has not acknowledged yet.
 * Promise: replaced atomically (new file, sync, rename, directory sync), so that one save is one step, and
 * the end of an attempt and its report are the same step. A damaged journal is started anew; it only
 * explains, the boot record decides.
 * Leaves to others: what the entries mean. Format: "EBJ1", u32le length, u32le crc32, JSON; a reader takes
 * format 1 whatever else it holds, since the other slot's agent may be older.
 */
import { crc32 } from 'node:zlib'
import * as v from 'valibot'
import { EverbootError, type Fault, fault } from '../../core/errors.ts'
import type { FileStore } from '../../core/ports.ts'
import { desiredSchema, evidenceSchema, statusSchema } from '../../core/wire/messages.ts'

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const text = v.string()

const verdict = v.object({ code: text, what: text, evidence: v.optional(evidenceSchema) })

const attempt = v.object({
  /** 0 for an installation asked for on the device. */
  seq: count,
  releaseId: text,
  target: v.picklist(['a', 'b']),
  phase: v.picklist(['opened', 'arming']),
  armedInBoot: v.nullable(text),
  /** The whole assignment, so that a start without a network can go on; null: go back to what the other slot holds. */
  desired: v.nullable(desiredSchema),
  /** A release file on the device; null when it comes from the hub. */
  file: v.nullable(text),
  /** Per image: pieces from the first on that are known to be on the medium. */
  marks: v.record(v.string(), count),
  bytesFetched: count,
  bytesRefetched: count,
  /** The hub could be reached before the new system was tried. */
  networkBefore: v.boolean(),
  /** Why the new system was rolled back, written by itself before it went: it lived. */
  verdict: v.nullable(verdict),
})
export type Attempt = v.InferOutput<typeof attempt>

const journal = v.object({
  v: v.literal(1),
  attempt: v.nullable(attempt),
  /** The last finished assignment of the hub. */
  finished: v.nullable(
    v.object({ seq: count, releaseId: text, result: v.picklist(['ok', 'failed']), code: v.nullable(text) }),
  ),
  /** Release that reported for duty and was rolled back. */
  lived: v.nullable(text),
  /** The running slot, in rescue, has handed back once. */
  handedBack: v.boolean(),
  /** Numbers below this may have been used for statuses; a start begins here. */
  statusCeiling: count,
  connection: count,
  /** Boot in which a flush of the spare failed: what is read there since may not be on the medium. */
  spareDoubted: v.optional(text),
  /** Boot that must end with the spare first: the running slot is damaged, and an attempt has ended by it. */
  leaving: v.optional(text),
  /** Statuses that the hub has not acknowledged, oldest first. */
  outbox: v.array(statusSchema),
})
export type Journal = v.InferOutput<typeof journal>

export const emptyJournal: Journal = {
  v: 1,
  attempt: null,
  finished: null,
  lived: null,
  handedBack: false,
  statusCeiling: 0,
  connection: 0,
  outbox: [],
}

const fileName = 'journal'
const newName = 'journal.new'
const magic = Buffer.from('EBJ1')
const headBytes = 12

/** @returns null when the bytes are not a whole journal of a known form. */
export function decodeJournal(bytes: Uint8Array): Journal | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < headBytes || !magic.every((byte, index) => bytes[index] === byte)) return null
  const body = bytes.subarray(headBytes)
  if (view.getUint32(4, true) !== body.length || view.getUint32(8, true) !== crc32(body)) return null
  try {
    const parsed = v.safeParse(journal, JSON.parse(Buffer.from(body).toString('utf8')))
    return parsed.success ? parsed.output : null
  } catch {
    return null
  }
}

export function encodeJournal(it: Journal): Uint8Array {
  const body = Buffer.from(JSON.stringify(it))
  const bytes = Buffer.alloc(headBytes + body.length)
  magic.copy(bytes)
  bytes.writeUInt32LE(body.length, 4)
  bytes.writeUInt32LE(crc32(body), 8)
  body.copy(bytes, headBytes)
  return bytes
}

export interface JournalFile {
  /** The journal in memory; as on the medium, except while a save is under way. */
  readonly current: Journal
  /** Makes `next` durable, then current. Saves follow one another. @throws EverbootError EB-DATA-FULL, EB-DATA-IO */
  save(change: (current: Journal) => Journal): Promise<void>
}

/**
 * @param numbersAfterLoss number above every one that statuses may have had, for a journal that was damaged
 * @returns the journal file, and the fault when what was there had to be given up
 */
export async function openJournal(
  files: FileStore,
  numbersAfterLoss: number,
): Promise<{ journal: JournalFile; lost: Fault | null }> {
  // A partition that can only be read still tells where the device stands.
  await files.remove(newName).catch((caught: unknown) => {
    if (!(caught instanceof EverbootError)) throw caught
  })
  const bytes = await files.read(fileName)
  const decoded = bytes === null ? emptyJournal : decodeJournal(bytes)
  let current = decoded ?? { ...emptyJournal, statusCeiling: numbersAfterLoss }
  let tail: Promise<void> = Promise.resolve()
  const save = async (change: (now: Journal) => Journal): Promise<void> => {
    const next = change(current)
    await files.write(newName, encodeJournal(next))
    await files.syncFile(newName)
    await files.rename(newName, fileName)
    await files.syncDir()
    current = next
  }
  const journalFile: JournalFile = {
    get current() {
      return current
    },
    save(change) {
      const saved = tail.then(() => save(change))
      tail = saved.catch(() => {})
      return saved
    },
  }
  const lost = decoded === null ? fault('EB-JOURNAL', 'the journal is damaged') : null
  return { journal: journalFile, lost }
}
