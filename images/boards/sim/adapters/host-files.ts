/**
 * Takes programs from this machine into a root directory: the pinned Node, a shell, the libraries they load.
 * Promise: a program is taken with every shared library that `ldd` names, at the same paths, so it runs after
 * a chroot; the Node binary is a hard link where the file system allows it.
 * Leaves to others: what else belongs into the root directory.
 */
import { execFile } from 'node:child_process'
import { chmod, copyFile, link, mkdir, realpath, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { raise } from '../../../../core/errors.ts'
import { boardLimits } from '../../../../core/limits.ts'

/** The Node binary of the package `node-linux-<arch>`, the same for every image of a release. */
export function pinnedNode(): string {
  const name = `node-linux-${process.arch}`
  try {
    return createRequire(import.meta.url).resolve(`${name}/bin/node`)
  } catch (cause) {
    raise('EB-TOOL-MISSING', `the npm package ${name} is not installed`, {
      todo: 'npm install with optional dependencies',
      cause,
    })
  }
}

/** @param at path below `root`, starting with `/`; @param how `link` saves the space of a big program */
export async function takeProgram(
  program: string,
  root: string,
  at: string,
  how: 'link' | 'copy',
): Promise<void> {
  await takeFile(program, root, at, 0o755, how)
  for (const library of await librariesOf(program)) await takeFile(library, root, library, 0o755, 'copy')
}

/**
 * Symbolic links are followed. A link becomes a copy where the file system does not allow it.
 * @throws EverbootError EB-FILE
 */
export async function takeFile(
  from: string,
  root: string,
  at: string,
  mode: number,
  how: 'link' | 'copy',
): Promise<void> {
  const to = join(root, at)
  await mkdir(dirname(to), { recursive: true })
  await rm(to, { force: true })
  const source = await realpath(from).catch((cause: Error) =>
    raise('EB-FILE', `${from} cannot be taken: ${cause.message}`, { cause }),
  )
  if (how === 'link' && (await linked(source, to))) return
  await copyFile(source, to)
  await chmod(to, mode)
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch {
    return false
  }
}

/** Paths of the shared libraries and of the loader. */
async function librariesOf(program: string): Promise<readonly string[]> {
  const run = promisify(execFile)
  try {
    const { stdout } = await run('ldd', [program], { timeout: boardLimits.toolMs })
    if (stdout.includes('not found')) raise('EB-TOOL-MISSING', `${program} lacks libraries: ${stdout.trim()}`)
    return [...stdout.matchAll(/(?:=> )?(\/\S+) \(0x[0-9a-f]+\)/g)].map((it) => it[1] ?? '')
  } catch (cause) {
    const { stdout = '', code } = cause as { stdout?: string; code?: unknown }
    if (`${stdout}`.includes('not a dynamic executable')) return []
    if (code === 'ENOENT') raise('EB-TOOL-MISSING', 'ldd is missing', { todo: 'install libc-bin', cause })
    throw cause
  }
}
