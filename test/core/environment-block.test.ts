/** U-Boot's environment layout: golden bytes that the real `fw_printenv` reads, and every kind of damage. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type BootRecord, decodeRecord, encodeRecord } from '../../core/boot-record.ts'
import { type CommitStamp, decodeStamp, encodeStamp } from '../../core/commit-stamp.ts'
import { decodeEnvironment, encodeEnvironment } from '../../core/environment-block.ts'
import { slotLimits } from '../../core/limits.ts'
import { ensureHostTools } from '../../images/build/adapters/host-tools.ts'

let room = ''
let printenv = ''
beforeAll(async () => {
  room = mkdtempSync(join(tmpdir(), 'everboot-env-'))
  printenv = (await ensureHostTools(['fw_printenv'], { install: false })).path('fw_printenv')
})
afterAll(() => rmSync(room, { recursive: true, force: true }))

/** What the real tool reads from the block at `offset` of a file. */
function realRead(file: Uint8Array, offset: number, bytes: number): string[] {
  const [path, config] = [join(room, 'partition'), join(room, 'fw_env.config')]
  writeFileSync(path, file)
  writeFileSync(config, `${path} 0x${offset.toString(16)} 0x${bytes.toString(16)}\n`)
  const text = execFileSync(printenv, ['-c', config], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  return text.trim().split('\n').sort()
}

const vector = (name: string): Buffer => readFileSync(new URL(`../vectors/${name}`, import.meta.url))
const none: BootRecord['others'] = new Map()

const records: readonly (readonly [string, BootRecord, readonly string[]])[] = [
  [
    'boot-record-factory.bin',
    {
      a: { ok: true, sv: 1, tries: 8 },
      b: { ok: false, sv: 0, tries: 0 },
      floor: 0,
      priority: 'a',
      sequence: 1,
      others: none,
    },
    ['a_ok=1', 'a_sv=1', 'a_tries=8', 'b_ok=0', 'b_sv=0', 'b_tries=0', 'floor=0', 'st_pri=a', 'st_seq=1'],
  ],
  [
    'boot-record-trial.bin',
    {
      a: { ok: true, sv: 0xabcdef, tries: 7 },
      b: { ok: false, sv: slotLimits.numberMax, tries: 3 },
      floor: 255,
      priority: 'b',
      sequence: slotLimits.numberMax,
      others: new Map([['board_serial', 'EB 0042 = "x"']]),
    },
    [
      ...['a_ok=1', 'a_sv=abcdef', 'a_tries=7', 'b_ok=0', 'b_sv=ffffffff', 'b_tries=3'],
      ...['board_serial=EB 0042 = "x"', 'floor=ff', 'st_pri=b', 'st_seq=ffffffff'],
    ],
  ],
]
const stamps: readonly (readonly [string, CommitStamp, readonly string[]])[] = [
  ['commit-stamp-zero.bin', { floor: 0, priority: 'a' }, ['floor=0', 'st_pri=a']],
  ['commit-stamp.bin', { floor: 0x1f4, priority: 'b' }, ['floor=1f4', 'st_pri=b']],
]

test.each(records)('%s has the same bytes for ever, and fw_printenv reads it', (name, record, said) => {
  const golden = vector(name)
  const encoded = encodeRecord(record)
  expect(encoded === null ? -1 : Buffer.compare(encoded, golden)).toBe(0)
  expect(golden.length).toBe(64 * 1024)
  expect(decodeRecord(golden)).toEqual(record)
  expect(realRead(golden, 0, golden.length)).toEqual(said)
})

test.each(stamps)('%s has the same bytes for ever, and fw_printenv reads it', (name, stamp, said) => {
  const golden = vector(name)
  const encoded = encodeStamp(stamp)
  expect(encoded === null ? -1 : Buffer.compare(encoded, golden)).toBe(0)
  expect(golden.length).toBe(4096)
  expect(decodeStamp(golden)).toEqual(stamp)
  expect(realRead(golden, 0, golden.length)).toEqual(said)
})

test('fw_printenv reads both copies and the stamp where the boot partition keeps them', () => {
  const partition = Buffer.alloc(3 << 20)
  partition.set(vector('boot-record-factory.bin'), 0)
  partition.set(vector('boot-record-trial.bin'), 1 << 20)
  partition.set(vector('commit-stamp.bin'), 2 << 20)
  expect(realRead(partition, 0, 0x10000)).toEqual(records[0]?.[2])
  expect(realRead(partition, 1 << 20, 0x10000)).toEqual(records[1]?.[2])
  expect(realRead(partition, 2 << 20, 0x1000)).toEqual(stamps[1]?.[2])
})

test('what fw_setenv writes into a record copy is read back, its unknown keys kept', async () => {
  const [path, config] = [join(room, 'copy'), join(room, 'copy.config')]
  writeFileSync(path, vector('boot-record-factory.bin'))
  writeFileSync(config, `${path} 0x0 0x10000\n`)
  const setenv = printenv.replace(/printenv$/, 'setenv')
  execFileSync(setenv, ['-c', config, 'b_tries', '3'], { stdio: 'ignore' })
  execFileSync(setenv, ['-c', config, 'note', 'by hand'], { stdio: 'ignore' })
  const record = decodeRecord(readFileSync(path))
  expect(record?.b.tries).toBe(3)
  expect(record?.others.get('note')).toBe('by hand')
})

const key = fc.stringMatching(/^[A-Za-z0-9_]{1,32}$/)
const value = fc.stringMatching(/^[\x20-\x7e]{0,40}$/)

test('any variables are read back as they were written, in any order', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(key, value), { selector: ([it]) => it, maxLength: 20 }), (list) => {
      const block = encodeEnvironment(new Map(list), 4096)
      expect(block).not.toBeNull()
      expect(decodeEnvironment(block ?? new Uint8Array())).toEqual(new Map(list))
      expect(encodeEnvironment(new Map([...list].reverse()), 4096)).toEqual(block)
    }),
  )
})

test('what could not be read back is not written', () => {
  const encode = (name: string, text: string): unknown => encodeEnvironment(new Map([[name, text]]), 128)
  expect(encode('a', 'x')).not.toBeNull()
  for (const name of ['', 'a=b', 'a b', 'a\0', 'ä', 'x'.repeat(33)])
    expect(encode(name, 'x'), name).toBeNull()
  for (const text of ['a\0b', 'a\nb', '\x7f', 'ä', 'x'.repeat(257)])
    expect(encode('a', text), text).toBeNull()
  expect(encode('a', 'x'.repeat(120))).not.toBeNull()
  expect(encode('a', 'x'.repeat(121))).toBeNull()
})

/** A block with a right checksum around any data. */
function checked(data: Uint8Array): Uint8Array {
  const block = new Uint8Array(data.length + 4)
  block.set(data, 4)
  new DataView(block.buffer).setUint32(0, crc32(data), true)
  return block
}

test.each([
  ['no end', 'a=1'],
  ['one zero byte only, at the end', 'a=1\0'],
  ['a key twice', 'a=1\0a=2\0\0'],
  ['no equals sign', 'abc\0\0'],
  ['an empty key', '=1\0\0'],
  ['a control character', 'a=\u0001\0\0'],
  ['a byte above ASCII', 'a=\u00e4\0\0'],
])('a block with a right checksum and %s is not believed', (_, text) => {
  expect(decodeEnvironment(checked(Buffer.from(text, 'latin1')))).toBeNull()
})

test('an empty environment is one, an empty or erased block is not', () => {
  expect(decodeEnvironment(checked(new Uint8Array(16)))).toEqual(new Map())
  for (const block of [
    new Uint8Array(0),
    new Uint8Array(4),
    new Uint8Array(4096),
    new Uint8Array(4096).fill(0xff),
  ]) {
    expect(decodeEnvironment(block)).toBeNull()
  }
})

test('any bytes, also behind a right checksum, end in null or variables, never in a throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      decodeEnvironment(bytes)
      const variables = decodeEnvironment(checked(bytes))
      for (const [name, text] of variables ?? []) expect(`${name}${text}`).toMatch(/^[\x20-\x7e]+$/)
    }),
    { numRuns: 1000 },
  )
})
