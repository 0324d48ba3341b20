/** Images from directories by the real tools: content, determinism, sizes, what goes wrong. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmod,
  cp,
  link,
  mkdir,
  mkdtemp,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { faultOf } from '../../../core/errors.ts'
import { type FilesystemPlan, makeFilesystem } from '../../../images/build/adapters/filesystem-image.ts'
import { ensureHostTools, type FoundTools } from '../../../images/build/adapters/host-tools.ts'
import { becomeNobody } from '../../nobody.ts'

const modulePath = new URL('../../../images/build/adapters/filesystem-image.ts', import.meta.url).pathname
let room = ''
let tree = ''
let tools: FoundTools
beforeEach(async () => {
  room = await mkdtemp(join(tmpdir(), 'everboot-fs-'))
  tree = join(room, 'tree')
  tools = await ensureHostTools(['debugfs', 'e2fsck', 'unsquashfs'], { install: false })
  await mkdir(join(tree, 'usr', 'bin'), { recursive: true })
  await writeFile(join(tree, 'usr', 'bin', 'program'), Buffer.alloc(300_000, 'program '))
  await writeFile(join(tree, 'etc with a space'), 'text')
  await writeFile(join(tree, 'ünï"\\code'), 'text')
  await chmod(join(tree, 'usr', 'bin', 'program'), 0o4755)
  await symlink('../bin/program', join(tree, 'usr', 'link'))
  await link(join(tree, 'etc with a space'), join(tree, 'hard'))
})
afterEach(() => rm(room, { recursive: true, force: true }))

const uuid = '0ddba11c-0ffe-4bad-8bad-c0ffee000000'
const fixed = { uuid, epochSeconds: 1_577_836_800 }
const signal = new AbortController().signal
const plan = (change: Partial<FilesystemPlan>): FilesystemPlan => ({
  directory: tree,
  kind: 'ext4',
  bytes: null,
  fixed: null,
  signal,
  ...change,
})
const sha = async (path: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
const debugfs = (image: string, command: string): string =>
  execFileSync(tools.path('debugfs'), ['-R', command, image], {
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'pipe'],
  })
const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (caught) => faultOf(caught).code,
  )

test.each([[null], [fixed]])(
  'an ext4 holds the tree, is clean, has 4 KiB blocks and no journal (%j)',
  async (it) => {
    const out = join(room, 'image')
    await makeFilesystem(plan({ fixed: it }), out)
    expect(() => execFileSync(tools.path('e2fsck'), ['-fn', out], { stdio: 'pipe' })).not.toThrow()
    const super_ = debugfs(out, 'stats -h')
    expect(super_).toMatch(/Block size:\s+4096/)
    expect(super_).not.toMatch(/has_journal|orphan_file|metadata_csum_seed/)
    expect(debugfs(out, 'cat /usr/bin/program')).toBe('program '.repeat(37_500))
    expect(debugfs(out, 'stat /usr/bin/program')).toMatch(/Mode:\s+04755/)
    expect(debugfs(out, 'stat /usr/link')).toContain('../bin/program')
    expect(debugfs(out, 'stat "/etc with a space"')).toMatch(/Links: 2/)
    expect(debugfs(out, 'ls -p /')).toContain('ünï"\\code')
    expect((await stat(out)).size % 4096).toBe(0)
  },
)

/** The same content put there in another order and at another time. */
async function copyInAnotherOrder(to: string): Promise<void> {
  await mkdir(to)
  const later = new Date('2024-05-06T07:08:09Z')
  await writeFile(join(to, 'ünï"\\code'), 'text')
  await writeFile(join(to, 'hard'), 'text')
  await link(join(to, 'hard'), join(to, 'etc with a space'))
  await cp(join(tree, 'usr'), join(to, 'usr'), { recursive: true, verbatimSymlinks: true })
  await chmod(join(to, 'usr', 'bin', 'program'), 0o4755)
  for (const it of ['hard', 'usr/bin/program', 'usr', '.']) await utimes(join(to, it), later, later)
}

test.each(['ext4', 'squashfs'] as const)('a reproducible %s depends on the content alone', async (kind) => {
  const [one, two] = [join(room, 'one'), join(room, 'two')]
  await makeFilesystem(plan({ kind, fixed }), one)
  const other = join(room, 'copy')
  await copyInAnotherOrder(other)
  await makeFilesystem(plan({ kind, fixed, directory: other }), two)
  expect(await sha(one)).toBe(await sha(two))
  await writeFile(join(other, 'hard'), 'texu')
  await makeFilesystem(plan({ kind, fixed, directory: other }), two)
  expect(await sha(one)).not.toBe(await sha(two))
})

test('all times in a reproducible ext4 are the fixed one', async () => {
  const out = join(room, 'image')
  await makeFilesystem(plan({ fixed }), out)
  for (const path of ['/', '/lost+found', '/usr', '/usr/bin/program', '/usr/link']) {
    const times = [...debugfs(out, `stat ${path}`).matchAll(/([acm]|cr)time: 0x([0-9a-f]+)/g)]
    expect(
      times.map(([, , hex = '']) => Number.parseInt(hex, 16)),
      path,
    ).toEqual(Array(4).fill(fixed.epochSeconds))
  }
})

test('a squashfs holds the tree', async () => {
  const out = join(room, 'image')
  await makeFilesystem(plan({ kind: 'squashfs' }), out)
  execFileSync(tools.path('unsquashfs'), ['-d', join(room, 'unpacked'), out], { stdio: 'pipe' })
  expect(await sha(join(room, 'unpacked', 'usr', 'bin', 'program'))).toBe(
    await sha(join(tree, 'usr', 'bin', 'program')),
  )
  expect((await stat(out)).size % 4096).toBe(0)
})

test('the size is what was asked for, and too small a one is refused', async () => {
  const out = join(room, 'image')
  await makeFilesystem(plan({ bytes: 16 << 20 }), out)
  expect((await stat(out)).size).toBe(16 << 20)
  await writeFile(join(tree, 'large'), Buffer.alloc(4 << 20, 1))
  expect(await codeOf(makeFilesystem(plan({ bytes: 2 << 20 }), out))).toBe('EB-IMAGE')
})

test('thousands of small files and a large sparse one fit the size that is chosen', async () => {
  const many = join(tree, 'many')
  await mkdir(many)
  await Promise.all(Array.from({ length: 3000 }, (_, at) => writeFile(join(many, `file-${at}`), `${at}`)))
  await writeFile(join(tree, 'sparse'), 'x')
  await truncate(join(tree, 'sparse'), 1 << 30)
  const out = join(room, 'image')
  await makeFilesystem(plan({ fixed }), out)
  expect((await stat(out)).size).toBeLessThan(64 << 20)
  expect(debugfs(out, 'cat /many/file-2999')).toBe('2999')
  expect(debugfs(out, 'stat /sparse')).toMatch(/Size: 1073741824/)
  expect(() => execFileSync(tools.path('e2fsck'), ['-fn', out], { stdio: 'pipe' })).not.toThrow()
})

test('a directory that does not exist is a coded error', async () => {
  expect(
    await codeOf(makeFilesystem(plan({ kind: 'squashfs', directory: join(room, 'none') }), join(room, 'o'))),
  ).toBe('EB-IMAGE')
})

const root = process.getuid?.() === 0
if (!root) console.info('skipped: becoming another user needs root')
test.skipIf(!root)('made by a user who is not root, every file in the image belongs to root', async () => {
  const nobody = await becomeNobody()
  const code = `
    const { makeFilesystem } = await import(${JSON.stringify(nobody.path(modulePath))})
    const [, directory, kind, out] = process.argv
    const signal = new AbortController().signal
    await makeFilesystem({ directory, kind, bytes: null, fixed: null, signal }, out)`
  await chmod(room, 0o777)
  await mkdir(join(room, 'out'))
  await chmod(join(room, 'out'), 0o777)
  execFileSync('chown', ['-R', '65534:65534', tree])
  for (const kind of ['ext4', 'squashfs']) {
    const out = join(room, 'out', kind)
    const argv = [...nobody.words, nobody.path(process.execPath), '--input-type=module', '-e', code]
    const [file = '', ...args] = argv
    execFileSync(file, [...args, tree, kind, out], { stdio: 'pipe' })
  }
  await nobody.remove()
  for (const path of ['/', '/usr', '/usr/bin/program', '/usr/link', '/lost+found']) {
    expect(debugfs(join(room, 'out', 'ext4'), `stat ${path}`), path).toMatch(/User:\s+0\s+Group:\s+0\s/)
  }
  const list = execFileSync(tools.path('unsquashfs'), ['-lln', join(room, 'out', 'squashfs')], {
    encoding: 'utf8',
  })
  const owners = list
    .split('\n')
    .filter((it) => /^[-dl]/.test(it))
    .map((it) => it.split(/\s+/)[1])
  expect(new Set(owners)).toEqual(new Set(['0/0']))
})
