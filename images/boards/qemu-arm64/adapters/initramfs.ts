/**
 * The initramfs of the QEMU board: busybox, OpenSSL and dmsetup of Debian, the modules for disk, hash tree and
 * watchdog, the publisher's seal keys, and the script that uses them.
 * Promise: the same packages and keys give the same bytes.
 * Leaves to others: the script (files/initramfs.sh), loading it (boot-script.ts).
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { raise } from '../../../../core/errors.ts'
import type { KeyRing } from '../../../../keys/public-key.ts'
import { type CpioEntry, cpio } from '../cpio.ts'
import { earlyModules, loadOrder } from '../modules.ts'
import type { BoardPackages } from './packages.ts'

const files = new URL('../files/', import.meta.url)
/** What the script calls, all of it busybox. */
const applets =
  'sh cat crc32 cut dd echo grep head insmod mkdir mount od printf reboot rm sed sleep switch_root tail tr'
const libraries = [
  ...['lib/ld-linux-aarch64.so.1', 'lib/aarch64-linux-gnu/libc.so.6', 'lib/aarch64-linux-gnu/libm.so.6'],
  ...['lib/aarch64-linux-gnu/libdevmapper.so.1.02.1', 'lib/aarch64-linux-gnu/libselinux.so.1'],
  ...['usr/lib/aarch64-linux-gnu/libudev.so.1', 'usr/lib/aarch64-linux-gnu/libpcre2-8.so.0'],
  ...['usr/lib/aarch64-linux-gnu/libcrypto.so.3', 'usr/lib/aarch64-linux-gnu/libssl.so.3'],
]
/** An Ed25519 SubjectPublicKeyInfo up to its 32 bytes of key (RFC 8410). */
const spkiHead = Buffer.from('302a300506032b6570032100', 'hex')

/** @param sealKeys the keys whose seals it believes */
export async function makeInitramfs(packages: BoardPackages, sealKeys: KeyRing): Promise<Uint8Array> {
  const own = (name: string): Promise<Uint8Array> => readFile(new URL(name, files))
  const theirs = (path: string): Promise<Uint8Array> =>
    readFile(join(packages.root, path)).catch((cause: Error) =>
      raise('EB-FILE', `the package cache lacks ${path}: ${cause.message}`, {
        todo: 'remove the cache directory, it is made again',
        cause,
      }),
    )
  const content: CpioEntry[] = [
    file('init', await own('initramfs.sh'), 0o755),
    file('etc/seal.sh', await own('seal.sh'), 0o644),
    file('bin/busybox', await theirs('bin/busybox'), 0o755),
    ...applets.split(' ').map((it): CpioEntry => ({ path: `bin/${it}`, kind: 'link', to: 'busybox' })),
    file('bin/openssl', await theirs('usr/bin/openssl'), 0o755),
    file('bin/dmsetup', await theirs('sbin/dmsetup'), 0o755),
    { path: 'dev/console', kind: 'character device', major: 5, minor: 1 },
  ]
  for (const path of libraries) {
    content.push(file(`lib/${path.split('/').at(-1)}`, await theirs(path), 0o755))
  }
  for (const [id, key] of sealKeys.keys) {
    content.push(file(`etc/seal-keys/${id}.der`, Buffer.concat([spkiHead, key]), 0o644))
  }
  const modules = await moduleFiles(packages, earlyModules)
  content.push(file('etc/modules', Buffer.from(modules.map((it) => `${it.path}\n`).join('')), 0o644))
  for (const it of modules) content.push(file(`lib/modules/${it.path}`, it.content, 0o644))
  return gzipSync(cpio(withDirectories(content)), { level: 6 })
}

export interface ModuleFile {
  readonly path: string
  readonly content: Uint8Array
}

/** The modules and what they need, in the order of loading. */
export async function moduleFiles(
  packages: BoardPackages,
  wanted: readonly string[],
): Promise<readonly ModuleFile[]> {
  const place = join(packages.root, 'lib/modules', packages.kernel)
  const order = loadOrder(await readFile(join(place, 'modules.dep'), 'utf8'), wanted)
  return Promise.all(order.map(async (path) => ({ path, content: await readFile(join(place, path)) })))
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
