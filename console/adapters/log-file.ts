/**
 * A log file of lines.
 * Promise: what was there stays; each line is with the kernel before the next one is read.
 */
import { closeSync, openSync, writeSync } from 'node:fs'
import { raise } from '../../core/errors.ts'

export interface LogFile {
  line(text: string): void
  close(): void
}

/** @throws EverbootError EB-FILE */
export function openLog(path: string): LogFile {
  const failed = (cause: unknown): never =>
    raise('EB-FILE', `the log ${path} cannot be written (${(cause as NodeJS.ErrnoException).code})`, {
      cause,
    })
  const open = (): number => {
    try {
      return openSync(path, 'a', 0o644)
    } catch (cause) {
      return failed(cause)
    }
  }
  const file = open()
  return {
    line(text) {
      const bytes = Buffer.from(`${text}\n`)
      try {
        for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done)
      } catch (cause) {
        failed(cause)
      }
    },
    close: () => closeSync(file),
  }
}
