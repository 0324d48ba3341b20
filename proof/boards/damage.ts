/**
 * Where on a real disk a scenario's damage falls.
 * Promise: the same places on every kind of board; ranges of zeros and single bits.
 * Leaves to others: reading and writing the disk (adapters/), where a file of the image lies.
 */
import { present } from '../../core/assert.ts'
import { bootPartition } from '../../core/boot-record.ts'
import { orThrow } from '../../core/errors.ts'
import { slotLimits } from '../../core/limits.ts'
import { claimedSeal } from '../../images/release/seal.ts'
import type { StepOf } from '../steps.ts'
import { newestIn } from './outcome.ts'

/** @param parts content of `recordRanges`. @returns ranges of the boot partition that become zeros */
export function lostRanges(
  what: StepOf<'lose'>['what'],
  parts: readonly Uint8Array[],
): readonly { readonly offset: number; readonly bytes: number }[] {
  if (what === 'stamp') return [{ offset: bootPartition.stampOffset, bytes: slotLimits.stampBytes }]
  const lost = { 'record-0': [0], 'record-1': [1], 'newest-record': [newestIn(parts)], record: [0, 1] }[what]
  return lost.map((copy) => ({
    offset: present(bootPartition.copyOffsets[copy], 'copy'),
    bytes: slotLimits.recordCopyBytes,
  }))
}

/** The tree starts with the hashes that everything else hangs from. @throws EverbootError EB-SEAL */
export function treeOffset(sealArea: Uint8Array): number {
  const [image] = orThrow(claimedSeal(sealArea)).images
  return present(image, 'an image').paddedBytes
}
