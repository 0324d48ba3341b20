/**
 * Makes a flushed disk ready to be pulled out.
 * Promise: says by which program; none being there, or failing, is no failure: everything is on the medium already.
 */
import { flashLimits } from '../../../core/limits.ts'
import { findProgram } from '../../build/adapters/host-tools.ts'
import { runTool } from '../../build/adapters/run-tool.ts'

export type Ejected = 'eject' | 'udisksctl' | null

const ways = [
  { tool: 'eject', args: [] },
  { tool: 'udisksctl', args: ['power-off', '--no-user-interaction', '-b'] },
] as const

/** @returns the program that did it, or null when the disk was only flushed. */
export async function ejectDisk(path: string): Promise<Ejected> {
  for (const { tool, args } of ways) {
    const done = await tried(tool, [...args, path])
    if (done) return tool
  }
  return null
}

async function tried(tool: string, args: readonly string[]): Promise<boolean> {
  try {
    const program = await findProgram(tool)
    if (program === null) return false
    return (await runTool(program, args, { signal: AbortSignal.timeout(flashLimits.ejectMs) })).status === 0
  } catch {
    // It did not end in time.
    return false
  }
}
