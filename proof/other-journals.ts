/**
 * Journals that the agent under test did not write itself: of a later version, or none at all.
 * Leaves to others: what an agent makes of them.
 */
import { crc32 } from 'node:zlib'
import type { SimFiles } from '../bootloader-sim/devices/file-store.ts'
import { decodeJournal, emptyJournal, encodeJournal, type Journal } from '../device/update/journal.ts'
import type { StepOf } from './steps.ts'

const name = 'journal'

/** Puts it on the medium, past every check. */
export function otherJournal(files: SimFiles, becomes: StepOf<'journal'>['becomes']): void {
  if (becomes === 'lost') {
    files.restore({ inodes: new Map(), names: new Map(), durable: new Map(), changes: [] })
    return
  }
  const bytes = files.content(name)
  const now = (bytes === null ? null : decodeJournal(bytes)) ?? emptyJournal
  files.put(name, { newer, foreign, damaged: () => Buffer.from('EBJ1 nonsense') }[becomes](now))
}

/** The same, and in every part of it something that this version knows nothing of. */
function newer(journal: Journal): Uint8Array {
  const more = { wave: 3, clips: { index: 7, bytes: 12 } }
  const document: Journal = {
    ...journal,
    ...more,
    attempt: journal.attempt === null ? null : { ...journal.attempt, ...more },
    finished: journal.finished === null ? null : { ...journal.finished, ...more },
    outbox: journal.outbox.map((it) => ({ ...it, ...more })),
  }
  return encodeJournal(document)
}

function foreign({ statusCeiling }: Journal): Uint8Array {
  return framed(JSON.stringify({ v: 2, updates: [], sent: statusCeiling }))
}

/** In the frame of a journal: magic, length, checksum. */
function framed(text: string): Uint8Array {
  const body = Buffer.from(text)
  const bytes = Buffer.concat([Buffer.from('EBJ1'), Buffer.alloc(8), body])
  bytes.writeUInt32LE(body.length, 4)
  bytes.writeUInt32LE(crc32(body), 8)
  return bytes
}
