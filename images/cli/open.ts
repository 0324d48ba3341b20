/**
 * Opening release files and content keys for the commands that read them.
 * Leaves to others: what is done with them.
 */
import { type CommandInput, textOption } from '../../core/command.ts'
import { orThrow, raise } from '../../core/errors.ts'
import { type KeyDirectory, keyDirectory } from '../../keys/adapters/key-directory.ts'
import type { Trust } from '../../keys/trust.ts'
import { verifyEd25519 } from '../../keys/verify-node.ts'
import { openFileSource } from '../release/adapters/file-bytes.ts'
import { openContainer } from '../release/container.ts'
import { openWrap } from '../release/piece-task.ts'
import { type Release, readWraps } from '../release/reader.ts'

export interface OpenedFile {
  readonly release: Release
  /** Of the `.ebr`. */
  readonly bytes: number
  close(): Promise<void>
}

/** Opens an `.ebr`; header and manifest are checked. @throws EverbootError */
export async function openReleaseFile(path: string, trust: Trust): Promise<OpenedFile> {
  const file = await openFileSource(path)
  try {
    const release = orThrow(await openContainer(file, trust.release, verifyEd25519))
    return { release, bytes: file.bytes, close: () => file.close() }
  } catch (caught) {
    await file.close()
    throw caught
  }
}

/**
 * The content keys that a device of the key directory has for a release.
 * @param device null: the first device with a wrapping key that the release names
 * @throws EverbootError EB-WRONG-DEVICE, EB-KEY
 */
export async function contentKeys(
  release: Release,
  trust: Trust,
  keys: KeyDirectory,
  device: string | null,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const wraps = await readWraps(release, trust.release, verifyEd25519)
  const own = device === null ? (await keys.deviceIds()).find((it) => wraps.has(it)) : device
  const found = own === undefined ? undefined : wraps.get(own)
  if (own === undefined || found === undefined) {
    const who = own ?? `any device of ${keys.path}`
    raise('EB-WRONG-DEVICE', `${release.manifest.id} carries no content key for ${who}`)
  }
  const wrappingKey = await keys.wrappingKey(own)
  return new Map(
    release.manifest.blobs.map((it) => [it.id, orThrow(openWrap(wrappingKey, found.get(it.id)))] as const),
  )
}

/** The key directory of `--keys`, or null. */
export function keysOption(input: CommandInput): KeyDirectory | null {
  const path = textOption(input, 'keys')
  return path === undefined ? null : keyDirectory(path)
}
