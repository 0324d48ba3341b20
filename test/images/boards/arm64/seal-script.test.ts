/**
 * The shell functions by which the initramfs believes a seal and finds the floor, against the project's own codecs.
 * They run in bash here and in busybox on the board, which has a `crc32` that bash gets from gzip.
 */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BootRecord, encodeRecord } from '../../../../core/boot-record.ts'
import { encodeStamp } from '../../../../core/commit-stamp.ts'
import { encodeEnvironment } from '../../../../core/environment-block.ts'
import { slotLimits } from '../../../../core/limits.ts'
import { encodeSeal, openSeal, type Seal } from '../../../../images/release/seal.ts'
import { verifyEd25519 } from '../../../../keys/verify-node.ts'
import { ringOf, testSigner } from '../../../keys/signers.ts'
import { flipped } from '../../releases.ts'

const run = promisify(execFile)
const functions = fileURLToPath(new URL('../../../../images/boards/arm64/files/seal.sh', import.meta.url))
const crc32 = `crc32() { gzip -1 -c | tail -c 8 | head -c 4 | od -An -v -tx4 --endian=little | tr -d ' \\n'; }`
const [signer, next, stranger] = [testSigner('seal'), testSigner('seal-2'), testSigner('stranger')]
const ring = ringOf([signer, next])
const golden = await readFile(new URL('../../../vectors/seal.bin', import.meta.url))
let room = ''

beforeAll(async () => {
  room = await mkdtemp(join(tmpdir(), 'everboot-seal-'))
  await mkdir(join(room, 'keys'))
  for (const [id, key] of ring.keys) {
    const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), key])
    await writeFile(join(room, 'keys', `${id}.der`), spki)
  }
})
afterAll(() => rm(room, { recursive: true, force: true }))

async function shell(script: string, environment: Record<string, string> = {}): Promise<string> {
  const env = { PATH: process.env['PATH'], EB_KEYS: join(room, 'keys'), LC_ALL: 'C', ...environment }
  const { stdout } = await run('bash', ['-c', `${crc32}\n. ${functions}\n${script}`], { env, cwd: room })
  return stdout.trim()
}

const area = (bytes: Uint8Array): Uint8Array => {
  const padded = new Uint8Array(slotLimits.sealAreaBytes)
  padded.set(bytes)
  return padded
}

/** @returns `taken RELEASE SV SIZE PADDED ROOT`, or why not */
async function read(bytes: Uint8Array, image = 'rootfs'): Promise<string> {
  const work = await mkdtemp(join(room, 'seal-'))
  await writeFile(join(work, 'area'), area(bytes))
  const values = '$seal_release $seal_sv $seal_size $seal_padded $seal_root'
  return shell(
    `if read_seal ${work}/area ${image} ${work}; then echo "taken ${values}"; else echo "$why"; fi`,
  )
}

const seal = (): Seal => {
  const opened = openSeal(golden, ring, verifyEd25519)
  if (!opened.ok) throw new Error('the golden seal does not open')
  return opened.value
}

describe('the seal', () => {
  test('a good one is taken with the numbers of the image to boot', async () => {
    expect(await read(golden)).toBe(`taken demo-1.2.3-0123456789ab 7 10000 12288 ${'ab'.repeat(32)}`)
    expect(await read(golden, 'boot')).toBe(`taken demo-1.2.3-0123456789ab 7 4096 4096 ${'cd'.repeat(32)}`)
    expect(await read(encodeSeal(seal(), next))).toMatch(/^taken /)
  })

  test('large numbers stay whole', async () => {
    const large = {
      ...seal(),
      securityVersion: slotLimits.numberMax,
      images: seal().images.map((it) => ({ ...it, bytes: 2 ** 38 + 1, paddedBytes: 2 ** 38 + 4096 })),
    }
    expect(await read(encodeSeal(large, signer))).toMatch(/^taken \S+ 4294967295 274877906945 274877911040 /)
  })

  test('a stranger, a missing image and nothing at all are refused with their reason', async () => {
    expect(await read(encodeSeal(seal(), stranger))).toBe('the seal is signed by an unknown key')
    expect(await read(golden, 'root')).toBe('the seal holds no image root')
    expect(await read(golden, 'rootfs2')).toBe('the seal holds no image rootfs2')
    expect(await read(new Uint8Array(10))).toBe('the seal is missing')
  })

  test('a name or a size that was signed but is impossible is refused', async () => {
    const wrong = {
      ...seal(),
      images: seal().images.map((it) => ({ ...it, paddedBytes: it.paddedBytes + 4096 })),
    }
    expect(await read(encodeSeal(wrong, signer))).toBe('the seal has impossible sizes')
    expect(await read(encodeSeal({ ...seal(), securityVersion: 0 }, signer))).toMatch(
      /impossible security version/,
    )
  })

  test('flipped bits all over it are refused', { timeout: 60_000 }, async () => {
    const bits = Array.from({ length: Math.ceil((golden.length * 8) / 151) }, (_, index) => index * 151)
    for (const bit of bits) expect(await read(flipped(golden, bit)), `bit ${bit}`).not.toMatch(/^taken/)
  })

  test('every truncation of a kind is refused', async () => {
    for (const bytes of [8, 100, 167, 328, 360, golden.length - 1]) {
      expect(await read(golden.subarray(0, bytes)), `${bytes} bytes`).not.toMatch(/^taken/)
    }
  })
})

describe('the floor', () => {
  const record = (floor: number, sequence: number, others: [string, string][] = []): Uint8Array => {
    const state = { ok: true, sv: 5, tries: 8 }
    const whole: BootRecord = { a: state, b: state, floor, priority: 'a', sequence, others: new Map(others) }
    return encodeRecord(whole) ?? new Uint8Array()
  }
  const stamp = (floor: number): Uint8Array => encodeStamp({ floor, priority: 'b' }) ?? new Uint8Array()
  const bad = new Uint8Array(slotLimits.recordCopyBytes).fill(7)

  async function floorOf(first: Uint8Array, second: Uint8Array, third: Uint8Array): Promise<string> {
    const work = await mkdtemp(join(room, 'floor-'))
    await writeFile(join(work, '0'), first)
    await writeFile(join(work, '1'), second)
    await writeFile(join(work, '2'), third)
    return shell(`cd ${work}; read_floor 0 1 2; echo $floor`)
  }

  test('is that of the newest copy, or of the stamp when that is higher', async () => {
    expect(await floorOf(record(3, 8), record(4, 7), stamp(0))).toBe('3')
    expect(await floorOf(record(3, 9), record(4, 10), stamp(0))).toBe('4')
    expect(await floorOf(record(3, 9), record(4, 9), stamp(1))).toBe('3')
    expect(await floorOf(record(3, 9), bad, stamp(0x1f))).toBe('31')
    expect(await floorOf(record(slotLimits.numberMax, 9), bad, bad)).toBe('4294967295')
    expect(await floorOf(bad, bad, stamp(2))).toBe('2')
    expect(await floorOf(bad, bad, bad.subarray(0, slotLimits.stampBytes))).toBe('0')
  })

  test('is not taken from the values of other keys', async () => {
    const others: [string, string][] = [
      ['alien', 'x floor=9 * ? [a]'],
      ['floor2', '9'],
      ['zfloor', 'floor=9'],
    ]
    expect(await floorOf(record(3, 8, others), bad, bad)).toBe('3')
  })

  test('is not taken from a copy that no reader believes', async () => {
    const keys = ['a_ok', 'a_sv', 'a_tries', 'b_ok', 'b_sv', 'b_tries', 'floor', 'st_pri', 'st_seq']
    const good = (key: string): string => (key === 'st_pri' ? 'a' : '1')
    for (const wrong of keys) {
      for (const value of [null, '01', '123456789']) {
        const variables = keys.flatMap((key): [string, string][] => {
          if (key !== wrong) return [[key, key === 'floor' || key === 'st_seq' ? '9' : good(key)]]
          return value === null ? [] : [[key, value]]
        })
        const block = encodeEnvironment(new Map(variables), slotLimits.recordCopyBytes) ?? bad
        expect(await floorOf(block, record(2, 1), bad), `${wrong}=${value}`).toBe('2')
      }
    }
  })
})
