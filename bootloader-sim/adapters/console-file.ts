/**
 * The console of a board in a file, for people and for after a crash.
 * Promise: two files of bounded size; a line is in the file when `add` returns.
 */
import { closeSync, openSync, readFileSync, renameSync, statSync, writeSync } from 'node:fs'
import { boardLimits, trialLimits } from '../../core/limits.ts'

export interface ConsoleFile {
  add(line: string): void
  close(): void
}

/** @param path continued when it exists; its predecessor is kept as `path.1` */
export function openConsoleFile(path: string): ConsoleFile {
  let fd = openSync(path, 'a', 0o600)
  let bytes = statSync(path).size
  return {
    add(line) {
      bytes += writeSync(fd, `${line}\n`)
      if (bytes < boardLimits.consoleBytesMax) return
      closeSync(fd)
      renameSync(path, `${path}.1`)
      fd = openSync(path, 'a', 0o600)
      bytes = 0
    },
    close: () => closeSync(fd),
  }
}

/** The end of a console file, whole lines; empty when there is none. */
export function endOfConsole(path: string): string {
  try {
    const text = readFileSync(path, 'utf8')
    const end = text.slice(-trialLimits.consoleTailBytesMax)
    return end.length < text.length ? end.slice(end.indexOf('\n') + 1) : end
  } catch (caught) {
    if ((caught as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw caught
  }
}
