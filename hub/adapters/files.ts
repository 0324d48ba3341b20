/**
 * Small files of the hub: certificates, `client.json`, device identities.
 * Promise: a file is written whole or not at all, is on the disk when the call returns, and only its owner
 * can read it.
 * Leaves to others: releases (../http/adapters) and the database (../store/adapters).
 */
import { randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { raise } from '../../core/errors.ts'

/** @returns null when there is no such file. @throws EverbootError EB-FILE. */
export async function readIfThere(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path)
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return null
    raise('EB-FILE', `${path} cannot be read: ${codeOf(cause)}`, { cause })
  }
}

/** Mode 0600. @throws EverbootError EB-FILE. */
export async function writePrivately(path: string, content: string): Promise<void> {
  const partial = `${path}.${randomBytes(4).toString('hex')}`
  try {
    const file = await open(partial, 'wx', 0o600)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(partial, path)
    await syncDirectory(dirname(path))
  } catch (cause) {
    await rm(partial, { force: true })
    raise('EB-FILE', `${path} cannot be written: ${codeOf(cause)}`, { cause })
  }
}

/** Mode 0700; parents too. @throws EverbootError EB-FILE. */
export async function ensureDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
  } catch (cause) {
    raise('EB-FILE', `${path} cannot be made: ${codeOf(cause)}`, { cause })
  }
}

/** Makes names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

export function codeOf(cause: unknown): string {
  const { code, message } = cause as { code?: string; message?: string }
  return code ?? message ?? String(cause)
}
