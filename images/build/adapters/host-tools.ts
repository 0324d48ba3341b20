/**
 * The system tools that Everboot and its tests call, and the Debian packages they come in.
 * Promise: a missing tool is installed when that is allowed and possible (root on Debian), else named with its
 * package (EB-TOOL-MISSING); nothing else on the machine is changed.
 * Leaves to others: running the tools (run-tool.ts).
 */
import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { raise } from '../../../core/errors.ts'
import { runTool } from './run-tool.ts'

/** The firmware that Debian builds for QEMU's arm64 board. */
export const stockUBoot = '/usr/lib/u-boot/qemu_arm64/u-boot.bin'

const ownPackages = {
  'mkfs.ext4': 'e2fsprogs',
  debugfs: 'e2fsprogs',
  dumpe2fs: 'e2fsprogs',
  e2fsck: 'e2fsprogs',
  mksquashfs: 'squashfs-tools',
  unsquashfs: 'squashfs-tools',
  veritysetup: 'cryptsetup-bin',
  fw_printenv: 'libubootenv-tool',
  losetup: 'mount',
  mount: 'mount',
  umount: 'mount',
  unshare: 'util-linux',
  setpriv: 'util-linux',
  openssl: 'openssl',
  zstd: 'zstd',
  xz: 'xz-utils',
  mcopy: 'mtools',
  mdir: 'mtools',
  'mkfs.vfat': 'dosfstools',
  sfdisk: 'fdisk',
  swapon: 'mount',
  mkswap: 'util-linux',
  ldd: 'libc-bin',
  socat: 'socat',
  chromium: 'chromium',
} as const

/** What building and running the QEMU board takes besides. */
const boardPackages = {
  'apt-get': 'apt',
  'apt-cache': 'apt',
  'dpkg-deb': 'dpkg',
  depmod: 'kmod',
  sgdisk: 'gdisk',
  mkimage: 'u-boot-tools',
  dtc: 'device-tree-compiler',
  fdtput: 'device-tree-compiler',
  fdtget: 'device-tree-compiler',
  npm: 'npm',
  'qemu-system-aarch64': 'qemu-system-arm',
  'qemu-img': 'qemu-utils',
  'qemu-io': 'qemu-utils',
  'qemu-nbd': 'qemu-utils',
  [stockUBoot]: 'u-boot-qemu',
} as const

/** What running the agent on a whole Debian system takes. */
const systemPackages = {
  debootstrap: 'debootstrap',
  dpkg: 'dpkg',
  'systemd-nspawn': 'systemd-container',
  nsenter: 'util-linux',
} as const

/** What makes, decodes and measures real sound for the tests of audio clips. */
const soundPackages = {
  'espeak-ng': 'espeak-ng',
  sox: 'sox',
  soxi: 'sox',
  lame: 'lame',
  ffmpeg: 'ffmpeg',
  ffprobe: 'ffmpeg',
} as const

const packages = { ...ownPackages, ...boardPackages, ...systemPackages, ...soundPackages } as const

export type HostTool = keyof typeof packages
/** Tools of the emulated board, of images and their tests. */
export const hostTools = Object.keys(ownPackages) as readonly HostTool[]
/** Tools and firmware of the QEMU board. A name that is a path is a file to read. */
export const boardTools = Object.keys(boardPackages) as readonly HostTool[]

/** Tools that put the agent on a Debian system, for the tests. */
export const systemTools = Object.keys(systemPackages) as readonly HostTool[]

/** Tools for sound, for the tests. */
export const soundTools = Object.keys(soundPackages) as readonly HostTool[]

/** Where system tools lie besides PATH: users' PATH often lacks them. */
const systemDirectories = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin']

export interface FoundTools {
  /** The file of each tool asked for. */
  path(tool: HostTool): string
  /** Debian packages that were installed for it. */
  readonly installed: readonly string[]
}

/**
 * @param options.install whether missing packages may be installed
 * @param options.directories where to look; default: PATH and the usual places
 * @throws EverbootError EB-TOOL-MISSING naming tool and package
 */
export async function ensureHostTools(
  names: readonly HostTool[],
  options: { readonly install: boolean; readonly directories?: readonly string[] },
): Promise<FoundTools> {
  const directories = options.directories ?? searchPath()
  const found = await findAll(names, directories)
  const wanted = packagesOf(names.filter((it) => !found.has(it)))
  if (wanted.length > 0 && options.install) await installPackages(wanted, directories)
  const all = wanted.length > 0 ? await findAll(names, directories) : found
  const missing = names.filter((it) => !all.has(it))
  const [first] = missing
  if (first !== undefined) {
    const list = packagesOf(missing).join(' ')
    raise('EB-TOOL-MISSING', `${missing.join(', ')} cannot be found; Debian package ${list}`, {
      todo: `install it: apt-get install ${list}`,
    })
  }
  return {
    path: (tool) => all.get(tool) ?? raise('EB-TOOL-MISSING', `${tool} was not asked for`),
    installed: wanted,
  }
}

/** Where a program lies that is used only when it happens to be there; null: it is not. */
export async function findProgram(name: string): Promise<string | null> {
  return find(name, searchPath())
}

function packagesOf(tools: readonly HostTool[]): readonly string[] {
  return [...new Set(tools.map((it) => packages[it]))].sort()
}

function searchPath(): readonly string[] {
  const own = (process.env['PATH'] ?? '').split(delimiter).filter((it) => it.startsWith('/'))
  return [...own, ...systemDirectories]
}

async function findAll(
  names: readonly HostTool[],
  directories: readonly string[],
): Promise<ReadonlyMap<HostTool, string>> {
  const found = new Map<HostTool, string>()
  for (const name of names) {
    const path = await find(name, directories)
    if (path !== null) found.set(name, path)
  }
  return found
}

async function find(name: string, directories: readonly string[]): Promise<string | null> {
  if (name.startsWith('/')) return (await allows(name, constants.R_OK)) ? name : null
  for (const directory of directories) {
    const path = join(directory, name)
    if (await allows(path, constants.X_OK)) return path
  }
  return null
}

async function allows(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  )
}

/** Tries once with the package lists as they are and once with fresh ones. A failure shows in what stays missing. */
async function installPackages(wanted: readonly string[], directories: readonly string[]): Promise<void> {
  const apt = await find('apt-get', directories)
  if (apt === null || process.getuid?.() !== 0) return
  const environment = { DEBIAN_FRONTEND: 'noninteractive' }
  const patience = ['-o', 'DPkg::Lock::Timeout=300']
  const install = ['install', '-y', '--no-install-recommends', ...patience, ...wanted]
  const first = await runTool(apt, install, { environment })
  if (first.status === 0) return
  await runTool(apt, ['update', ...patience], { environment })
  await runTool(apt, install, { environment })
}
