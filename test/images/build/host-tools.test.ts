/** Missing system tools: installed by apt-get where that works, else named with their package. */
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { faultOf } from '../../../core/errors.ts'
import {
  boardTools,
  ensureHostTools,
  hostTools,
  soundTools,
  stockUBoot,
} from '../../../images/build/adapters/host-tools.ts'
import { runTool } from '../../../images/build/adapters/run-tool.ts'

let room = ''
beforeEach(async () => {
  room = await mkdtemp(join(tmpdir(), 'everboot-tools-'))
})
afterEach(() => rm(room, { recursive: true, force: true }))

const faultIn = (work: Promise<unknown>) =>
  work.then(
    () => null,
    (caught) => faultOf(caught),
  )

async function script(name: string, text: string): Promise<void> {
  await writeFile(join(room, name), `#!/bin/sh\n${text}\n`)
  await chmod(join(room, name), 0o755)
}

test('a missing tool is named with its Debian package', async () => {
  const fault = await faultIn(
    ensureHostTools(['mkfs.ext4', 'debugfs', 'fw_printenv'], { install: false, directories: [room] }),
  )
  expect(fault).toMatchObject({
    code: 'EB-TOOL-MISSING',
    what: 'mkfs.ext4, debugfs, fw_printenv cannot be found; Debian package e2fsprogs libubootenv-tool',
  })
  expect(fault?.todo).toContain('apt-get install e2fsprogs libubootenv-tool')
})

test('tools that are there are found and nothing is installed', async () => {
  await script('apt-get', 'exit 1')
  await script('openssl', '')
  const tools = await ensureHostTools(['openssl'], { install: true, directories: [room] })
  expect(tools.path('openssl')).toBe(join(room, 'openssl'))
  expect(tools.installed).toEqual([])
})

test('a file that cannot be executed is no tool', async () => {
  await writeFile(join(room, 'openssl'), '')
  await chmod(join(room, 'openssl'), 0o644)
  expect((await faultIn(ensureHostTools(['openssl'], { install: false, directories: [room] })))?.code).toBe(
    'EB-TOOL-MISSING',
  )
})

const root = process.getuid?.() === 0
if (!root) console.info('skipped: installing packages needs root')
describe.skipIf(!root)('as root', () => {
  test('a missing tool is installed without questions, after fresh package lists when they are needed', async () => {
    const tool = join(room, 'veritysetup')
    await script(
      'apt-get',
      `echo "$DEBIAN_FRONTEND $*" >> ${room}/log
case "$1" in update) touch ${room}/fresh;; install) [ -e ${room}/fresh ] || exit 100
printf '#!/bin/sh\\n' > ${tool}; chmod 755 ${tool};; esac`,
    )
    const tools = await ensureHostTools(['veritysetup'], { install: true, directories: [room] })
    expect(tools.installed).toEqual(['cryptsetup-bin'])
    expect(tools.path('veritysetup')).toBe(tool)
    const log = (await readFile(join(room, 'log'), 'utf8')).trim().split('\n')
    expect(log.map((it) => it.split(' ').slice(0, 2).join(' '))).toEqual([
      'noninteractive install',
      'noninteractive update',
      'noninteractive install',
    ])
    expect(log[0]).toMatch(/ -y .*cryptsetup-bin$/)
  })

  test('an installation that fails ends with the name of what is missing', async () => {
    await script('apt-get', 'exit 100')
    const fault = await faultIn(ensureHostTools(['zstd'], { install: true, directories: [room] }))
    expect(fault).toMatchObject({
      code: 'EB-TOOL-MISSING',
      what: 'zstd cannot be found; Debian package zstd',
    })
  })
})

test('every tool in the table has a package', () => {
  expect(hostTools.length).toBeGreaterThan(10)
  expect(boardTools.length).toBeGreaterThan(5)
  expect(soundTools).toContain('ffmpeg')
  for (const tool of [...boardTools, ...soundTools]) expect(hostTools).not.toContain(tool)
})

test('firmware is a file to read, wherever programs lie', async () => {
  const found = await ensureHostTools([stockUBoot], { install: false, directories: [room] }).catch(faultOf)
  if ('path' in found) expect(found.path(stockUBoot)).toBe(stockUBoot)
  else expect(found.todo).toContain('apt-get install u-boot-qemu')
})

test('a tool is run with its input, in the C locale, and its end is told', async () => {
  const done = await runTool('/bin/sh', ['-c', 'cat; echo "$LC_ALL" >&2; exit 3'], { input: 'text' })
  expect(done).toEqual({ status: 3, output: 'text', errors: 'C\n' })
})

test('of endless output the end is kept', async () => {
  const done = await runTool('/bin/sh', ['-c', 'yes | head -c 3000000; echo end'], {})
  expect(done.output.length).toBeLessThanOrEqual(64 * 1024)
  expect(done.output.endsWith('y\nend\n')).toBe(true)
})

test('an aborted tool is killed and a missing one is coded', async () => {
  const stopping = new AbortController()
  const work = faultIn(runTool('/bin/sleep', ['60'], { signal: stopping.signal }))
  stopping.abort()
  expect((await work)?.code).toBe('EB-CANCELLED')
  expect((await faultIn(runTool(join(room, 'none'), [])))?.code).toBe('EB-TOOL-MISSING')
})
