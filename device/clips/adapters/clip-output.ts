/**
 * Where the sound of a clip goes: a file, or standard output; and where it comes from.
 * Promise: a file is there whole or not at all; no sound is written to a terminal.
 */
import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { raise } from '../../../core/errors.ts'

/** @throws EverbootError EB-FILE, EB-DISK-FULL */
export async function toFile(path: string, parts: AsyncIterable<Uint8Array>): Promise<void> {
  const there = await stat(path).catch(() => null)
  // To replace a device or a pipe is never what is meant.
  if (there !== null && !there.isFile()) raise('EB-FILE', `${path} is no file`)
  const unfinished = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`)
  try {
    const file = await open(unfinished, 'wx').catch((caught: unknown) => failed(path, caught))
    try {
      for await (const part of parts) {
        await file.writeFile(part).catch((caught: unknown) => failed(path, caught))
      }
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(unfinished, path).catch((caught: unknown) => failed(path, caught))
  } catch (caught) {
    await rm(unfinished, { force: true })
    throw caught
  }
}

/** @throws EverbootError EB-USAGE when standard output is a terminal */
export function refuseTerminal(): void {
  if (process.stdout.isTTY !== true) return
  raise('EB-USAGE', 'sound is not written to a terminal', {
    todo: 'give --out FILE, or send it to a program',
  })
}

export async function toStandardOutput(parts: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const part of parts) {
    await new Promise<void>((resolve, reject) => {
      process.stdout.write(part, (caught) => (caught ? reject(caught) : resolve()))
    })
  }
}

/** @throws EverbootError EB-FILE */
export async function fromFile(
  path: string,
): Promise<{ readonly bytes: number; readonly parts: AsyncIterable<Uint8Array> }> {
  const found = await stat(path).catch((caught: unknown) => failed(path, caught))
  if (!found.isFile()) raise('EB-FILE', `${path} is no file`)
  return { bytes: found.size, parts: partsOf(path, found.size) }
}

async function* partsOf(path: string, bytes: number): AsyncGenerator<Uint8Array> {
  if (bytes === 0) return
  try {
    yield* createReadStream(path, { end: bytes - 1 })
  } catch (caught) {
    failed(path, caught)
  }
}

function failed(path: string, cause: unknown): never {
  const { code } = cause as NodeJS.ErrnoException
  // It has a code of its own.
  if (code === 'ENOSPC' || code === 'EDQUOT') throw cause
  raise('EB-FILE', `${path}: ${code ?? 'unknown error'}`, { cause })
}
