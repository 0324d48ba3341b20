/**
 * Boot partitions and seals for comparing loaders with the boot table: records that are usual, rare, damaged, absurd.
 * Leaves to others: playing them.
 */
import { type BootRecord, encodeRecord, type SlotState } from '../../core/boot-record.ts'
import { encodeStamp } from '../../core/commit-stamp.ts'
import { encodeEnvironment } from '../../core/environment-block.ts'
import { slotLimits } from '../../core/limits.ts'
import { seededRandom } from '../../core/prng.ts'
import type { Digest, SlotId } from '../../core/units.ts'
import { encodeSeal } from '../../images/release/seal.ts'
import { testSigner } from '../keys/signers.ts'
import type { Contents } from './play-boot.ts'

/** What lies on the disk before a boot: whole blocks, null for zeros. */
export interface BootCase {
  readonly name: string
  readonly copies: readonly [Uint8Array | null, Uint8Array | null]
  readonly stamp: Uint8Array | null
  readonly contents: Contents
}

const signer = testSigner('seal')
const state = (text: string): SlotState => {
  const [ok = '', sv = '', tries = ''] = text.split('/')
  return { ok: ok === '1', sv: Number(sv), tries: Number(tries) }
}
const record = (a: string, b: string, priority: SlotId, floor = 0, sequence = 7): BootRecord => ({
  ...{ a: state(a), b: state(b), floor, priority, sequence },
  others: new Map([
    ['alien', 'x = "1"; $y'],
    ['zoo', 'floor=9'],
  ]),
})
const block = (it: BootRecord): Uint8Array => encodeRecord(it) ?? new Uint8Array()
const stampOf = (floor: number, priority: SlotId): Uint8Array | null => encodeStamp({ floor, priority })
const torn = (bytes: Uint8Array): Uint8Array => Uint8Array.from(bytes, (it, at) => (at < 40_000 ? it : 0xff))

/** A record with a good checksum and one value of a form that no writer writes. */
function misshapen(key: string, value: string): Uint8Array | null {
  const usual = { a_ok: '1', a_sv: '1', a_tries: '8', b_ok: '0', b_sv: '2', b_tries: '3' }
  const whole = { ...usual, floor: '0', st_pri: 'b', st_seq: '99', [key]: value }
  const variables = Object.entries(whole).filter(([, it]) => it !== '')
  return encodeEnvironment(new Map(variables), slotLimits.recordCopyBytes)
}

const both = { a: 1, b: 2 }
/** Slot a, committed; slot b, never armed. */
export const committed = record('1/1/8', '0/0/0', 'a')
/** Slot a, committed; slot b on trial. */
export const trial = record('1/1/8', '0/2/3', 'b', 1)
const last = slotLimits.numberMax
const one = (name: string, it: BootRecord, contents: Contents = both, stamp = stampOf(0, 'a')): BootCase => ({
  name,
  copies: [block(it), null],
  stamp,
  contents,
})
/** Usual, rare and absurd ones. */
export const toldCases: readonly BootCase[] = [
  one('a committed slot', committed),
  one('a trial', trial),
  one('a trial without a seal gives way', trial, { a: 1, b: null }),
  one('a trial below the floor of the stamp', trial, both, stampOf(3, 'a')),
  one('nobody has tries', record('1/1/0', '0/2/0', 'b', 1)),
  one('nobody has tries, one was never armed', record('1/1/0', '0/0/0', 'a'), both),
  one('only an unfinished spare is left', record('1/1/0', '0/0/0', 'b'), { a: null, b: null }),
  one('a record that is wrong about the floor', record('1/1/8', '1/2/8', 'a', 5), { a: 6, b: 5 }),
  one('counters that nobody writes', record('1/1/255', `0/2/${last}`, 'b')),
  one('the last number', { ...trial, sequence: last }),
  one('the last but one', { ...trial, sequence: last - 1 }),
  { name: 'all lost', copies: [null, null], stamp: null, contents: both },
  { name: 'record lost', copies: [torn(block(trial)), null], stamp: stampOf(2, 'b'), contents: both },
  { name: 'all lost, nothing sealed', copies: [null, null], stamp: null, contents: { a: null, b: null } },
  {
    name: 'the first copy torn',
    copies: [torn(block(trial)), block({ ...committed, sequence: 6 })],
    stamp: null,
    contents: both,
  },
  {
    name: 'equal numbers',
    copies: [block(committed), block({ ...trial, sequence: 7 })],
    stamp: stampOf(0, 'a'),
    contents: both,
  },
  ...(
    [
      ['a_tries', '08'],
      ['a_tries', ''],
      ['b_tries', 'A'],
      ['a_ok', '2'],
      ['a_ok', ''],
      ['floor', '100000000'],
      ['b_sv', '*0'],
      ['b_sv', '0x2'],
      ['st_pri', 'c'],
      ['st_seq', '-1'],
    ] as const
  ).map(([key, value]) => ({
    name: `${key}=${value}`,
    copies: [block({ ...committed, sequence: 3 }), misshapen(key, value)] as const,
    stamp: stampOf(0, 'a'),
    contents: both,
  })),
]

/** The same seed, the same case. */
export function drawnCase(seed: number): BootCase {
  const random = seededRandom(seed)
  const of = <T>(...values: readonly T[]): T => values[random.below(values.length)] as T
  const slot = (): SlotState => ({ ok: of(true, false), sv: of(0, 1, 2, 3), tries: of(0, 0, 1, 2, 3, 8, 9) })
  const draw = (): BootRecord => ({
    ...{ a: slot(), b: slot(), floor: of(0, 1, 2, 3), priority: of('a', 'b') },
    sequence: of(1, 2, 9, 10, 255, 256, last - 1, last),
    others: new Map(of([], [['alien', 'b c']], [['Z', '1'] as const])),
  })
  const copy = (): Uint8Array | null => of(block(draw()), block(draw()), torn(block(draw())), null)
  return {
    name: `seed ${seed}`,
    copies: [copy(), copy()],
    stamp: of(null, stampOf(of(0, 1, 2, 3), of('a', 'b'))),
    contents: { a: of(null, 1, 2, 3), b: of(null, 1, 2, 3) },
  }
}

/** A seal that a loader takes for authentic when it only reads. */
export function sealOf(securityVersion: number): Uint8Array {
  const images = [{ name: 'rootfs', bytes: 4096, paddedBytes: 4096, verityRoot: 'ab'.repeat(32) as Digest }]
  const names = { releaseId: 'demo-1-0123456789ab', product: 'demo', version: '1' }
  return encodeSeal({ ...names, securityVersion, floorAfterCommit: null, images }, signer)
}
