/**
 * The publisher and the factory of a Debian board: a root directory becomes a signed release, a release becomes slot a
 * of a board, with its record. By the code of `everboot image build` and of the factories of other boards.
 * Leaves to others: what is in the root directory, whose devices the slots are.
 */
import { rmSync } from 'node:fs'
import { writeFactoryRecord } from '../../core/boot-partition.ts'
import { orThrow } from '../../core/errors.ts'
import type { BlockDevice } from '../../core/ports.ts'
import { MiB } from '../../core/units.ts'
import { type BuiltRelease, buildRelease } from '../../images/build/adapters/build-release.ts'
import { ensureHostTools } from '../../images/build/adapters/host-tools.ts'
import { openFileSource } from '../../images/release/adapters/file-bytes.ts'
import { openContainer } from '../../images/release/container.ts'
import { imageOf, openWrap, sealOf } from '../../images/release/piece-task.ts'
import { blobOf, readWraps } from '../../images/release/reader.ts'
import { slotBytesNeeded } from '../../images/release/slot-layout.ts'
import { writeSlot } from '../../images/release/slot-writer.ts'
import { keyDirectory } from '../../keys/adapters/key-directory.ts'
import { verifyEd25519 } from '../../keys/verify-node.ts'
import { tool } from './debian-system.ts'

export const deviceId = 'debian-1'
export const product = 'debian'
export const hardware = 'container'
/** The one image of these releases. */
export const imageName = 'rootfs'

/** Nothing starts or ends differently without them. */
const leftOut = ['usr/share/doc', 'usr/share/man', 'usr/share/info', 'usr/share/locale']
const fast = ['-noappend', '-quiet', '-no-progress', '-comp', 'lz4']

/** @param out the `.ebr` to make; @param keys of the publisher */
export async function buildDebian(
  root: string,
  out: string,
  keys: string,
  version: number,
): Promise<BuiltRelease> {
  const input = `${out}.squashfs`
  const tools = await ensureHostTools(['mksquashfs'], { install: true })
  tool(tools.path('mksquashfs'), root, input, ...fast, '-e', ...leftOut)
  const facts = { product, version: `${version}`, securityVersion: version, hardware: [hardware] }
  const form = { profile: 'standard', suite: 'aes-256-gcm', pieceBytes: MiB, level: 1 } as const
  const built = await buildRelease({
    ...{ input, out, keys, filesystem: null, bytes: null, devices: null, seed: null, releaseDirectory: null },
    options: { ...facts, ...form, floorAfterCommit: null },
    signal: new AbortController().signal,
    phase: () => {},
  })
  rmSync(input)
  return built
}

/** Bytes of the smallest slot that takes the release. */
export function slotBytesOf({ manifest }: BuiltRelease): number {
  return slotBytesNeeded(imageOf(manifest, blobOf(manifest, imageName)).paddedBytes)
}

/** @param slot is slot a, all zeros; @param boot the boot partition; both stay open */
export async function writeFactory(
  { file, manifest }: BuiltRelease,
  keys: string,
  slot: BlockDevice,
  boot: BlockDevice,
): Promise<void> {
  const trust = await keyDirectory(keys).trust()
  const source = await openFileSource(file)
  try {
    const release = orThrow(await openContainer(source, trust.release, verifyEd25519))
    const wraps = await readWraps(release, trust.release, verifyEd25519)
    const wrapped = wraps.get(deviceId)?.get(blobOf(manifest, imageName).id)
    const contentKey = orThrow(openWrap(await keyDirectory(keys).wrappingKey(deviceId), wrapped))
    const { bytes: seal } = orThrow(sealOf(manifest, trust.seal, verifyEd25519))
    await writeSlot(release, { image: imageName, contentKey, seal, zeroed: true }, slot)
    await writeFactoryRecord(boot, manifest.securityVersion)
  } finally {
    await source.close()
  }
}
