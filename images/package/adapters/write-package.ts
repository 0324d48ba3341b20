/**
 * Writes the agent as a Debian package or a tarball.
 * Promise: the same parts and time give the same bytes, on any machine with this Node; a file appears whole or not
 * at all. No tool of Debian is needed to make it.
 * Leaves to others: what is in it (agent-package.ts).
 */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzip, gzipSync } from 'node:zlib'
import { raise } from '../../../core/errors.ts'
import {
  type AgentParts,
  agentFiles,
  controlFiles,
  type PackageFacts,
  packageName,
} from '../agent-package.ts'
import { debArchive, type PackedFile, tarArchive } from '../tar.ts'

export type PackageFormat = 'deb' | 'tar'

/** @returns the path of the file. @throws EverbootError EB-FILE */
export async function writeAgentPackage(
  parts: AgentParts,
  facts: PackageFacts,
  format: PackageFormat,
  out: string,
): Promise<string> {
  const files = agentFiles(parts, facts, (bytes) => gzipSync(bytes, { level: 9 }))
  const data = await packed(files, facts.atSeconds)
  const name = `${packageName}_${facts.version}_${facts.arch}.${format === 'deb' ? 'deb' : 'tar.gz'}`
  if (format === 'tar') return put(out, name, data)
  const control = await packed(controlFiles(files, parts, facts), facts.atSeconds)
  return put(out, name, debArchive(control, data, facts.atSeconds))
}

async function packed(files: readonly PackedFile[], atSeconds: number): Promise<Uint8Array> {
  return promisify(gzip)(Buffer.concat(tarArchive(files, atSeconds)), { level: 6 })
}

async function put(directory: string, name: string, bytes: Uint8Array): Promise<string> {
  const path = join(directory, name)
  const unfinished = `${path}.part`
  try {
    await mkdir(directory, { recursive: true })
    await writeFile(unfinished, bytes)
    await rename(unfinished, path)
  } catch (cause) {
    await rm(unfinished, { force: true })
    raise('EB-FILE', `${path} cannot be written: ${(cause as Error).message}`, { cause })
  }
  return path
}
