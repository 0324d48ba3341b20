/**
 * The root of a release for a Raspberry Pi, from a directory, a tar or a disk image such as Raspberry Pi OS Lite: a
 * copy with agent, Node, settings and units in it.
 * Promise: no mount; the input is only read; owners and modes are kept, so it needs root. What is found on a FAT
 * partition of a disk image serves as firmware.
 * Leaves to others: what a root must hold (root.ts), making the images (release.ts).
 */
import {
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { raise } from '../../../../core/errors.ts'
import { prepareImage } from '../../../build/adapters/image-input.ts'
import { findFat, readPartitions } from '../../../flash/partition-table.ts'
import type { FileSource } from '../../../release/adapters/file-bytes.ts'
import { readExactly } from '../../../release/byte-source.ts'
import { programOutput, tool } from '../../arm64/adapters/disk-file.ts'
import type { BoardPackages } from '../../arm64/adapters/packages.ts'
import { agentBundle } from '../../sim/adapters/agent-bundle.ts'
import { takeFile } from '../../sim/adapters/host-files.ts'
import { checkProcessor, inspectKernel, type KernelFacts, knownPrograms, orderKernels } from '../root.ts'
import { dumpRoot } from './dump-root.ts'

export interface TakenRoot {
  readonly directory: string
  /** Directory with the firmware of a disk image; null when the input had none. */
  readonly firmware: string | null
}

export interface RootKernel extends KernelFacts {
  /** As in /lib/modules/RELEASE. */
  readonly release: string
  readonly file: string
  readonly modules: string
  /** /usr/lib/linux-image-RELEASE of the root, when it is there. */
  readonly deviceTrees: string | null
}

/** @param work empty directory. @throws EverbootError EB-NOT-ROOT, EB-IMAGE, EB-FILE, EB-DISK-FULL */
export async function takeRoot(input: string, work: string, signal: AbortSignal): Promise<TakenRoot> {
  if (process.getuid?.() !== 0) raise('EB-NOT-ROOT', 'files of a root have owners, which only root can keep')
  const directory = join(work, 'root')
  await mkdir(directory)
  const it = await stat(input).catch((cause: Error) =>
    raise('EB-FILE', `${input} cannot be read: ${cause.message}`, { cause }),
  )
  if (it.isDirectory()) {
    await programOutput('cp', ['-a', '--reflink=auto', `${input}/.`, directory])
    return { directory, firmware: null }
  }
  const plan = { filesystem: null, bytes: null, fixed: null, signal, phase: () => {} }
  const { source } = await prepareImage({ ...plan, path: input, workDirectory: work })
  try {
    return { directory, firmware: await unpack(source, directory, join(work, 'firmware')) }
  } finally {
    await source.close()
    await rm(join(work, 'input.img'), { force: true })
  }
}

/** @returns the directory with the firmware, or null */
async function unpack(source: FileSource, directory: string, firmware: string): Promise<string | null> {
  if (await has(source, 257, 'ustar')) {
    const options = ['--numeric-owner', '--xattrs', '--xattrs-include=*', '-xpf']
    await programOutput('tar', [...options, source.name, '-C', directory])
    return null
  }
  const partitions = await readPartitions(source)
  const candidates = partitions.length === 0 ? [0] : partitions.map((it) => it.start)
  for (const start of candidates) {
    // The magic number of ext4's superblock.
    if (!(await has(source, start + 1080, '\x53\xef'))) continue
    await dumpRoot(start === 0 ? source.name : `${source.name}?offset=${start}`, directory)
    const fat = await findFat(source)
    if (fat === null) return null
    await mkdir(firmware)
    await tool('mcopy', ['-s', '-n', '-i', `${source.name}@@${fat.start}`, '::*', firmware])
    return firmware
  }
  return raise('EB-IMAGE', `${source.name} is neither a tar nor an image with an ext4 root`, {
    todo: 'give a root directory, a tar of one, or an image such as Raspberry Pi OS Lite (64 bits)',
  })
}

async function has(source: FileSource, offset: number, text: string): Promise<boolean> {
  if (offset + text.length > source.bytes) return false
  const bytes = new Uint8Array(text.length)
  await readExactly(source, offset, bytes, 'EB-IMAGE')
  return Buffer.from(bytes).toString('latin1') === text
}

/** @throws EverbootError EB-BOARD-ROOT */
export async function inspectRoot(root: string): Promise<RootKernel> {
  const program = await firstOf(root, knownPrograms)
  if (program === null) raise('EB-BOARD-ROOT', 'the root holds no program that is known, such as usr/bin/env')
  const handle = await open(join(root, program), 'r')
  const head = new Uint8Array(20)
  const { bytesRead } = await handle.read(head, 0, head.length, 0)
  await handle.close()
  checkProcessor(head.subarray(0, bytesRead), program)
  if (!(await exists(join(root, 'sbin/init'))) && !(await exists(join(root, 'usr/sbin/init'))))
    raise('EB-BOARD-ROOT', 'the root has no sbin/init', { todo: 'install systemd-sysv or another init' })
  return findKernel(root)
}

async function findKernel(root: string): Promise<RootKernel> {
  const place = (await exists(join(root, 'usr/lib/modules'))) ? 'usr/lib/modules' : 'lib/modules'
  const releases = await readdir(join(root, place)).catch(() => [])
  for (const release of orderKernels(releases)) {
    const file = join(root, `boot/vmlinuz-${release}`)
    if (!(await exists(file))) continue
    const facts = inspectKernel(await readFile(file), `boot/vmlinuz-${release}`)
    const trees = join(root, `usr/lib/linux-image-${release}`)
    const deviceTrees = (await exists(trees)) ? trees : null
    return { ...facts, release, file, modules: join(root, place, release), deviceTrees }
  }
  return raise(
    'EB-BOARD-ROOT',
    'the root has no boot/vmlinuz-RELEASE that goes with its lib/modules/RELEASE',
    {
      todo: 'install linux-image-rpi-v8 (Raspberry Pi OS) or linux-image-arm64 (Debian) in it',
    },
  )
}

/** First of the paths that is a plain file, not a link that might lead out of the root. */
async function firstOf(root: string, paths: readonly string[]): Promise<string | null> {
  for (const path of paths) {
    const it = await lstat(join(root, path)).catch(() => null)
    if (it?.isFile()) return path
  }
  return null
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}

export interface RootAdditions {
  readonly packages: BoardPackages
  readonly agent: 'bundle' | { readonly file: string }
  readonly trust: Uint8Array
  /** Content of /etc/everboot/agent.json. */
  readonly settings: Record<string, unknown>
}

const own = new URL('../files/', import.meta.url)
const units = ['everboot-agent.service', 'everboot-first-boot.service'] as const
const cxx = 'usr/lib/aarch64-linux-gnu/libstdc++.so.6'

/**
 * Puts agent, Node, settings and, where there is systemd, units into the root, and clears what ties it to a disk.
 * Kernel and initramfs go: those that run are on the boot partition.
 */
export async function addEverboot(root: string, it: RootAdditions): Promise<void> {
  const base = 'usr/lib/everboot'
  await takeFile(it.packages.node, root, `/${base}/node`, 0o755, 'copy')
  if (it.agent === 'bundle') await put(root, `${base}/agent.mjs`, await agentBundle())
  else await takeFile(it.agent.file, root, `/${base}/agent.mjs`, 0o644, 'copy')
  await put(root, `${base}/first-boot.mjs`, await readFile(new URL('first-boot.mjs', own)))
  await put(root, 'etc/everboot/trust.json', it.trust)
  await put(root, 'etc/everboot/agent.json', `${JSON.stringify(it.settings, null, 2)}\n`)
  if (!(await exists(join(root, cxx))))
    await takeFile(join(it.packages.root, cxx), root, `/${cxx}`, 0o644, 'copy')
  const boot = await readdir(join(root, 'boot')).catch(() => [])
  for (const name of boot.filter((one) => /^(vmlinuz|initrd)/.test(one))) await rm(join(root, 'boot', name))
  for (const name of ['dev', 'proc', 'sys', 'run', 'tmp', 'data'])
    await mkdir(join(root, name), { recursive: true })
  if ((await firstOf(root, ['usr/lib/systemd/systemd', 'lib/systemd/systemd'])) !== null) await addUnits(root)
}

async function addUnits(root: string): Promise<void> {
  const system = (await isLink(join(root, 'lib'))) ? 'usr/lib/systemd/system' : 'lib/systemd/system'
  for (const name of units) {
    await put(root, `${system}/${name}`, await readFile(new URL(name, own)))
    const wants = join(root, 'etc/systemd/system/multi-user.target.wants')
    await mkdir(wants, { recursive: true })
    await rm(join(wants, name), { force: true })
    await symlink(`/${system}/${name}`, join(wants, name))
  }
  // The root is mounted by the initramfs; partitions of the disk that it came from do not exist.
  await put(
    root,
    'etc/fstab',
    'tmpfs /tmp tmpfs mode=1777 0 0\ntmpfs /var/tmp tmpfs mode=1777 0 0\ntmpfs /var/log tmpfs mode=0755 0 0\ntmpfs /var/lib/systemd tmpfs mode=0755 0 0\n',
  )
  // The watchdog is the agent's.
  await put(root, 'etc/systemd/system.conf.d/everboot.conf', '[Manager]\nRuntimeWatchdogSec=off\n')
  if (await exists(join(root, 'etc/ssh')))
    await put(
      root,
      'etc/ssh/sshd_config.d/everboot.conf',
      'AuthorizedKeysFile .ssh/authorized_keys /run/everboot/authorized_keys\n',
    )
}

async function isLink(path: string): Promise<boolean> {
  return readlink(path).then(
    () => true,
    () => false,
  )
}

/** Settings of the board maker in the root, or null. @throws EverbootError EB-CONFIG */
export async function ownSettings(root: string): Promise<Readonly<Record<string, unknown>> | null> {
  const text = await readFile(join(root, 'etc/everboot/agent.json'), 'utf8').catch(() => null)
  if (text === null) return null
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Readonly<Record<string, unknown>>
  } catch {
    // Said below.
  }
  return raise('EB-CONFIG', '/etc/everboot/agent.json of the root is not a JSON object')
}

async function put(root: string, at: string, content: Uint8Array | string): Promise<void> {
  const to = join(root, at)
  await mkdir(dirname(to), { recursive: true })
  await rm(to, { force: true })
  await writeFile(to, content, { mode: 0o644 })
}
