/**
 * An initramfs for arm64 boards: busybox, OpenSSL and dmsetup of Debian, the modules for disk, hash tree and
 * watchdog, the publisher's seal keys, and the board's script that uses them.
 * Promise: the same packages, kernel and keys give the same bytes. Modules are put in unpacked.
 * Leaves to others: the board's script and its modules, loading it.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync, gzipSync, zstdDecompressSync } from 'node:zlib'
import { raise } from '../../../../core/errors.ts'
import type { KeyRing } from '../../../../keys/public-key.ts'
import { expandByXz } from '../../../build/adapters/xz-program.ts'
import { type CpioEntry, cpio } from '../cpio.ts'
import { type KernelLists, loadOrder } from '../modules.ts'
import type { BoardPackages } from './packages.ts'

export interface InitramfsPlan {
  /** Where the programs come from. */
  readonly packages: BoardPackages
  /** `/lib/modules/RELEASE` of the kernel that it goes with. */
  readonly kernelModules: string
  readonly modules: readonly string[]
  /** Process 1. */
  readonly script: Uint8Array
  /** The keys whose seals it believes. */
  readonly sealKeys: KeyRing
  /** Programs of the board, by name below `/bin`. */
  readonly programs?: ReadonlyMap<string, Uint8Array>
  /** Shell functions of the board, by name below `/etc`. */
  readonly functions?: ReadonlyMap<string, Uint8Array>
}

const files = new URL('../files/', import.meta.url)
/** What the scripts call, all of it busybox. */
const applets =
  'sh cat crc32 cut dd echo grep head insmod ln mkdir mount od printf readlink reboot rm sed sleep switch_root tail tr'
const libraries = [
  ...['lib/ld-linux-aarch64.so.1', 'lib/aarch64-linux-gnu/libc.so.6', 'lib/aarch64-linux-gnu/libm.so.6'],
  ...['lib/aarch64-linux-gnu/libdevmapper.so.1.02.1', 'lib/aarch64-linux-gnu/libselinux.so.1'],
  ...['usr/lib/aarch64-linux-gnu/libudev.so.1', 'usr/lib/aarch64-linux-gnu/libpcre2-8.so.0'],
  ...['usr/lib/aarch64-linux-gnu/libcrypto.so.3', 'usr/lib/aarch64-linux-gnu/libssl.so.3'],
]
/** An Ed25519 SubjectPublicKeyInfo up to its 32 bytes of key (RFC 8410). */
const spkiHead = Buffer.from('302a300506032b6570032100', 'hex')

/** @throws EverbootError EB-FILE, EB-IMAGE */
export async function makeInitramfs(plan: InitramfsPlan): Promise<Uint8Array> {
  const own = (name: string): Promise<Uint8Array> => readFile(new URL(name, files))
  const theirs = (path: string): Promise<Uint8Array> =>
    readFile(join(plan.packages.root, path)).catch((cause: Error) =>
      raise('EB-FILE', `the package cache lacks ${path}: ${cause.message}`, {
        todo: 'remove the cache directory, it is made again',
        cause,
      }),
    )
  const content: CpioEntry[] = [
    file('init', plan.script, 0o755),
    file('etc/seal.sh', await own('seal.sh'), 0o644),
    file('etc/slot.sh', await own('slot.sh'), 0o644),
    file('bin/busybox', await theirs('bin/busybox'), 0o755),
    ...applets.split(' ').map((it): CpioEntry => ({ path: `bin/${it}`, kind: 'link', to: 'busybox' })),
    file('bin/openssl', await theirs('usr/bin/openssl'), 0o755),
    file('bin/dmsetup', await theirs('sbin/dmsetup'), 0o755),
    ...[...(plan.programs ?? [])].map(([name, program]) => file(`bin/${name}`, program, 0o755)),
    ...[...(plan.functions ?? [])].map(([name, text]) => file(`etc/${name}`, text, 0o644)),
    { path: 'dev/console', kind: 'character device', major: 5, minor: 1 },
  ]
  for (const path of libraries) {
    content.push(file(`lib/${path.split('/').at(-1)}`, await theirs(path), 0o755))
  }
  for (const [id, key] of plan.sealKeys.keys) {
    content.push(file(`etc/seal-keys/${id}.der`, Buffer.concat([spkiHead, key]), 0o644))
  }
  const modules = await moduleFiles(plan.kernelModules, plan.modules)
  content.push(file('etc/modules', Buffer.from(modules.map((it) => `${it.path}\n`).join('')), 0o644))
  for (const it of modules) content.push(file(`lib/modules/${it.path}`, it.content, 0o644))
  return gzipSync(cpio(withDirectories(content)), { level: 6 })
}

export interface ModuleFile {
  /** Below the directory of the kernel, without what its packing adds. */
  readonly path: string
  readonly content: Uint8Array
}

/** The modules and what they need, in the order of loading. @param place `/lib/modules/RELEASE` */
export async function moduleFiles(place: string, wanted: readonly string[]): Promise<readonly ModuleFile[]> {
  const order = loadOrder(await kernelLists(place), wanted)
  return Promise.all(
    order.map(async (path) => ({
      path: path.replace(/\.(xz|zst|gz)$/, ''),
      content: await unpacked(join(place, path)),
    })),
  )
}

/** @throws EverbootError EB-IMAGE */
export async function kernelLists(place: string): Promise<KernelLists> {
  const list = (name: string): Promise<string> =>
    readFile(join(place, name), 'utf8').catch((cause: Error) =>
      raise('EB-IMAGE', `${place} lacks ${name}: ${cause.message}`, {
        todo: 'run depmod on the root',
        cause,
      }),
    )
  return { dependencies: await list('modules.dep'), builtin: await list('modules.builtin') }
}

/** Busybox hands a module to the kernel as it is, and few kernels unpack it. */
async function unpacked(path: string): Promise<Uint8Array> {
  const packed = await readFile(path)
  if (path.endsWith('.gz')) return gunzipSync(packed)
  if (path.endsWith('.zst')) return zstdDecompressSync(packed)
  if (!path.endsWith('.xz')) return packed
  const parts: Uint8Array[] = []
  const chunks = (async function* () {
    yield packed
  })()
  await expandByXz(chunks, async (it) => void parts.push(it), new AbortController().signal)
  return Buffer.concat(parts)
}

function file(path: string, content: Uint8Array, mode: number): CpioEntry {
  return { path, kind: 'file', mode, content }
}

/** Adds the directories above, and those that are mounted on. */
function withDirectories(content: readonly CpioEntry[]): readonly CpioEntry[] {
  const above = content.flatMap(({ path }) => {
    const parts = path.split('/').slice(0, -1)
    return parts.map((_, index) => parts.slice(0, index + 1).join('/'))
  })
  const all = [...new Set(['dev', 'proc', 'root', 'run', 'sys', ...above])].sort()
  return [...all.map((path): CpioEntry => ({ path, kind: 'directory' })), ...content]
}
