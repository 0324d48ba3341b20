/**
 * What runs in a boot, seen from outside: agent and service, and which file they really execute.
 * Promise: the executable is looked at through `/proc/PID/exe`, the file that the kernel runs, not by name.
 * Source: proc(5).
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, readFile, readlink, stat } from 'node:fs/promises'
import { sep } from 'node:path'
import { boardLimits } from '../../core/limits.ts'

export const programs = ['agent', 'service'] as const
export type Program = (typeof programs)[number]

export interface ProcessFacts {
  readonly pid: number
  /** Link of `/proc/PID/exe`. */
  readonly executable: string
  /** Device number of the executable, `major:minor`. */
  readonly device: string
  readonly sha256: string
  /** The executable lies on the mounted slot, or in the directory the slot is unpacked into. */
  readonly inSlot: boolean
}

/** @returns the process of that program below process `root`, or null. */
export async function findProgram(root: number, program: Program): Promise<number | null> {
  for (const pid of await descendants(root)) {
    const argv = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    if (argv.split('\0').some((it) => it.endsWith(`/usr/lib/everboot/${program}.mjs`))) return pid
  }
  return null
}

/** @param slotRoot where the slot is mounted or unpacked. @returns null when the process has ended. */
export async function factsOf(
  pid: number,
  slotRoot: string,
  mounted: boolean,
  hashes: ExecutableHashes,
): Promise<ProcessFacts | null> {
  try {
    const link = `/proc/${pid}/exe`
    const executable = await readlink(link)
    const it = await stat(link)
    const inSlot = mounted
      ? it.dev === (await stat(slotRoot)).dev
      : executable.startsWith(`${slotRoot}${sep}`)
    const sha256 = await hashes.of(link, `${it.dev}:${it.ino}:${it.mtimeMs}`)
    return { pid, executable, device: deviceText(it.dev), sha256, inSlot }
  } catch (caught) {
    if (['ENOENT', 'ESRCH'].includes((caught as NodeJS.ErrnoException).code ?? '')) return null
    throw caught
  }
}

/** Remembers the hash of the last files, since agent and service run the same one. */
export class ExecutableHashes {
  readonly #known = new Map<string, string>()

  async of(path: string, identity: string): Promise<string> {
    const known = this.#known.get(identity)
    if (known !== undefined) return known
    const hash = createHash('sha256')
    for await (const part of createReadStream(path)) hash.update(part as Buffer)
    const sha256 = hash.digest('hex')
    if (this.#known.size >= boardLimits.hashesKept) this.#known.clear()
    this.#known.set(identity, sha256)
    return sha256
  }
}

/** Children first found first; a process that comes or goes meanwhile may be missed. */
async function descendants(root: number): Promise<readonly number[]> {
  const children = new Map<number, number[]>()
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const parent = await parentOf(Number(name))
    if (parent !== null) children.set(parent, [...(children.get(parent) ?? []), Number(name)])
  }
  const found = [root]
  for (const pid of found) {
    if (found.length > boardLimits.processesMax) break
    found.push(...(children.get(pid) ?? []))
  }
  return found.slice(1)
}

async function parentOf(pid: number): Promise<number | null> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8')
    // The name in parentheses may hold anything; the fields after the last one count.
    const [, parent = ''] = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return Number(parent)
  } catch {
    return null
  }
}

/** Linux include/linux/kdev_t.h, the encoding that stat(2) gives to user space. */
function deviceText(dev: number): string {
  const number = BigInt(dev)
  const major = ((number >> 8n) & 0xfffn) | ((number >> 32n) & ~0xfffn)
  const minor = (number & 0xffn) | ((number >> 12n) & ~0xffn)
  return `${major}:${minor}`
}
