/** Writing a slot from a release: image, tree and, when all was well, the seal. */
import { expect, test } from 'vitest'
import { present } from '../../core/assert.ts'
import { faultOf, orThrow } from '../../core/errors.ts'
import { slotLimits } from '../../core/limits.ts'
import type { Digest } from '../../core/units.ts'
import { sealOf } from '../../images/release/piece-task.ts'
import { openSeal } from '../../images/release/seal.ts'
import { sealOffset, slotBytesNeeded } from '../../images/release/slot-layout.ts'
import { writeSlot } from '../../images/release/slot-writer.ts'
import { treeBytes, verityBuilder } from '../../images/release/verity.ts'
import { signEnvelope } from '../../keys/envelope.ts'
import { verifyEd25519 } from '../../keys/verify-node.ts'
import { memoryDevice } from '../core/memory-device.ts'
import { make, open, pack, releaseSigner, smallImage, standard, trust } from './releases.ts'

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'done'
  } catch (caught) {
    return faultOf(caught).code
  }
}

test('the tree of a slot verifies, and the seal comes last and only when all was well', async () => {
  const made = await make(standard, smallImage(4096 * 200 + 17))
  const release = await open(made.container)
  const [image] = made.manifest.images
  const padded = image?.paddedBytes ?? 0
  const seal = sealOf(made.manifest, trust.seal, verifyEd25519)
  if (!seal.ok || image === undefined) throw new Error('no seal')
  const plan = {
    image: 'rootfs',
    contentKey: made.keys.get('rootfs') ?? new Uint8Array(),
    seal: seal.value.bytes,
  }
  const slotBytes = 2 << 20
  for (const zeroed of [true, false]) {
    const device = memoryDevice(slotBytes, 4096, new Uint8Array(slotBytes).fill(zeroed ? 0 : 0xaa))
    await writeSlot(release, { ...plan, zeroed }, device)
    expect(device.pending()).toBe(0)
    expect(Buffer.compare(device.medium.subarray(0, made.image.length), made.image)).toBe(0)
    const builder = verityBuilder(padded, (offset, block) => {
      const at = padded + offset
      expect(Buffer.compare(device.medium.subarray(at, at + block.length), block)).toBe(0)
    })
    builder.update(device.medium.subarray(0, padded))
    expect(builder.finish()).toBe(image.verityRoot)
    const area = device.medium.subarray(sealOffset(slotBytes))
    expect(openSeal(area, trust.seal, verifyEd25519)).toEqual({ ok: true, value: seal.value.seal })
    expect(area.subarray(seal.value.bytes.length).every((it) => it === 0)).toBe(true)
  }
  const unsealed = memoryDevice(slotBytes, 4096)
  await writeSlot(release, { ...plan, seal: null, zeroed: true }, unsealed)
  expect(unsealed.pending()).toBe(0)
  expect(Buffer.compare(unsealed.medium.subarray(0, made.image.length), made.image)).toBe(0)
  expect(unsealed.medium.subarray(sealOffset(slotBytes)).every((it) => it === 0)).toBe(true)
  const damaged = Uint8Array.from(made.container)
  const middle = damaged.length - 30_000
  damaged[middle] = (damaged[middle] ?? 0) ^ 1
  const device = memoryDevice(slotBytes, 4096)
  expect(await codeOf(writeSlot(await open(damaged), { ...plan, zeroed: true }, device))).toBe('EB-PIECE')
  expect(device.medium.subarray(sealOffset(slotBytes)).every((it) => it === 0)).toBe(true)
})

test('a slot that is one sector too small is refused before anything is written', async () => {
  const made = await make(standard)
  const release = await open(made.container)
  const padded = made.manifest.images[0]?.paddedBytes ?? 0
  const needed = slotBytesNeeded(padded)
  expect(needed).toBe(padded + treeBytes(padded) + slotLimits.sealAreaBytes)
  const plan = {
    image: 'rootfs',
    contentKey: made.keys.get('rootfs') ?? new Uint8Array(),
    seal: new Uint8Array(10),
    zeroed: true,
  }
  const small = memoryDevice(needed - 4096, 4096)
  expect(await codeOf(writeSlot(release, plan, small))).toBe('EB-TOO-LARGE')
  expect(small.operations()).toBe(0)
  expect(await codeOf(writeSlot(release, plan, memoryDevice(needed, 4096)))).toBe('done')
  expect(await codeOf(writeSlot(release, { ...plan, image: 'boot' }, memoryDevice(needed, 4096)))).toBe(
    'EB-NOT-FOUND',
  )
})

test('an image that hashes to another root than the signed one gets no seal', async () => {
  const made = await make(standard)
  const images = made.manifest.images.map((it) => ({ ...it, verityRoot: 'ab'.repeat(32) as Digest }))
  const manifest = signEnvelope({ ...made.manifest, images }, [releaseSigner])
  const release = await open(await pack(new Map([...made.files, ['manifest.json', manifest]]), null))
  const contentKey = present(made.keys.get('rootfs'), 'content key')
  const device = memoryDevice(1 << 20, 4096)
  const plan = { image: 'rootfs', contentKey, seal: new Uint8Array(300).fill(1), zeroed: true }
  expect(await codeOf(writeSlot(release, plan, device))).toBe('EB-IMAGE')
  expect(device.medium.subarray(sealOffset(1 << 20)).every((it) => it === 0)).toBe(true)
  expect(device.pending()).toBeGreaterThan(0)
})

test('a cut at any operation leaves a whole image under the seal or no seal', async () => {
  const made = await make(standard, smallImage(4096 * 6))
  const release = await open(made.container)
  const image = present(made.manifest.images[0], 'image')
  const seal = orThrow(sealOf(made.manifest, trust.seal, verifyEd25519))
  const contentKey = present(made.keys.get('rootfs'), 'content key')
  const plan = { image: 'rootfs', contentKey, seal: seal.bytes, zeroed: false }
  const slotBytes = slotBytesNeeded(image.paddedBytes)
  let [cuts, sealed] = [0, 0]
  for (let operation = 0; ; operation += 1) {
    const device = memoryDevice(slotBytes, 4096, new Uint8Array(slotBytes).fill(0xaa))
    device.cutAt(operation)
    let done = false
    const work = writeSlot(release, plan, device).then(() => {
      done = true
    })
    while (!done && !device.fired()) await Promise.race([work, settle()])
    if (done) break
    cuts += 1
    for (const kept of [0, 1, 1000]) {
      const { medium } = device.afterCrash(() => kept)
      const found = openSeal(medium.subarray(sealOffset(slotBytes)), trust.seal, verifyEd25519)
      if (!found.ok) continue
      sealed += 1
      const builder = verityBuilder(image.paddedBytes)
      builder.update(medium.subarray(0, image.paddedBytes))
      expect(builder.finish(), `cut ${operation}, ${kept} sectors kept`).toBe(image.verityRoot)
    }
  }
  // Six pieces, one block of tree, flush, seal, flush; the seal may survive a cut in its write or flush.
  expect([cuts, sealed]).toEqual([10, 4])
})

test('progress is told after each piece, up to the end of the image', async () => {
  const made = await make(standard)
  const contentKey = present(made.keys.get('rootfs'), 'content key')
  const told: [number, number][] = []
  const plan = { image: 'rootfs', contentKey, seal: new Uint8Array(300), zeroed: true }
  const device = memoryDevice(1 << 20, 4096)
  await writeSlot(await open(made.container), plan, device, (done, total) => void told.push([done, total]))
  const total = 4 * 4096
  expect(told).toEqual([4096, 8192, 12_288, total].map((done) => [done, total]))
})

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
