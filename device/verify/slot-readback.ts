/**
 * The read-back: the whole image from the medium, its verity tree built, written and read back too.
 * Promise: `intact` means that the medium holds exactly the image whose root the manifest names, the tree
 * that belongs to it and, in the kindle profile, an image that the publisher's RSA key signed. Memory does
 * not grow with the image.
 * Leaves to others: finding and fetching damaged pieces again, the seal.
 */
import { createHash } from 'node:crypto'
import { writeWhole } from '../../core/block-io.ts'
import { type Fault, fault } from '../../core/errors.ts'
import type { BlockDevice } from '../../core/ports.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import { blockBytes, KiB } from '../../core/units.ts'
import type { Image } from '../../images/release/manifest.ts'
import { verityBuilder } from '../../images/release/verity.ts'
import { treeStands } from '../../images/release/verity-tree.ts'
import { pssVerifier } from '../../keys/verify-node.ts'
import { readAhead } from '../slots/read-ahead.ts'

/** Tree blocks that are written together. */
const treeWriteBytes = 256 * KiB

/**
 * @param device the partition, opened exclusively
 * @param rsa public keys (PEM) of the kindle profile by id
 * @param onRead is told the bytes read so far
 * @returns nothing, or EB-READBACK (the medium holds something else), EB-SIGNATURE, EB-UNKNOWN-KEY
 */
export async function readBack(
  device: BlockDevice,
  image: Image,
  rsa: ReadonlyMap<string, string>,
  onRead: (bytes: number) => void,
): Promise<Result<void, Fault>> {
  const clear = clearCheck(image, rsa)
  if (!clear.ok) return clear
  const tree = treeWriter(device, image.paddedBytes)
  const builder = verityBuilder(image.paddedBytes, (offset, block) => tree.take(offset, block))
  await readAhead(device, image.paddedBytes, async (part, offset) => {
    builder.update(part)
    clear.value.update(part.subarray(0, Math.max(0, Math.min(part.length, image.bytes - offset))))
    await tree.drain()
    onRead(offset + part.length)
  })
  const root = builder.finish()
  await tree.drain()
  if (root !== image.verityRoot) {
    const roots = `verity root ${root.slice(0, 12)}, expected ${image.verityRoot.slice(0, 12)}`
    return fail(fault('EB-READBACK', `image ${image.name} reads back with ${roots}`))
  }
  const signed = clear.value.finish()
  if (!signed.ok) return signed
  await device.flush()
  return (await treeStands(device, image))
    ? ok(undefined)
    : fail(fault('EB-READBACK', `the verity tree of image ${image.name} does not read back as written`))
}

interface ClearCheck {
  update(part: Uint8Array): void
  finish(): Result<void, Fault>
}

/** The RSA signature over the clear image, where there is one. */
function clearCheck(image: Image, rsa: ReadonlyMap<string, string>): Result<ClearCheck, Fault> {
  const signed = image.rsa
  if (signed === undefined) return ok({ update: () => {}, finish: () => ok(undefined) })
  const pem = rsa.get(signed.keyid)
  const verifier = pem === undefined ? null : pssVerifier(pem)
  if (verifier === null) {
    return fail(
      fault('EB-UNKNOWN-KEY', `image ${image.name} is signed by the unknown RSA key ${signed.keyid}`),
    )
  }
  const digest = createHash('sha256')
  return ok({
    update(part) {
      digest.update(part)
      verifier.update(part)
    },
    finish() {
      const right = digest.digest('hex') === signed.sha256
      const whole = right && verifier.verify(Buffer.from(signed.sig, 'base64'))
      return whole
        ? ok(undefined)
        : fail(fault('EB-SIGNATURE', `the RSA signature of image ${image.name} does not match`))
    },
  })
}

/** Collects finished tree blocks and writes neighbours together. */
function treeWriter(device: BlockDevice, treeOffset: number) {
  const runs: { offset: number; blocks: Uint8Array[] }[] = []
  const buffer = device.allocate(treeWriteBytes)
  return {
    take(offset: number, block: Uint8Array): void {
      const copy = block.slice()
      const last = runs.find((it) => it.offset + it.blocks.length * blockBytes === offset)
      if (last === undefined) runs.push({ offset, blocks: [copy] })
      else last.blocks.push(copy)
    },
    async drain(): Promise<void> {
      for (const run of runs.splice(0)) {
        const perWrite = buffer.length / blockBytes
        for (let first = 0; first < run.blocks.length; first += perWrite) {
          const part = run.blocks.slice(first, first + perWrite)
          part.forEach((block, index) => {
            buffer.set(block, index * blockBytes)
          })
          const offset = treeOffset + run.offset + first * blockBytes
          await writeWhole(device, offset, buffer.subarray(0, part.length * blockBytes), 'the spare slot')
        }
      }
    },
  }
}
