/**
 * What the board puts into `/run/everboot` for the system that it starts, and the wires back.
 * Promise: made anew for each boot, so nothing of the boot before is taken for this one's.
 * Leaves to others: where `/run` is seen from inside.
 */
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { boardLimits } from '../../core/limits.ts'
import type { Load, Wires } from '../board.ts'
import { type Fifo, makeFifo } from './fifo.ts'
import { lines } from './lines.ts'

export interface RunDirectory {
  close(): void
}

/** @param words added to the hand-over */
export async function makeRunDirectory(
  path: string,
  load: Load,
  wires: Wires,
  words: readonly string[],
): Promise<RunDirectory> {
  const own = join(path, 'everboot')
  await rm(path, { recursive: true, force: true })
  await mkdir(own, { recursive: true, mode: 0o755 })
  // The kernel's clock did not start with this boot, so the system is told when it began.
  const started = `everboot.start=${process.hrtime.bigint() / 1_000_000n}`
  await writeFile(join(own, 'cmdline'), `${[load.commandLine, started, ...words].join(' ')}\n`)
  await writeFile(join(own, 'last-console'), load.lastConsole)
  await writeFile(join(own, 'boot-trace'), load.bootTrace)
  for (const name of ['hosts', 'resolv.conf']) await copyIfThere(join('/etc', name), join(path, name))
  const fifos: Fifo[] = [
    await makeFifo(join(own, 'watchdog'), () => wires.pet()),
    await makeFifo(
      join(own, 'power'),
      lines((word) => wires.power(word.slice(0, boardLimits.powerWordMax))),
    ),
  ]
  return { close: () => fifos.forEach((it) => void it.close()) }
}

async function copyIfThere(from: string, to: string): Promise<void> {
  try {
    await copyFile(from, to)
  } catch (caught) {
    if ((caught as NodeJS.ErrnoException).code !== 'ENOENT') throw caught
  }
}
