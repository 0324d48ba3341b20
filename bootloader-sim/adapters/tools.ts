/**
 * Runs system tools of the host: mount, losetup, mkfs.ext4 and the like.
 * Promise: a missing tool is named with its Debian package, a failing one with its message; no tool runs
 * longer than its deadline. `/sbin` is searched also for people whose PATH lacks it.
 * Leaves to others: what the tools do.
 */
import { execFile } from 'node:child_process'
import { EverbootError, fault, raise } from '../../core/errors.ts'
import { boardLimits } from '../../core/limits.ts'

const packages: Readonly<Record<string, string>> = {
  losetup: 'mount',
  mount: 'mount',
  umount: 'mount',
  setpriv: 'util-linux',
  unshare: 'util-linux',
  'mkfs.ext4': 'e2fsprogs',
  e2fsck: 'e2fsprogs',
  debugfs: 'e2fsprogs',
  unsquashfs: 'squashfs-tools',
  chroot: 'coreutils',
  mkfifo: 'coreutils',
  mknod: 'coreutils',
}

export interface ToolResult {
  /** Exit status; null when a signal or the deadline ended it. */
  readonly status: number | null
  readonly output: string
  readonly errors: string
}

/** The environment of tools and boards: nothing of ours but where programs are. */
export function toolEnvironment(): Record<string, string> {
  const found = process.env['PATH'] ?? '/usr/bin:/bin'
  return { PATH: `${found}:/usr/local/sbin:/usr/sbin:/sbin`, LC_ALL: 'C', TZ: 'UTC' }
}

/** Runs a tool to its end. @throws EverbootError EB-TOOL-MISSING */
export async function runTool(argv: readonly string[]): Promise<ToolResult> {
  const [name = '', ...args] = argv
  return new Promise((resolve, reject) => {
    const options = {
      timeout: boardLimits.toolMs,
      killSignal: 'SIGKILL' as const,
      maxBuffer: boardLimits.toolOutputBytesMax,
      env: toolEnvironment(),
    }
    execFile(name, args, options, (error, output, errors) => {
      if (error === null) return resolve({ status: 0, output, errors })
      if (error.code === 'ENOENT') return reject(missing(name, error))
      resolve({ status: typeof error.code === 'number' ? error.code : null, output, errors })
    })
  })
}

/**
 * Runs a tool that must succeed. @returns its standard output, trimmed
 * @throws EverbootError EB-TOOL-MISSING, EB-TOOL-FAILED
 */
export async function tool(...argv: readonly string[]): Promise<string> {
  const { status, output, errors } = await runTool(argv)
  if (status === 0) return output.trim()
  const message = (errors.trim() || output.trim()).slice(0, boardLimits.consoleLineBytesMax)
  raise('EB-TOOL-FAILED', `${argv.join(' ')}: ${status === null ? 'killed' : `status ${status}`}: ${message}`)
}

function missing(name: string, cause: Error): EverbootError {
  const todo = `install the Debian package ${packages[name] ?? name}`
  return new EverbootError(fault('EB-TOOL-MISSING', `${name} is not installed`, todo), { cause })
}
