/**
 * The journal: its bytes, what is refused, what newer forms may add, and the order in which it is saved.
 */
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fatesOf } from '../../../bootloader-sim/devices/fate.ts'
import { simFiles } from '../../../bootloader-sim/devices/file-store.ts'
import { createPower } from '../../../bootloader-sim/devices/power.ts'
import { raise } from '../../../core/errors.ts'
import { seededRandom } from '../../../core/prng.ts'
import type { Digest } from '../../../core/units.ts'
import {
  decodeJournal,
  emptyJournal,
  encodeJournal,
  type Journal,
  openJournal,
} from '../../../device/update/journal.ts'

const full: Journal = {
  v: 1,
  attempt: {
    seq: 1_780_272_000_000,
    releaseId: 'demo-2-0123456789ab',
    target: 'b',
    phase: 'arming',
    armedInBoot: 'boot-1',
    desired: {
      v: 1,
      seq: 1_780_272_000_000,
      release: {
        id: 'demo-2-0123456789ab',
        manifest: {
          path: '/blobs/demo-2-0123456789ab/manifest.json',
          bytes: 1234,
          sha256: 'ab'.repeat(32) as Digest,
        },
        keys: { rootfs: 'a2V5' },
      },
      throttle: 65_536,
    },
    file: null,
    marks: { rootfs: 17 },
    bytesFetched: 1000,
    bytesRefetched: 10,
    networkBefore: true,
    verdict: { code: 'EB-HEALTH', what: 'check service: 503', evidence: { check: 'service' } },
  },
  finished: { seq: 5, releaseId: 'demo-1-0123456789ab', result: 'failed', code: 'EB-NO-VERDICT' },
  lived: 'demo-1-0123456789ab',
  handedBack: true,
  statusCeiling: 2048,
  connection: 3,
  outbox: [],
}

/** The bytes that agents in the field have written: they must be read for ever. */
const golden =
  '45424a3173000000f88aa0e27b2276223a312c22617474656d7074223a6e756c6c2c2266696e6973686564223a6e756c6c2c' +
  '226c69766564223a6e756c6c2c2268616e6465644261636b223a66616c73652c227374617475734365696c696e67223a302c' +
  '22636f6e6e656374696f6e223a302c226f7574626f78223a5b5d7d'

/** The frame around any body. */
function framed(document: unknown): Uint8Array {
  return framedText(JSON.stringify(document))
}

function framedText(text: string): Uint8Array {
  const body = Buffer.from(text)
  const bytes = Buffer.alloc(12 + body.length)
  bytes.write('EBJ1')
  bytes.writeUInt32LE(body.length, 4)
  bytes.writeUInt32LE(crc32(body), 8)
  body.copy(bytes, 12)
  return bytes
}

describe('the bytes of a journal', () => {
  it('are as they have always been', () => {
    expect(Buffer.from(encodeJournal(emptyJournal)).toString('hex')).toBe(golden)
    expect(decodeJournal(Buffer.from(golden, 'hex'))).toEqual(emptyJournal)
  })

  it('give back what was written', () => {
    expect(decodeJournal(encodeJournal(full))).toEqual(full)
    fc.assert(
      fc.property(
        fc.record({
          lived: fc.option(fc.string()),
          handedBack: fc.boolean(),
          statusCeiling: fc.maxSafeNat(),
          connection: fc.maxSafeNat(),
        }),
        (change) => {
          const journal = { ...full, ...change }
          expect(decodeJournal(encodeJournal(journal))).toEqual(journal)
        },
      ),
    )
  })

  it('are refused at every truncation and extension', () => {
    const bytes = encodeJournal(full)
    for (let length = 0; length < bytes.length; length += 1) {
      expect(decodeJournal(bytes.subarray(0, length)), `${length} bytes`).toBeNull()
    }
    expect(decodeJournal(Buffer.concat([bytes, Buffer.alloc(1)]))).toBeNull()
  })

  it('are refused with any one bit changed', () => {
    const bytes = encodeJournal(full)
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = new Uint8Array(bytes)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(decodeJournal(changed), `bit ${bit}`).toBeNull()
    }
  })

  it('are refused, not choked on, whatever they are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(decodeJournal(bytes)).toBeNull()
      }),
    )
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(decodeJournal(framed(JSON.parse(text)))).toBeNull()
      }),
    )
  })

  it('are refused when the frame is right and what is in it is not JSON', () => {
    for (const text of ['', '{', '{"v":1', 'null null']) {
      expect(decodeJournal(framedText(text)), JSON.stringify(text)).toBeNull()
    }
    expect(decodeJournal(framedText(JSON.stringify(full)))).toEqual(full)
  })

  it('may have more fields than this version knows: the other slot may be newer', () => {
    const newer = { ...full, clips: [1], attempt: { ...full.attempt, mood: 'good' } }
    expect(decodeJournal(framed(newer))).toEqual(full)
  })

  it('must have every field that this version needs, of the right type', () => {
    for (const key of Object.keys(full)) {
      const { [key]: _, ...less } = { ...full } as Record<string, unknown>
      expect(decodeJournal(framed(less)), `without ${key}`).toBeNull()
      expect(decodeJournal(framed({ ...full, [key]: { other: 1 } })), `${key} of another type`).toBeNull()
    }
    expect(decodeJournal(framed({ ...full, v: 2 }))).toBeNull()
  })
})

describe('a journal file', () => {
  it('is saved as new file, its sync, rename, sync of the directory, in this order', async () => {
    const power = createPower()
    const { journal } = await openJournal(simFiles(power), 0)
    const before = power.operations.length
    await journal.save((it) => ({ ...it, connection: 7 }))
    expect(power.operations.slice(before)).toEqual([
      'files write journal.new',
      'files syncFile journal.new',
      'files rename journal.new',
      'files syncDir',
    ])
  })

  it('holds the old or the new journal after a cut anywhere, never none', async () => {
    for (const leftover of ['lost', 'kept', 'torn'] as const) {
      for (let n = 0; n < 4; n += 1) {
        for (const time of ['before', 'after'] as const) {
          const power = createPower()
          const files = simFiles(power)
          const { journal } = await openJournal(files, 0)
          await journal.save((it) => ({ ...it, connection: 1 }))
          power.cutWhen((_, at) => at === n, time)
          void journal.save((it) => ({ ...it, connection: 2 }))
          await new Promise((resolve) => setImmediate(resolve))
          files.crash(fatesOf(leftover, files.pending(), seededRandom(n)))
          const { journal: again, lost } = await openJournal(files, 0)
          expect(lost, `${time} ${n}, ${leftover}`).toBeNull()
          expect([1, 2]).toContain(again.current.connection)
        }
      }
    }
  })

  it('becomes current only when it is saved', async () => {
    const files = simFiles()
    const { journal } = await openJournal(files, 0)
    for (const operation of ['write', 'syncFile', 'rename', 'syncDir'] as const) {
      files.fault = (it) => {
        if (it === operation) raise('EB-DATA-FULL', 'planted')
      }
      await expect(journal.save((it) => ({ ...it, connection: 9 }))).rejects.toThrow('EB-DATA-FULL')
      expect(journal.current.connection).toBe(0)
    }
    files.fault = () => {}
    await journal.save((it) => ({ ...it, connection: it.connection + 1 }))
    expect(journal.current.connection).toBe(1)
    expect((await openJournal(files, 0)).journal.current.connection).toBe(1)
  })

  it('takes changes one after the other, each on what the one before left', async () => {
    const files = simFiles()
    const { journal } = await openJournal(files, 0)
    await Promise.all(
      Array.from({ length: 20 }, () => journal.save((it) => ({ ...it, connection: it.connection + 1 }))),
    )
    expect((await openJournal(files, 0)).journal.current.connection).toBe(20)
  })

  it('that is damaged is started anew and said to be lost; a missing one is not lost', async () => {
    const files = simFiles()
    expect((await openJournal(files, 0)).lost).toBeNull()
    files.put('journal', Buffer.from('rubbish'))
    const { journal, lost } = await openJournal(files, 0)
    expect(journal.current).toEqual(emptyJournal)
    expect(lost?.code).toBe('EB-JOURNAL')
  })

  it('that is damaged begins its numbers where none was used', async () => {
    const files = simFiles()
    files.put('journal', Buffer.from('rubbish'))
    const { journal } = await openJournal(files, 4711)
    expect(journal.current).toEqual({ ...emptyJournal, statusCeiling: 4711 })
  })

  it('is opened on a partition that can only be read', async () => {
    const files = simFiles()
    files.put('journal', encodeJournal(full))
    files.fault = (operation) => {
      if (operation === 'remove') raise('EB-DATA-IO', 'planted')
    }
    const { journal, lost } = await openJournal(files, 0)
    expect([journal.current, lost]).toEqual([full, null])
  })

  it('is not opened over a bug, nor where it cannot be read', async () => {
    const files = simFiles()
    files.fault = (operation) => {
      if (operation === 'read') raise('EB-DATA-IO', 'planted')
    }
    await expect(openJournal(files, 0)).rejects.toThrow('EB-DATA-IO')
    files.fault = (operation) => {
      if (operation === 'remove') throw new TypeError('planted')
    }
    await expect(openJournal(files, 0)).rejects.toThrow(TypeError)
  })

  it('leaves nothing of a save that was cut', async () => {
    const files = simFiles()
    files.put('journal.new', Buffer.alloc(10_000))
    await openJournal(files, 0)
    expect(files.content('journal.new')).toBeNull()
  })
})
