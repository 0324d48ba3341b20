/** Roots as people have them: a directory, a packed tar, a disk image with its firmware; and what the commands refuse. */
import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MiB } from '../../../../core/units.ts'
import { copyInto, tool } from '../../../../images/boards/arm64/adapters/disk-file.ts'
import { readFirmware } from '../../../../images/boards/raspberry-pi/adapters/boot-image.ts'
import { takeRoot } from '../../../../images/boards/raspberry-pi/adapters/root.ts'
import { commands as piCommands } from '../../../../images/boards/raspberry-pi/cli.ts'
import { commands as imageCommands } from '../../../../images/cli.ts'
import { createKeyDirectory } from '../../../../keys/adapters/key-directory.ts'
import { runCommand } from '../../../run-command.ts'

const run = promisify(execFile)
const reason = process.getuid?.() === 0 ? null : 'files of a root have owners, which only root can keep'
if (reason !== null) console.info(`skipped: taking roots: ${reason}`)

describe.skipIf(reason !== null)('a root', () => {
  let room = ''
  const { signal } = new AbortController()
  beforeAll(async () => {
    room = await mkdtemp(join(tmpdir(), 'everboot-take-root-'))
    for (const it of ['root/etc', 'root/usr/bin', 'root/sbin', 'firmware/overlays'])
      await mkdir(join(room, it), { recursive: true })
    await writeFile(join(room, 'root/etc/shadow'), 'secret\n', { mode: 0o640 })
    await run('chown', ['0:42', join(room, 'root/etc/shadow')])
    const program = Buffer.alloc(64)
    program.write('\x7fELF\x02\x01\x01', 'latin1')
    program[18] = 62
    await mkdir(join(room, 'root/tmp'))
    await writeFile(join(room, 'root/etc/large'), Buffer.alloc(3 * MiB, 'x'))
    await chmod(join(room, 'root/tmp'), 0o1777)
    await writeFile(join(room, 'root/usr/bin/env'), program)
    await chmod(join(room, 'root/usr/bin/env'), 0o4755)
    await writeFile(join(room, 'firmware/start4.elf'), 'start\n')
    await writeFile(join(room, 'firmware/overlays/a.dtbo'), 'overlay\n')
    await createKeyDirectory(join(room, 'keys'), [])
  })
  afterAll(() => rm(room, { recursive: true, force: true }))

  async function taken(input: string): Promise<string | null> {
    const work = await mkdtemp(join(room, 'work-'))
    const { directory, firmware } = await takeRoot(input, work, signal)
    const shadow = await stat(join(directory, 'etc/shadow'))
    expect([shadow.uid, shadow.gid, shadow.mode & 0o7777]).toEqual([0, 42, 0o640])
    expect((await stat(join(directory, 'usr/bin/env'))).mode & 0o7777).toBe(0o4755)
    expect((await stat(join(directory, 'tmp'))).mode & 0o7777).toBe(0o1777)
    expect(await readFile(join(directory, 'etc/shadow'), 'utf8')).toBe('secret\n')
    return firmware
  }

  test('is taken from a directory and from a tar, packed or not, with owners and modes', async () => {
    expect(await taken(join(room, 'root'))).toBeNull()
    await run('tar', ['-C', join(room, 'root'), '-cf', join(room, 'plain'), '.'])
    await run('tar', ['-C', join(room, 'root'), '-cJf', join(room, 'packed'), '.'])
    for (const name of ['plain', 'packed']) expect(await taken(join(room, name))).toBeNull()
  })

  test('is taken from a disk image such as Raspberry Pi OS, and the firmware with it', async () => {
    const [disk, fat, root] = ['disk.img', 'fat.img', 'ext4.img'].map((it) => join(room, it)) as [
      string,
      string,
      string,
    ]
    for (const [file, bytes] of [
      [disk, 40 * MiB],
      [fat, 8 * MiB],
    ] as const) {
      await writeFile(file, '')
      await truncate(file, bytes)
    }
    await tool('mkfs.vfat', [fat])
    await tool('mcopy', [
      '-s',
      '-i',
      fat,
      join(room, 'firmware/start4.elf'),
      join(room, 'firmware/overlays'),
      '::',
    ])
    await tool('mkfs.ext4', ['-q', '-F', '-d', join(room, 'root'), root, '16M'])
    const table = 'label: dos\n1 : start=2048, size=16384, type=c\n2 : start=20480, size=32768, type=83\n'
    await tool('sfdisk', ['-q', '--no-reread', '--no-tell-kernel', disk], { input: table })
    await copyInto(disk, 2048 * 512, fat)
    await copyInto(disk, 20480 * 512, root)
    const small = await mkdtemp(join(room, 'small-'))
    await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'small', small])
    const full = takeRoot(disk, small, signal).finally(() => run('umount', ['-l', small]))
    await expect(full).rejects.toMatchObject({ fault: { code: 'EB-DISK-FULL' } })
    const firmware = await taken(disk)
    expect((await readdir(firmware ?? '', { recursive: true })).sort()).toEqual([
      'overlays',
      'overlays/a.dtbo',
      'start4.elf',
    ])
  })

  test('is not taken from something else', async () => {
    const work = await mkdtemp(join(room, 'work-'))
    await writeFile(join(room, 'noise'), Buffer.alloc(2 * MiB, 'x'))
    await expect(takeRoot(join(room, 'noise'), work, signal)).rejects.toMatchObject({
      fault: { code: 'EB-IMAGE' },
    })
    const other = await mkdtemp(join(room, 'work-'))
    await expect(takeRoot(join(room, 'nothing'), other, signal)).rejects.toMatchObject({
      fault: { code: 'EB-FILE' },
    })
  })

  const release = ['--product', 'lamp', '--version', '1', '--security-version', '1']
  const common = (): readonly string[] => [
    '--board',
    'raspberry-pi',
    '--keys',
    join(room, 'keys'),
    '--out',
    join(room, 'out'),
    ...release,
  ]
  const disk = async (...args: readonly string[]): Promise<string | null> =>
    (await runCommand(piCommands, ['image', 'disk', ...common(), ...args])).code
  const build = async (...args: readonly string[]): Promise<string | null> =>
    (await runCommand(imageCommands, ['image', 'build', join(room, 'root'), ...common(), ...args])).code

  test('for another processor is refused by both commands before anything is fetched, and leaves nothing', async () => {
    expect(await disk('--rootfs', join(room, 'root'), '--firmware', join(room, 'firmware'))).toBe(
      'EB-BOARD-ROOT',
    )
    expect(await build('--firmware', join(room, 'firmware'))).toBe('EB-BOARD-ROOT')
    expect((await readdir(room)).filter((it) => it.startsWith('.') || it === 'out')).toEqual([])
  })

  test('and options that do not go together are refused', async () => {
    expect(await disk()).toBe('EB-USAGE')
    expect(await disk('--rootfs', 'x', '--release', 'y')).toBe('EB-USAGE')
    expect(await disk('--release', join(room, 'noise'))).toBe('EB-KEY')
    expect(await disk('--board', 'other')).toBe('EB-USAGE')
    expect(await build('--hardware', 'sim')).toBe('EB-USAGE')
    expect(await build('--kernel-words', 'root=/dev/sda1')).toBe('EB-BOARD-FIRMWARE')
    const sim = [...release, '--keys', 'k', '--out', 'o', '--hardware', 'sim', '--firmware', 'f']
    expect((await runCommand(imageCommands, ['image', 'build', 'x', ...sim])).code).toBe('EB-USAGE')
  })
})

test('firmware without start files is refused before anything is fetched', async () => {
  const room = await mkdtemp(join(tmpdir(), 'everboot-firmware-'))
  try {
    for (const bad of [room, join(room, 'none')])
      await expect(readFirmware(bad)).rejects.toMatchObject({ fault: { code: 'EB-BOARD-FIRMWARE' } })
  } finally {
    await rm(room, { recursive: true })
  }
})
