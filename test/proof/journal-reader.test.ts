/**
 * Reading journals by their form: what an agent writes is read as the agent itself reads it.
 */
import { describe, expect, it } from 'vitest'
import { decodeJournal, emptyJournal, encodeJournal } from '../../device/update/journal.ts'
import { journalReader } from '../../proof/journal-reader.ts'

const journal = {
  ...emptyJournal,
  finished: { seq: 7, releaseId: 'demo-2', result: 'failed', code: 'EB-HEALTH' } as const,
  lived: 'demo-2 with ümlauts',
  statusCeiling: 1030,
}

describe('the reader of journals', () => {
  it('reads what an agent writes as the agent does', () => {
    for (const it of [emptyJournal, journal]) {
      const bytes = encodeJournal(it)
      expect(journalReader()(bytes)).toEqual(decodeJournal(bytes))
    }
  })

  it('reads a view into a larger buffer', () => {
    const bytes = Buffer.concat([Buffer.from('head'), encodeJournal(journal)]).subarray(4)
    expect(journalReader()(bytes)).toEqual(journal)
  })

  it('takes nothing that was cut off, lengthened, or is something else', () => {
    const read = journalReader()
    const bytes = encodeJournal(journal)
    for (let length = 0; length < bytes.length; length += 1)
      expect(read(bytes.subarray(0, length))).toBeNull()
    expect(read(Buffer.concat([bytes, Buffer.from(' ')]))).toBeNull()
    for (const body of ['[]', 'null', '{}', '{"outbox":1,"attempt":null}', '{"outbox":[]}', 'x']) {
      const other = Buffer.concat([bytes.subarray(0, 12), Buffer.from(body)])
      other.writeUInt32LE(body.length, 4)
      expect(read(other), body).toBeNull()
    }
  })

  it('reads each content once', () => {
    const read = journalReader()
    const bytes = encodeJournal(journal)
    expect(read(bytes)).toBe(read(bytes))
    expect(read(new Uint8Array(bytes))).not.toBe(read(bytes))
  })
})
