/** The `image` commands on real files: build from every input, inspect, verify, and every refusal. */

import { randomBytes } from 'node:crypto'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { zipSync } from 'fflate'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { seededRandom } from '../../core/prng.ts'
import { commands } from '../../images/cli.ts'
import { createKeyDirectory } from '../../keys/adapters/key-directory.ts'
import { type CommandOutcome, runCommand } from '../run-command.ts'
import { flipped } from './releases.ts'

let room = ''
let keys = ''
let trust = ''
const raw = Buffer.concat([randomBytes(20_000), Buffer.alloc(50_000), randomBytes(5001)])

beforeAll(async () => {
  room = await mkdtemp(join(tmpdir(), 'everboot-image-'))
  keys = join(room, 'keys')
  trust = join(keys, 'trust.json')
  await createKeyDirectory(keys, ['dev-1', 'dev-2'])
  await createKeyDirectory(join(room, 'other-keys'), ['dev-1'])
  await writeFile(join(room, 'raw.img'), raw)
  const tree = join(room, 'tree')
  await mkdir(join(tree, 'etc'), { recursive: true })
  await writeFile(join(tree, 'etc', 'os-release'), 'ID=demo\n')
  await writeFile(join(tree, 'program'), randomBytes(50_000))
  await symlink('program', join(tree, 'link'))
})
afterAll(() => rm(room, { recursive: true, force: true }))

const label = ['--product', 'demo', '--version', '1.0', '--security-version', '1', '--hardware', 'sim']
const at = (name: string): string => join(room, name)

function build(input: string, out: string, ...more: string[]): Promise<CommandOutcome> {
  const args = ['image', 'build', at(input), '--out', at(out), '--keys', keys, ...label, ...more]
  return runCommand(commands, args)
}
const verify = (file: string, ...more: string[]): Promise<CommandOutcome> =>
  runCommand(commands, ['image', 'verify', at(file), '--trust', trust, ...more])
const inspect = (...args: string[]): Promise<CommandOutcome> =>
  runCommand(commands, ['image', 'inspect', ...args])

test('a release is built from a directory, inspected and verified, and the output fits 80 columns', async () => {
  const built = await build('tree', 'dir.ebr')
  expect(built.status).toBe(0)
  expect(built.out).toMatch(/^release {2}demo-1.0-[0-9a-f]{12}$/m)
  const closed = await verify('dir.ebr')
  expect(closed.out).toContain('give --keys')
  const open = await verify('dir.ebr', '--keys', keys, '--device', 'dev-2')
  expect(open.out).toMatch(/ok {2}images to the verity root/)
  const shown = await inspect(at('dir.ebr'), '--keys', keys)
  expect(shown.out).toContain('signature: good')
  for (const { out } of [built, closed, open, shown]) {
    for (const line of out.replaceAll(room, '').split('\n')) expect(line.length, line).toBeLessThanOrEqual(80)
  }
  expect((await readdir(room)).filter((it) => it.startsWith('.everboot') || it.includes('partial'))).toEqual(
    [],
  )
})

test('raw, .gz, .zst and .zip of one image give the same image', async () => {
  await writeFile(at('i.gz'), gzipSync(raw))
  await writeFile(at('i.zst'), zstdCompressSync(raw))
  await writeFile(at('i.zip'), zipSync({ 'i.img': raw }))
  const roots = new Set<string>()
  for (const input of ['raw.img', 'i.gz', 'i.zst', 'i.zip']) {
    const built = await build(input, `${input}.ebr`, '--json', '--piece-bytes', '4096')
    const { images, form } = JSON.parse(built.out) as {
      images: { bytes: number; verityRoot: string }[]
      form: string
    }
    expect(images[0]?.bytes).toBe(raw.length)
    expect(form).toBe(input === 'raw.img' ? 'raw' : input.slice(2))
    roots.add(images[0]?.verityRoot ?? '')
    expect((await verify(`${input}.ebr`, '--keys', keys)).status).toBe(0)
  }
  expect(roots.size).toBe(1)
})

test('reproducible builds of every input and profile are the same to the last byte', async () => {
  await cp(at('tree'), at('copy'), { recursive: true, verbatimSymlinks: true })
  await writeFile(at('same.img'), raw)
  const pairs: readonly (readonly [string, string, ...string[]])[] = [
    ['tree', 'copy'],
    ['tree', 'copy', '--filesystem', 'squashfs'],
    ['raw.img', 'same.img', '--profile', 'kindle'],
    ['raw.img', 'same.img', '--suite', 'aes-256-gcm', '--level', '12'],
  ]
  const ids = new Set<string>()
  for (const [one, two, ...more] of pairs) {
    await build(one, 'one.ebr', '--reproducible', 'seed', ...more)
    await build(two, 'two.ebr', '--reproducible', 'seed', ...more)
    expect((await readFile(at('one.ebr'))).equals(await readFile(at('two.ebr'))), more.join(' ')).toBe(true)
    ids.add(
      (JSON.parse((await inspect(at('one.ebr'), '--json')).out) as { manifest: { id: string } }).manifest.id,
    )
    await build(two, 'two.ebr', '--reproducible', 'another seed', ...more)
    expect((await readFile(at('one.ebr'))).equals(await readFile(at('two.ebr')))).toBe(false)
  }
  expect(ids.size).toBe(pairs.length)
})

test('two builds without a seed share neither id nor a single piece', async () => {
  await build('raw.img', 'one.ebr')
  await build('raw.img', 'two.ebr')
  const [one, two] = [await readFile(at('one.ebr')), await readFile(at('two.ebr'))]
  expect(one.subarray(-200_000, -1).equals(two.subarray(-200_000, -1))).toBe(false)
})

test('image verify refuses each of 1,000 random single-bit flips', { timeout: 120_000 }, async () => {
  for (const profile of ['standard', 'kindle']) {
    await build(
      'raw.img',
      'good.ebr',
      '--profile',
      profile,
      ...(profile === 'standard' ? ['--piece-bytes', '4096'] : []),
    )
    const good = await readFile(at('good.ebr'))
    expect((await verify('good.ebr', '--keys', keys)).status).toBe(0)
    const random = seededRandom(20_260_101)
    for (let round = 0; round < 500; round += 1) {
      const bit = random.below(good.length * 8)
      await writeFile(at('flipped.ebr'), flipped(good, bit))
      const outcome = await verify('flipped.ebr', ...(round % 2 === 0 ? ['--keys', keys] : []))
      expect(outcome.status, `bit ${bit} of ${profile}`).toBe(3)
      expect(outcome.out).toBe('')
    }
  }
})

test('image verify refuses truncated and extended files', async () => {
  await build('raw.img', 'good.ebr')
  const good = await readFile(at('good.ebr'))
  for (const length of [0, 1, 15, 16, 79, 80, 81, good.length >> 1, good.length - 1]) {
    await writeFile(at('cut.ebr'), good.subarray(0, length))
    expect((await verify('cut.ebr')).code, `${length} bytes`).toBe('EB-CONTAINER')
  }
  for (const more of [Buffer.alloc(1), Buffer.alloc(4096), good]) {
    await writeFile(at('long.ebr'), Buffer.concat([good, more]))
    expect((await verify('long.ebr')).code).toBe('EB-CONTAINER')
  }
})

test('image verify refuses foreign keys and devices', async () => {
  await build('raw.img', 'good.ebr', '--device', 'dev-1')
  const other = join(room, 'other-keys')
  expect(
    (await runCommand(commands, ['image', 'verify', at('good.ebr'), '--trust', join(other, 'trust.json')]))
      .code,
  ).toBe('EB-UNKNOWN-KEY')
  expect((await verify('good.ebr', '--keys', keys, '--device', 'dev-2')).code).toBe('EB-WRONG-DEVICE')
  expect((await verify('good.ebr', '--keys', other)).code).toBe('EB-WRONG-DEVICE')
  expect((await verify('good.ebr', '--keys', keys, '--device', 'dev-9')).code).toBe('EB-WRONG-DEVICE')
  expect((await verify('good.ebr', '--device', 'dev-1')).code).toBe('EB-USAGE')
  expect((await verify('none.ebr')).code).toBe('EB-FILE')
  expect((await runCommand(commands, ['image', 'verify', at('good.ebr')])).code).toBe('EB-USAGE')
  expect((await runCommand(commands, ['image', 'verify', at('good.ebr'), '--trust', at('none')])).code).toBe(
    'EB-KEY',
  )
  expect((await verify('good.ebr', '--json')).out).toMatch(/^\{"ok":true,/)
})

test('without devices the file carries no wraps, and the static files are the same as its parts', async () => {
  await createKeyDirectory(at('no-devices'), [])
  const built = await runCommand(commands, [
    ...['image', 'build', at('raw.img'), '--out', at('bare.ebr'), '--keys', at('no-devices'), ...label],
    ...['--release-dir', at('blobs'), '--json'],
  ])
  const { release, directory } = JSON.parse(built.out) as { release: string; directory: string }
  expect(directory).toBe(join(at('blobs'), release))
  expect((await readdir(directory)).sort()).toEqual(['manifest.json', 'rootfs.blob', 'rootfs.index'])
  const parts = await Promise.all(
    ['manifest.json', 'rootfs.index', 'rootfs.blob'].map((it) => readFile(join(directory, it))),
  )
  const file = await readFile(at('bare.ebr'))
  expect(file.subarray(16 + 3 * 16).equals(Buffer.concat(parts))).toBe(true)
})

test('inspect shows one release, every piece of it, and the difference of two', async () => {
  await build('raw.img', 'one.ebr', '--piece-bytes', '8192')
  const changed = Buffer.from(raw)
  changed[60_000] = 1
  await writeFile(at('changed.img'), changed)
  await runCommand(commands, [
    ...['image', 'build', at('changed.img'), '--out', at('two.ebr'), '--keys', keys, '--product', 'demo'],
    ...['--version', '1.1', '--security-version', '2', '--floor-after-commit', '2', '--hardware', 'sim'],
    ...['--hardware', 'rev-b', '--piece-bytes', '8192'],
  ])
  expect((await inspect(at('one.ebr'))).out).toContain('NOT CHECKED')
  expect((await inspect(at('one.ebr'), '--trust', trust)).out).toContain('signature: good')
  const pieces = await inspect(at('one.ebr'), '--keys', keys, '--pieces')
  expect(pieces.out.match(/^ +\d+ +\d+ {2}(stored|zstd|zero)/gm)?.length).toBe(10)
  const json = JSON.parse((await inspect(at('one.ebr'), '--keys', keys, '--pieces', '--json')).out) as {
    pieces: { rootfs: { kind: string; rawSha256: string }[] }
    signatureChecked: boolean
  }
  expect(json.signatureChecked).toBe(true)
  expect(json.pieces.rootfs.filter((it) => it.kind === 'zero').length).toBeGreaterThan(3)
  const difference = await inspect(at('one.ebr'), at('two.ebr'), '--keys', keys)
  expect(difference.out).toMatch(/^version\n {2}- 1.0\n {2}\+ 1.1$/m)
  expect(difference.out).toContain('  + sim rev-b')
  expect(difference.out).toContain('pieces of rootfs: 9 of 10 the same, 1 changed')
  expect((await inspect(at('one.ebr'), at('one.ebr'))).out).toContain('no difference')
  const both = JSON.parse((await inspect(at('one.ebr'), at('two.ebr'), '--json')).out) as {
    differences: unknown[]
  }
  expect(both.differences.length).toBeGreaterThan(3)
  expect((await inspect(at('one.ebr'), '--pieces')).code).toBe('EB-USAGE')
  expect((await inspect(at('raw.img'))).code).toBe('EB-CONTAINER')
})

test.each<[string, string[], string]>([
  ['no version', ['--product', 'demo', '--security-version', '1', '--hardware', 'sim'], 'EB-USAGE'],
  ['no hardware', label.slice(0, 6), 'EB-USAGE'],
  ['security version 0', [...label, '--security-version', '0'], 'EB-USAGE'],
  ['a floor that is no number', [...label, '--floor-after-commit', 'x'], 'EB-USAGE'],
  ['a product with a slash', [...label, '--product', 'a/b'], 'EB-USAGE'],
  ['a version of 32 characters', [...label, '--version', 'x'.repeat(32)], 'EB-USAGE'],
  ['a hardware id with a space', [...label, '--hardware', 'a b'], 'EB-USAGE'],
  ['an unknown profile', [...label, '--profile', 'x'], 'EB-USAGE'],
  ['CBC in the standard profile', [...label, '--suite', 'aes-256-cbc'], 'EB-USAGE'],
  ['an AEAD in the kindle profile', [...label, '--suite', 'aes-256-gcm', '--profile', 'kindle'], 'EB-USAGE'],
  ['pieces of 5000 bytes', [...label, '--piece-bytes', '5000'], 'EB-USAGE'],
  ['kindle pieces of 4096 bytes', [...label, '--profile', 'kindle', '--piece-bytes', '4096'], 'EB-USAGE'],
  ['level 20', [...label, '--level', '20'], 'EB-USAGE'],
  ['an empty seed', [...label, '--reproducible', ''], 'EB-USAGE'],
  ['a filesystem for an image', [...label, '--filesystem', 'ext4'], 'EB-USAGE'],
  ['an unknown device', [...label, '--device', 'dev-9'], 'EB-KEY'],
  ['an unknown option', [...label, '--frobnicate'], 'EB-USAGE'],
])('a build with %s is refused and leaves nothing behind', async (_, args, code) => {
  const before = (await readdir(room)).sort()
  const outcome = await runCommand(commands, [
    'image',
    'build',
    at('raw.img'),
    '--out',
    at('bad.ebr'),
    '--keys',
    keys,
    ...args,
  ]).catch((caught: Error) => caught.message)
  expect(typeof outcome === 'string' ? outcome : outcome.code).toBe(code)
  expect((await readdir(room)).sort()).toEqual(before)
})

test('an empty or missing input, missing keys and an unwritable place are coded and leave nothing behind', async () => {
  await writeFile(at('empty.img'), '')
  const before = (await readdir(room)).sort()
  expect((await build('empty.img', 'bad.ebr')).code).toBe('EB-IMAGE')
  expect((await build('none.img', 'bad.ebr')).code).toBe('EB-FILE')
  expect((await build('raw.img', 'raw.img/bad.ebr')).code).toBe('EB-FILE')
  const noKeys = ['image', 'build', at('raw.img'), '--out', at('bad.ebr'), '--keys', at('nowhere'), ...label]
  expect((await runCommand(commands, noKeys)).code).toBe('EB-KEY')
  expect((await readdir(room)).sort()).toEqual(before)
})

test('an image that ends in the middle of a block is padded with zeros, not with what was there', async () => {
  await writeFile(at('short.img'), Buffer.alloc(4096 + 1, 0xff))
  await build('short.img', 'short.ebr', '--json')
  await truncate(at('short.img'), 8192)
  const padded = await build('short.img', 'padded.ebr', '--json')
  const rootOf = (text: string): string =>
    (JSON.parse(text) as { images: { verityRoot: string }[] }).images[0]?.verityRoot ?? ''
  expect(rootOf((await build('short.img', 'again.ebr', '--json')).out)).toBe(rootOf(padded.out))
  const short = JSON.parse((await inspect(at('short.ebr'), '--json')).out) as {
    manifest: { images: { verityRoot: string }[] }
  }
  expect(short.manifest.images[0]?.verityRoot).toBe(rootOf(padded.out))
})
