/**
 * A disk as a plain file: putting file systems into it, running the tools that make them.
 * Promise: no mount and no loop device, so no root either; what is zero stays a hole; a full file system is named.
 * Leaves to others: what lies where.
 */
import { open } from 'node:fs/promises'
import { raise } from '../../../../core/errors.ts'
import { MiB } from '../../../../core/units.ts'
import { ensureHostTools, type HostTool } from '../../../build/adapters/host-tools.ts'
import { runTool, type ToolOptions } from '../../../build/adapters/run-tool.ts'

/** Writes a whole file into the disk; what is zero stays a hole. */
export async function copyInto(disk: string, offset: number, from: string): Promise<void> {
  const target = await open(disk, 'r+')
  const source = await open(from, 'r')
  try {
    const step = new Uint8Array(MiB)
    const zero = new Uint8Array(MiB)
    for (let at = 0; ; ) {
      const { bytesRead } = await source.read(step, 0, step.length, at)
      if (bytesRead === 0) break
      const part = step.subarray(0, bytesRead)
      if (Buffer.compare(part, zero.subarray(0, bytesRead)) !== 0)
        await target.write(part, 0, bytesRead, offset + at)
      at += bytesRead
    }
  } finally {
    await source.close()
    await target.close()
  }
}

type ToolInput = Pick<ToolOptions, 'input' | 'environment'>

/** @param options input: for its standard input. @throws EverbootError EB-TOOL-MISSING, EB-TOOL-FAILED, EB-DISK-FULL */
export async function tool(
  name: HostTool,
  args: readonly string[],
  options: ToolInput = {},
): Promise<string> {
  const found = await ensureHostTools([name], { install: true })
  return programOutput(found.path(name), args, options)
}

/** A program that every system has. @throws EverbootError EB-TOOL-FAILED, EB-DISK-FULL */
export async function programOutput(
  path: string,
  args: readonly string[],
  options: ToolInput = {},
): Promise<string> {
  const done = await runTool(path, args, options)
  if (done.status === 0) return done.output
  const said = (done.errors || done.output).trim()
  if (/no space left on device|disk full/i.test(said)) raise('EB-DISK-FULL', `${path}: ${said.slice(-200)}`)
  const name = path.split('/').at(-1) ?? path
  return raise('EB-TOOL-FAILED', `${name} ended with status ${done.status}: ${said.split('\n').at(-1) ?? ''}`)
}

/** Says it plainly when what failed is a full file system. @param path that was being written */
export async function namedIfFull<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (caught) {
    for (let it: unknown = caught; it instanceof Error; it = it.cause) {
      if ((it as NodeJS.ErrnoException).code === 'ENOSPC')
        raise('EB-DISK-FULL', `there is no room left for ${path}`, { cause: caught })
    }
    throw caught
  }
}
