/**
 * The plan: everything that is checked before the first byte of a release is fetched or erased.
 * Promise: pure; either every condition of the list holds, or one coded fault says which does not.
 * Leaves to others: signature and form of the manifest (openManifest) and of its seal (`sealOf`), whether
 * the spare may be wiped at all (boot-rules.ts, which may first need the own slot re-read).
 */
import { type Fault, fault } from '../../core/errors.ts'
import { slotLimits } from '../../core/limits.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import { bytesText } from '../../core/units.ts'
import { type Blob, fullBlob, type Image, type Manifest } from '../../images/release/manifest.ts'
import { treeBytes } from '../../images/release/verity.ts'

/** What the plan must know of the board. */
export interface BoardFacts {
  readonly product: string
  readonly hardware: readonly string[]
  readonly floor: number
  /** The partitions of the spare slot in order; the seal lies at the end of the first. */
  readonly partitions: readonly { readonly name: string; readonly bytes: number }[]
}

/** One image of the release and where its bytes come from. */
export interface PlannedImage {
  readonly image: Image
  readonly blob: Blob
  /** 32 bytes. */
  readonly contentKey: Uint8Array
}

/**
 * @param keyOf the unwrapped content key of a blob
 * @returns the images in the order of the partitions, or EB-WRONG-PRODUCT, EB-WRONG-HARDWARE, EB-ROLLBACK,
 *   EB-TOO-LARGE, EB-WRONG-DEVICE
 */
export function planInstall(
  manifest: Manifest,
  board: BoardFacts,
  keyOf: (blobId: string) => Result<Uint8Array, Fault>,
): Result<readonly PlannedImage[], Fault> {
  const refused = refusal(manifest, board)
  if (refused !== null) return fail(refused)
  const planned: PlannedImage[] = []
  for (const partition of board.partitions) {
    const image = manifest.images.find((it) => it.name === partition.name)
    const blob = image === undefined ? undefined : fullBlob(manifest, image.name)
    if (image === undefined || blob === undefined) {
      return fail(fault('EB-WRONG-HARDWARE', `the release has no image ${partition.name} for this board`))
    }
    const needed = image.paddedBytes + treeBytes(image.paddedBytes) + slotLimits.sealAreaBytes
    if (needed > partition.bytes) {
      const sizes = `${bytesText(needed)} with tree and seal, the slot ${bytesText(partition.bytes)}`
      return fail(fault('EB-TOO-LARGE', `image ${image.name} needs ${sizes}`))
    }
    const contentKey = keyOf(blob.id)
    if (!contentKey.ok) return contentKey
    planned.push({ image, blob, contentKey: contentKey.value })
  }
  return ok(planned)
}

function refusal(manifest: Manifest, board: BoardFacts): Fault | null {
  if (manifest.product !== board.product) {
    return fault('EB-WRONG-PRODUCT', `the release is of ${manifest.product}, this device of ${board.product}`)
  }
  if (!manifest.hardware.some((it) => board.hardware.includes(it))) {
    const found = `${manifest.hardware.join(', ')}, this board is ${board.hardware.join(', ')}`
    return fault('EB-WRONG-HARDWARE', `the release is for ${found}`)
  }
  if (manifest.securityVersion < board.floor) {
    return fault(
      'EB-ROLLBACK',
      `security version ${manifest.securityVersion} is below the floor ${board.floor}`,
    )
  }
  if (manifest.images.length !== board.partitions.length) {
    const counts = `${manifest.images.length} images, the slot ${board.partitions.length} partitions`
    return fault('EB-WRONG-HARDWARE', `the release has ${counts}`)
  }
  return null
}
