/**
 * Loop devices and mounts, or plain files: finds out what this machine allows, and enters the namespace that
 * makes the board crash-proof.
 * Promise: says why plain; what was probed is released before it returns.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { EverbootError, raise } from '../../core/errors.ts'
import { type BoardFile, boardPaths } from '../board-file.ts'
import type { Mode } from './emulated-hardware.ts'
import { runTool, tool, toolEnvironment } from './tools.ts'

export interface ModeChoice {
  readonly mode: Mode
  /** Why not with loop devices; null when with them. */
  readonly why: string | null
}

/** Attach, mount, detach; the namespace takes the mount with it. */
const probe = `
d=$(losetup --find --show --read-only --offset "$2" --sizelimit "$3" "$1")
exec 9<"$d"
losetup --detach "$d"
mount -t tmpfs probe "$4"
`

/** @throws EverbootError EB-NO-LOOP when `requireLoop` and it cannot be */
export async function chooseMode(
  directory: string,
  board: BoardFile,
  wish: { readonly plain: boolean; readonly requireLoop: boolean },
): Promise<ModeChoice> {
  if (wish.plain && wish.requireLoop) raise('EB-USAGE', '--plain and --require-loop exclude each other')
  if (wish.plain) return { mode: 'plain', why: '--plain was given' }
  const why = await obstacle(directory, board)
  if (why === null) return { mode: 'loop', why: null }
  if (wish.requireLoop) raise('EB-NO-LOOP', `no board on loop devices: ${why}`)
  return { mode: 'plain', why }
}

async function obstacle(directory: string, board: BoardFile): Promise<string | null> {
  if (process.getuid?.() !== 0) return 'not running as root'
  const root = join(directory, boardPaths.root)
  const { offset, bytes } = board.partitions.boot
  const script = ['sh', '-ec', probe, 'sh', join(directory, boardPaths.disk), `${offset}`, `${bytes}`, root]
  try {
    await mkdir(root, { recursive: true })
    const { status, errors } = await runTool([...privateMounts, ...script])
    return status === 0 ? null : `the kernel refuses: ${errors.trim() || `status ${status}`}`
  } catch (caught) {
    if (caught instanceof EverbootError) return caught.fault.what
    throw caught
  }
}

const privateMounts = ['unshare', '--mount', '--propagation', 'private', '--']
const marker = 'EVERBOOT_BOARD_PROCESS'

/** Whether this process has been through `enter`; a process keeps its id when it becomes another program. */
export function hasEntered(): boolean {
  return process.env[marker] === `${process.pid}`
}

/**
 * Becomes this same program again, in mounts of its own (loop), and dying with its parent (tied).
 * @returns only when there is nothing to enter. @throws EverbootError EB-TOOL-MISSING
 */
export async function enter(mode: Mode, tied: boolean): Promise<void> {
  const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  // Should the parent be gone before the signal is set, another parent is seen, and nothing starts.
  const withParent = ['setpriv', '--pdeathsig', 'KILL', '--', 'sh', '-c', '[ "$PPID" = "$0" ] && exec "$@"']
  const chain = [
    ...(tied ? [...withParent, `${process.ppid}`] : []),
    ...(mode === 'loop' ? privateMounts : []),
  ]
  const [first] = chain
  if (first === undefined) return
  const path = await tool('sh', '-c', 'command -v "$0"', first)
  const environment = { ...process.env, [marker]: `${process.pid}`, PATH: toolEnvironment()['PATH'] ?? '' }
  process.execve?.(path, [...chain, ...again], environment)
}
