/**
 * The plug is pulled: what the board had written and not flushed is lost.
 * The kernel that carries the board lives on and would write everything down in the end, so the disk is taken
 * away before: the board's program is stopped, everything that runs on the board is killed, the disk file is
 * copied as it is then, without what page caches above it still hold, and the copy takes its place.
 * Promise: the copy is one state of boot and data partition, in which their file system's order of writes
 * holds; of what was written to slots since their last flush it has any part.
 */
import { type FileHandle, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { tool } from '../../../../bootloader-sim/adapters/tools.ts'
import { type BoardFile, boardPaths } from '../../../../bootloader-sim/board-file.ts'
import { soakLimits } from '../limits.ts'
import type { Program } from './programs.ts'

/** Resolves when the board's program has ended and the disk is what a cut leaves. */
export async function unplug(program: Program, directory: string, board: BoardFile): Promise<void> {
  signal(program.pid, 'SIGSTOP')
  await killAll(await onBoard(program.pid))
  const disk = join(directory, boardPaths.disk)
  const copy = `${disk}.cut`
  await tool('cp', '--sparse=always', disk, copy)
  await untilTheSame(disk, copy, [board.partitions.boot, board.partitions.data])
  await rename(copy, disk)
  await program.end('SIGKILL')
}

/**
 * What runs on the board, as long as more is found. The tools that its program has at work meanwhile, such as
 * `losetup`, are left alone: they are no part of the board, and end by themselves.
 */
async function onBoard(program: number): Promise<readonly number[]> {
  const found: number[] = []
  const waiting: number[] = []
  for (const pid of await childrenOf(program)) {
    const words = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    if (words.includes(systemMark)) waiting.push(pid)
  }
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    found.push(next)
    waiting.push(...(await childrenOf(next)))
  }
  return found
}

/** A word of the command that holds the processes of one boot together. */
const systemMark = '--kill-child=KILL'

async function childrenOf(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  return text
    .split(' ')
    .filter((it) => it !== '')
    .map(Number)
}

/** Resolves when none of them can write any more: gone, or waiting for a parent that is stopped. */
async function killAll(pids: readonly number[]): Promise<void> {
  for (const pid of pids) signal(pid, 'SIGKILL')
  const end = performance.now() + soakLimits.stopMs
  for (const pid of pids) {
    while (await lives(pid)) {
      if (performance.now() > end) throw new Error(`process ${pid} of the board does not die`)
      await sleep(1)
    }
  }
}

async function lives(pid: number): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const state = text.slice(text.lastIndexOf(')') + 2, text.lastIndexOf(')') + 3)
  return text !== '' && state !== 'Z' && state !== 'X'
}

/** The kernel may have written while the copy was made: what it changed is copied until nothing changes. */
async function untilTheSame(
  from: string,
  to: string,
  parts: readonly { readonly offset: number; readonly bytes: number }[],
): Promise<void> {
  const source = await open(from, 'r')
  const target = await open(to, 'r+')
  try {
    const end = performance.now() + soakLimits.stopMs
    for (const part of parts) {
      while (await copyChanges(source, target, part)) {
        if (performance.now() > end) throw new Error('the disk of a stopped board keeps changing')
      }
    }
  } finally {
    await source.close()
    await target.close()
  }
}

/** @returns whether anything was different */
async function copyChanges(
  source: FileHandle,
  target: FileHandle,
  { offset, bytes }: { readonly offset: number; readonly bytes: number },
): Promise<boolean> {
  const [is, was] = [Buffer.alloc(soakLimits.compareBytes), Buffer.alloc(soakLimits.compareBytes)]
  let changed = false
  for (let at = offset; at < offset + bytes; at += soakLimits.compareBytes) {
    await source.read(is, 0, is.length, at)
    await target.read(was, 0, was.length, at)
    if (is.equals(was)) continue
    await target.write(is, 0, is.length, at)
    changed = true
  }
  return changed
}

function signal(pid: number, name: 'SIGSTOP' | 'SIGKILL'): void {
  try {
    process.kill(pid, name)
  } catch (caught) {
    if ((caught as NodeJS.ErrnoException).code !== 'ESRCH') throw caught
  }
}
