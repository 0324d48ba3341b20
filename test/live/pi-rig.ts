/**
 * A Raspberry Pi for tests: a small root from the package cache, and QEMU's raspi3b with the firmware's part played
 * here: kernel, device tree, initramfs and command line come out of the boot partition that autoboot.txt names, and
 * the device tree gets what the firmware would add.
 * Leaves to others: what a real firmware does besides; QEMU does not run it.
 */
import { execFile, spawn } from 'node:child_process'
import { cp, mkdir, readFile, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { moduleFiles } from '../../images/boards/arm64/adapters/initramfs.ts'
import type { BoardPackages } from '../../images/boards/arm64/adapters/packages.ts'
import type { PiDiskLayout } from '../../images/boards/raspberry-pi/layout.ts'
import { ensureHostTools } from '../../images/build/adapters/host-tools.ts'

const run = promisify(execFile)

/** Why no Pi is played here, or null. */
export async function whyNoPi(): Promise<string | null> {
  const root = process.getuid?.() === 0
  if (!root) return 'files of a root have owners, which only root can keep'
  return ensureHostTools(
    [
      'qemu-system-aarch64',
      'fdtput',
      'mcopy',
      'mdir',
      'mkfs.vfat',
      'sfdisk',
      'apt-get',
      'dpkg-deb',
      'depmod',
      'npm',
    ],
    { install: root },
  ).then(
    () => null,
    (caught: Error) => caught.message,
  )
}

const applets = 'sh cat echo ifconfig mkdir mount reboot sleep umount'
const libraries = [
  'ld-linux-aarch64.so.1',
  'libc.so.6',
  'libm.so.6',
  'libdl.so.2',
  'libpthread.so.0',
  'libgcc_s.so.1',
]

/** A root with nothing but busybox, a kernel with the modules that the initramfs takes, and the agent's libraries. */
export async function makeSmallRoot(
  out: string,
  packages: BoardPackages,
  modules: readonly string[],
): Promise<void> {
  const { root, kernel } = packages
  const take = async (from: string, to = from): Promise<void> => {
    await mkdir(dirname(join(out, to)), { recursive: true })
    await cp(join(root, from), join(out, to), { dereference: true })
  }
  await take('bin/busybox')
  for (const name of applets.split(' ')) await symlink('busybox', join(out, 'bin', name))
  for (const name of libraries) await take(`lib/${name.startsWith('ld-') ? '' : 'aarch64-linux-gnu/'}${name}`)
  await mkdir(join(out, 'sbin'))
  await symlink('../bin/busybox', join(out, 'sbin/init'))
  await take(`boot/vmlinuz-${kernel}`)
  await take(`usr/lib/linux-image-${kernel}/broadcom/bcm2837-rpi-3-b.dtb`)
  const place = `lib/modules/${kernel}`
  for (const name of ['modules.dep', 'modules.builtin']) await take(`${place}/${name}`)
  for (const it of await moduleFiles(join(root, place), modules)) await take(`${place}/${it.path}`)
  await mkdir(join(out, 'etc/everboot'), { recursive: true })
  await writeFile(join(out, 'etc/everboot/agent.json'), JSON.stringify({ rebootDelayMs: 1000 }))
  const agent =
    'NO_COLOR=1 exec /usr/lib/everboot/node /usr/lib/everboot/agent.mjs --config /etc/everboot/agent.json'
  const init = ['::sysinit:/bin/ifconfig lo up', `::respawn:/bin/sh -c "${agent}"`, '']
  await writeFile(join(out, 'etc/inittab'), init.join('\n'))
}

/** Stand-ins: QEMU cannot run the real ones, which are not free software. */
export async function makeFirmware(out: string): Promise<void> {
  await mkdir(out, { recursive: true })
  for (const name of ['bootcode.bin', 'start4.elf', 'fixup4.dat', 'start.elf', 'fixup.dat'])
    await writeFile(join(out, name), `stand-in for ${name}\n`)
}

export interface PiBoot {
  readonly disk: string
  readonly layout: PiDiskLayout
  /** The boot partition that the firmware takes. */
  readonly partition: 2 | 3
  readonly tryboot: boolean
  /** Ends the run as soon as the console matches. */
  readonly until: RegExp
  readonly deadlineMs: number
  /** New directory for what is taken out of the boot partition. */
  readonly work: string
  readonly words?: string
}

/** @returns the console, whether or not `until` came */
export async function bootPi(boot: PiBoot): Promise<string> {
  const { disk, work, partition, layout } = boot
  await mkdir(work)
  const { offset } = layout.partitions[partition === 2 ? 'boot-a' : 'boot-b']
  const names = ['config.txt', 'cmdline.txt', 'vmlinuz', 'initrd.img', 'bcm2837-rpi-3-b.dtb']
  await run('mcopy', ['-i', `${disk}@@${offset}`, ...names.map((it) => `::${it}`), work])
  const at = (name: string): string => join(work, name)
  const tree = at('bcm2837-rpi-3-b.dtb')
  const chosen = '/chosen/bootloader'
  await run('fdtput', ['-p', '-t', 'x', tree, chosen, 'partition', partition.toString(16)])
  await run('fdtput', ['-t', 'x', tree, chosen, 'tryboot', boot.tryboot ? '1' : '0'])
  await run('fdtput', ['-t', 'x', tree, chosen, 'boot-mode', '1'])
  // What the firmware puts for serial0 on a Pi 3; QEMU's hardware watchdog resets as soon as it is armed.
  const line = (await readFile(at('cmdline.txt'), 'utf8')).trim().replace('serial0,115200', 'ttyS1,115200')
  const words = `${line} module_blacklist=bcm2835_wdt ${boot.words ?? ''}`
  // QEMU wants a card whose size is a power of two.
  await truncate(disk, 2 ** Math.ceil(Math.log2((await stat(disk)).size)))
  const machine = ['-M', 'raspi3b', '-display', 'none', '-monitor', 'none', '-no-reboot']
  const child = spawn('setpriv', [
    ...[
      '--pdeathsig',
      'KILL',
      '--',
      'qemu-system-aarch64',
      ...machine,
      '-serial',
      'null',
      '-serial',
      'stdio',
    ],
    ...['-kernel', at('vmlinuz'), '-initrd', at('initrd.img'), '-dtb', tree, '-append', words],
    ...['-drive', `if=sd,format=raw,file=${disk}`],
  ])
  const deadline = setTimeout(() => child.kill('SIGKILL'), boot.deadlineMs)
  let text = ''
  const take = (part: Buffer): void => {
    text += part.toString('latin1')
    if (boot.until.test(text)) child.kill('SIGKILL')
  }
  child.stdout.on('data', take)
  child.stderr.on('data', take)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', () => {
      clearTimeout(deadline)
      resolve(text)
    })
  })
}
