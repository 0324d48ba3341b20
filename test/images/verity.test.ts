/** The verity tree against cryptsetup's own, and slots written whole. */
import { execFileSync } from 'node:child_process'
import { hash, randomBytes } from 'node:crypto'
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ensureHostTools } from '../../images/build/adapters/host-tools.ts'
import { levelBlocks, treeBytes, verityBuilder } from '../../images/release/verity.ts'

const block = 4096
let room = ''
let veritysetup = ''
beforeAll(async () => {
  room = mkdtempSync(join(tmpdir(), 'everboot-verity-'))
  veritysetup = (await ensureHostTools(['veritysetup'], { install: false })).path('veritysetup')
})
afterAll(() => rmSync(room, { recursive: true, force: true }))

const shape = [
  '--no-superblock',
  '--salt=-',
  '--hash=sha256',
  '--data-block-size=4096',
  '--hash-block-size=4096',
]

function build(image: Uint8Array, step: number): { root: string; tree: Uint8Array } {
  const tree = new Uint8Array(treeBytes(image.length))
  const builder = verityBuilder(image.length, (offset, bytes) => tree.set(bytes, offset))
  for (let at = 0; at < image.length; at += step) builder.update(image.subarray(at, at + step))
  return { root: builder.finish(), tree }
}

/** Blocks of data, some of them zero, cheap to make at any size. */
function imageOf(blocks: number, zeroEvery: number): Uint8Array {
  const image = new Uint8Array(blocks * block)
  for (let at = 0; at < blocks; at += 1) {
    if (at % zeroEvery !== 0) image.fill(randomBytes(1)[0] ?? 1, at * block + (at % 64), (at + 1) * block)
  }
  return image
}

test.each([
  [1, 2],
  [2, 3],
  [3, 1],
  [127, 5],
  [128, 2],
  [129, 7],
  [128 * 128 + 1, 11],
])('root and tree of %i blocks equal those of veritysetup', (blocks, zeroEvery) => {
  const image = imageOf(blocks, zeroEvery)
  const { root, tree } = build(image, 256 * block)
  const [data, hashes] = [join(room, `data-${blocks}`), join(room, `hash-${blocks}`)]
  writeFileSync(data, image)
  const said = execFileSync(veritysetup, ['format', ...shape, data, hashes], { encoding: 'utf8' })
  expect(/^Root hash:\s+([0-9a-f]{64})$/m.exec(said)?.[1]).toBe(root)
  expect(readFileSync(hashes).equals(tree)).toBe(true)
  writeFileSync(hashes, tree)
  const verify = (): unknown =>
    execFileSync(veritysetup, ['verify', ...shape, data, hashes, root], { stdio: 'pipe' })
  expect(verify).not.toThrow()
  flipLastByte(data, image)
  expect(verify).toThrow()
})

function flipLastByte(path: string, image: Uint8Array): void {
  const fd = openSync(path, 'r+')
  writeSync(fd, Uint8Array.of((image.at(-1) ?? 0) ^ 1), 0, 1, image.length - 1)
  closeSync(fd)
}

test('an image of one block has no tree, and its root is the hash of the block', () => {
  const image = randomBytes(block)
  expect(build(image, block).root).toBe(hash('sha256', image))
  expect(treeBytes(block)).toBe(0)
})

test('image and tree in one file, as in a slot, are accepted with a hash offset', () => {
  const image = imageOf(300, 4)
  const { root, tree } = build(image, block)
  const slot = join(room, 'slot')
  writeFileSync(slot, Buffer.concat([image, tree]))
  truncateSync(slot, 4 << 20)
  const place = [`--hash-offset=${image.length}`, '--data-blocks=300']
  const args = ['verify', ...shape, ...place, slot, slot, root]
  expect(() => execFileSync(veritysetup, args, { stdio: 'pipe' })).not.toThrow()
})

test('it does not matter how the blocks are handed over', () => {
  const image = imageOf(515, 3)
  const whole = build(image, image.length)
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 515 }), (blocks) => {
      expect(build(image, blocks * block)).toEqual(whole)
    }),
    { numRuns: 20 },
  )
})

test('levels of huge images are computed without overflow', () => {
  const tebi = 1024 ** 4
  expect(levelBlocks(2 ** 31)).toEqual([4096, 32, 1])
  expect(levelBlocks(2 ** 32)).toEqual([8192, 64, 1])
  expect(levelBlocks(2 ** 32 + block)).toEqual([8193, 65, 1])
  expect(levelBlocks(tebi)).toEqual([2_097_152, 16_384, 128, 1])
  expect(treeBytes(tebi)).toBe((2_097_152 + 16_384 + 128 + 1) * block)
})

test('too little, too much or unaligned data is a broken invariant', () => {
  expect(() => verityBuilder(0)).toThrow()
  expect(() => verityBuilder(block + 1)).toThrow()
  const builder = verityBuilder(2 * block)
  expect(() => builder.update(new Uint8Array(100))).toThrow()
  builder.update(new Uint8Array(block))
  expect(() => builder.finish()).toThrow()
})
