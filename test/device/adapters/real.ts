/**
 * Real things for the tests of the adapters: temporary directories, loop devices, small file systems, TLS.
 * Promise: what a test makes is gone after it.
 */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { faultOf } from '../../../core/errors.ts'
import { type Identity, makeAuthority, makeServerCertificate } from '../../../hub/tls/adapters/certificate.ts'

/** Why tests that need root, loop devices and mounts cannot run here, or null. */
export const noRoot: string | null =
  process.getuid?.() !== 0 ? 'needs root' : existsSync('/dev/loop-control') ? null : 'needs loop devices'

export interface Workshop {
  readonly directory: string
  path(name: string): string
  /** A file of zeros. */
  file(name: string, bytes: number): string
  /** A loop device over a file. */
  loop(file: string, ...options: string[]): string
  /** Mounts; the mount point is made. */
  mount(name: string, ...args: string[]): string
  tool(program: string, ...args: string[]): string
  /** Undoes all of it. */
  close(): void
}

export function workshop(): Workshop {
  const directory = mkdtempSync(join(tmpdir(), 'everboot-device-'))
  const undo: (() => void)[] = []
  const tool = (program: string, ...args: string[]): string =>
    execFileSync(program, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` },
    }).trim()
  const path = (name: string): string => join(directory, name)
  return {
    directory,
    path,
    tool,
    file(name, bytes) {
      writeFileSync(path(name), '')
      truncateSync(path(name), bytes)
      return path(name)
    },
    loop(file, ...options) {
      const device = tool('losetup', '-f', '--show', ...options, file)
      undo.push(() => void tool('losetup', '-d', device))
      return device
    },
    mount(name, ...args) {
      tool('mkdir', path(name))
      tool('mount', ...args, path(name))
      undo.push(() => void tool('umount', '-l', path(name)))
      return path(name)
    },
    close() {
      for (const it of undo.reverse()) it()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** The code with which a call is refused. */
export async function codeOf(work: () => unknown): Promise<string> {
  try {
    await work()
    return 'done'
  } catch (caught) {
    return faultOf(caught).code
  }
}

export interface TestTls {
  /** PEM of the CA. */
  readonly ca: string
  readonly server: Identity
}

/** A CA and a server certificate for localhost. */
export function testTls(): TestTls {
  const day = 86_400_000
  const validity = { fromMs: Date.now() - day, untilMs: Date.now() + day }
  const authority = makeAuthority(validity, randomBytes(16))
  const server = makeServerCertificate(authority, ['localhost', '127.0.0.1'], validity, randomBytes(16))
  return { ca: authority.cert, server }
}
