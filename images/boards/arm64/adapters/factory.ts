/**
 * What a new disk of any board gets: the factory release in slot a, a record that says it is committed, data.
 * Promise: no mount, no loop device; the release is checked piece by piece, and the seal is written last.
 * Leaves to others: the partition table and what the board's loader needs.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFactoryRecord } from '../../../../core/boot-partition.ts'
import { orThrow, raise } from '../../../../core/errors.ts'
import type { KeyDirectory } from '../../../../keys/adapters/key-directory.ts'
import { verifyEd25519 } from '../../../../keys/verify-node.ts'
import type { ByteSource } from '../../../release/byte-source.ts'
import { openContainer } from '../../../release/container.ts'
import type { Manifest } from '../../../release/manifest.ts'
import { imageOf, openWrap, sealOf } from '../../../release/piece-task.ts'
import { blobOf, type Release, readWraps } from '../../../release/reader.ts'
import { writeSlot } from '../../../release/slot-writer.ts'
import type { Partition } from '../partition.ts'
import { copyInto, tool } from './disk-file.ts'
import { openWindow } from './disk-window.ts'

/** A device whose wraps to open, or the content keys by id of the blob. */
export type FactoryKeys = string | ReadonlyMap<string, Uint8Array>

export interface Factory {
  readonly release: Release
  readonly seal: Uint8Array
  /** By id of the blob. */
  readonly contentKeys: ReadonlyMap<string, Uint8Array>
}

/**
 * @param source an `.ebr`
 * @throws EverbootError EB-WRONG-HARDWARE, EB-WRONG-DEVICE, and those of an unsound release
 */
export async function openFactory(
  source: ByteSource,
  keys: KeyDirectory,
  hardwareId: string,
  openBy: FactoryKeys,
): Promise<Factory> {
  const trust = await keys.trust()
  const release = orThrow(await openContainer(source, trust.release, verifyEd25519))
  const { manifest } = release
  if (!manifest.hardware.includes(hardwareId)) {
    const list = manifest.hardware.join(', ')
    raise('EB-WRONG-HARDWARE', `release ${manifest.id} is for ${list}, not ${hardwareId}`)
  }
  const contentKeys = typeof openBy === 'string' ? await unwrapped(release, keys, openBy) : openBy
  return { release, seal: orThrow(sealOf(manifest, trust.seal, verifyEd25519)).bytes, contentKeys }
}

async function unwrapped(
  release: Release,
  keys: KeyDirectory,
  device: string,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const wrappingKey = Buffer.from(await keys.wrappingKey(device))
  const wraps = await readWraps(release, (await keys.trust()).release, verifyEd25519)
  const found = new Map<string, Uint8Array>()
  for (const { id } of release.manifest.blobs)
    found.set(id, orThrow(openWrap(wrappingKey, wraps.get(device)?.get(id))))
  return found
}

/** Bytes of an image, padded. */
export function paddedBytesOf({ release: { manifest } }: Factory, image: string): number {
  return imageOf(manifest, blobOf(manifest, image)).paddedBytes
}

/** @param options.sealed whether this partition carries the seal of the slot; it is written last */
export async function putImage(
  disk: string,
  partition: Partition,
  { release, contentKeys, seal }: Factory,
  image: string,
  options: { readonly sealed: boolean },
): Promise<void> {
  const blob = blobOf(release.manifest, image)
  const contentKey = contentKeys.get(blob.id) ?? raise('EB-WRONG-DEVICE', `there is no key for ${blob.id}`)
  const slot = await openWindow(disk, partition)
  try {
    await writeSlot(release, { image, contentKey, seal: options.sealed ? seal : null, zeroed: true }, slot)
  } finally {
    await slot.close()
  }
}

/** Slot a is committed, slot b holds nothing. */
export async function putFactoryRecord(
  disk: string,
  partition: Partition,
  manifest: Manifest,
): Promise<void> {
  const record = await openWindow(disk, partition)
  try {
    await writeFactoryRecord(record, manifest.securityVersion)
  } finally {
    await record.close()
  }
}

/** ext4 with the identity of the device in it, when that is known. @param room directory for what is made on the way */
export async function putData(
  room: string,
  disk: string,
  { offset, bytes }: Partition,
  identity: Readonly<Record<string, unknown>> | null,
): Promise<void> {
  const [content, file] = [join(room, 'data'), join(room, 'data.img')]
  await mkdir(join(content, 'everboot/state'), { recursive: true, mode: 0o700 })
  const text = `${JSON.stringify(identity, null, 2)}\n`
  if (identity !== null) await writeFile(join(content, 'everboot/device.json'), text, { mode: 0o600 })
  const plain = ['-q', '-F', '-b', '4096', '-L', 'data', '-d', content, '-E', 'root_owner=0:0']
  await tool('mkfs.ext4', [...plain, file, `${bytes / 1024}k`])
  await copyInto(disk, offset, file)
  await rm(content, { recursive: true })
  await rm(file)
}
