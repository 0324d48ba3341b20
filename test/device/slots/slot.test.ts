/** Looking at a slot: which seal it holds, and whether every image under the seal is as signed. */
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { AssertionFailed, present } from '../../../core/assert.ts'
import { EverbootError, raise } from '../../../core/errors.ts'
import { slotLimits } from '../../../core/limits.ts'
import type { BlockDevice, Disks } from '../../../core/ports.ts'
import { type Digest, MiB } from '../../../core/units.ts'
import { readAhead } from '../../../device/slots/read-ahead.ts'
import { isIntact, readSeal } from '../../../device/slots/slot.ts'
import { writeSeal } from '../../../device/slots/slot-writer.ts'
import { encodeSeal, type Seal } from '../../../images/release/seal.ts'
import { treeBytes, verityBuilder } from '../../../images/release/verity.ts'
import { verifyEd25519 } from '../../../keys/verify-node.ts'
import { type MemoryDevice, memoryDevice } from '../../core/memory-device.ts'
import { ringOf, testSigner } from '../../keys/signers.ts'

const signer = testSigner('seal')
const keys = { ring: ringOf([signer]), verify: verifyEd25519 }
const sizes = { rootfs: 4 * MiB + 4096, boot: 8192 } as const
const trees = { rootfs: treeBytes(sizes.rootfs), boot: treeBytes(sizes.boot) } as const
type Name = keyof typeof sizes

interface Slot {
  readonly seal: Seal
  readonly devices: Readonly<Record<Name, MemoryDevice>>
  readonly disks: Disks
  /** Devices opened and not closed again. */
  open(): number
}

/** A slot of two partitions whose images are as the seal says. */
async function slot(): Promise<Slot> {
  const made = (bytes: number): { readonly device: MemoryDevice; readonly root: Digest } => {
    const content = randomBytes(bytes + treeBytes(bytes))
    const builder = verityBuilder(bytes, (at, block) => content.set(block, bytes + at))
    builder.update(content.subarray(0, bytes))
    const root = builder.finish()
    return { device: memoryDevice(content.length + slotLimits.sealAreaBytes, 4096, content), root }
  }
  const [rootfs, boot] = [made(sizes.rootfs), made(sizes.boot)]
  const devices = { rootfs: rootfs.device, boot: boot.device }
  const images = (['rootfs', 'boot'] as const).map((name) => {
    const { root } = { rootfs, boot }[name]
    return { name, bytes: sizes[name] - 100, paddedBytes: sizes[name], verityRoot: root }
  })
  const seal: Seal = {
    ...{ releaseId: 'demo-2-0123456789ab', product: 'demo', version: '2' },
    ...{ securityVersion: 2, floorAfterCommit: null, images },
  }
  await writeSeal(devices.rootfs, encodeSeal(seal, signer))
  let open = 0
  const opened = (device: BlockDevice): BlockDevice => {
    open += 1
    const close = async (): Promise<void> => {
      open -= 1
    }
    return { ...device, close }
  }
  const disks: Disks = {
    openSlot: async (_, image) => opened(present(devices[image as Name], image)),
    openBoot: () => raise('EB-RECORD', 'no boot partition here'),
  }
  return { seal, devices, disks, open: () => open }
}

/** The same devices with one byte changed. */
function rotten({ devices, disks }: Slot, name: Name, at: number): Disks {
  const bytes = devices[name].medium.slice()
  bytes[at] = (bytes[at] ?? 0) ^ 0x01
  const device = memoryDevice(bytes.length, 4096, bytes)
  return {
    ...disks,
    openSlot: async (id, image, mode) => (image === name ? device : disks.openSlot(id, image, mode)),
  }
}

describe('the seal of a slot', () => {
  it('is read from the end of the first partition', async () => {
    const it = await slot()
    expect(await readSeal(it.disks, 'b', 'rootfs', keys)).toEqual(it.seal)
    expect(it.open()).toBe(0)
  })

  it('is none where nothing is sealed, the signature does not hold, or the key is unknown', async () => {
    const it = await slot()
    expect(await readSeal(it.disks, 'b', 'boot', keys)).toBeNull()
    expect(
      await readSeal(rotten(it, 'rootfs', sizes.rootfs + trees.rootfs + 20), 'b', 'rootfs', keys),
    ).toBeNull()
    const stranger = { ...keys, ring: ringOf([testSigner('stranger')]) }
    expect(await readSeal(it.disks, 'b', 'rootfs', stranger)).toBeNull()
    expect(it.open()).toBe(0)
  })

  it('that cannot be read is an error, not a missing seal, and the device is closed', async () => {
    const it = await slot()
    it.devices.rootfs.fail('read', () => raise('EB-SLOT-IO', 'planted'))
    await expect(readSeal(it.disks, 'b', 'rootfs', keys)).rejects.toThrow('planted')
    expect(it.open()).toBe(0)
  })
})

describe('a slot', () => {
  it('is intact when every image hashes to its root, and leaves its devices closed', async () => {
    const it = await slot()
    expect(await isIntact(it.disks, 'b', it.seal)).toBe(true)
    expect(it.open()).toBe(0)
  })

  it.each<[Name, number]>([
    ['rootfs', 0],
    ['rootfs', MiB],
    ['rootfs', sizes.rootfs - 1],
    ['boot', 0],
    ['boot', sizes.boot - 1],
  ])('is not intact when one bit of %s, byte %i, has changed', async (name, at) => {
    const it = await slot()
    expect(await isIntact(rotten(it, name, at), 'b', it.seal)).toBe(false)
  })

  it.each<[Name, number]>([
    ['rootfs', 0],
    ['rootfs', trees.rootfs - 1],
    ['boot', 100],
  ])('is not intact when one bit of the tree of %s, byte %i, has changed', async (name, at) => {
    const it = await slot()
    expect(await isIntact(rotten(it, name, sizes[name] + at), 'b', it.seal)).toBe(false)
  })

  it('is intact whatever stands behind the trees', async () => {
    const it = await slot()
    expect(await isIntact(rotten(it, 'boot', sizes.boot + trees.boot), 'b', it.seal)).toBe(true)
  })

  it('is not intact when a device is smaller than its image or cannot be read', async () => {
    const it = await slot()
    const device = memoryDevice(2 * MiB, 4096)
    const short: Disks = { ...it.disks, openSlot: async () => device }
    expect(await isIntact(short, 'b', it.seal)).toBe(false)
    expect(device.operations()).toBe(0)
    it.devices.boot.fail('read', () => raise('EB-SLOT-IO', 'planted'))
    expect(await isIntact(it.disks, 'b', it.seal)).toBe(false)
    expect(it.open()).toBe(0)
  })

  it('is no answer when a device cannot be opened, or when the program is wrong', async () => {
    const it = await slot()
    const busy: Disks = { ...it.disks, openSlot: async () => raise('EB-SLOT-BUSY', 'planted') }
    await expect(isIntact(busy, 'b', it.seal)).rejects.toThrow(EverbootError)
    it.devices.rootfs.fail('read', () => {
      throw new AssertionFailed('planted')
    })
    await expect(isIntact(it.disks, 'b', it.seal)).rejects.toThrow(AssertionFailed)
    expect(it.open()).toBe(0)
  })
})

describe('reading ahead', () => {
  it.each([4096, MiB, MiB + 4096, 3 * MiB, 5 * MiB - 4096])(
    'gives %i bytes whole and in order',
    async (bytes) => {
      const content = randomBytes(bytes)
      const device = memoryDevice(bytes, 4096, content)
      const parts: Buffer[] = []
      await readAhead(device, bytes, async (part, offset) => {
        expect(offset).toBe(parts.reduce((sum, it) => sum + it.length, 0))
        parts.push(Buffer.from(part))
        await new Promise((resolve) => setImmediate(resolve))
      })
      expect(Buffer.concat(parts).equals(content)).toBe(true)
    },
  )

  it('ends with the failure of the work or of a read, and leaves no rejection unhandled', async () => {
    const device = memoryDevice(5 * MiB, 4096)
    let taken = 0
    const work = readAhead(device, 5 * MiB, () => {
      taken += 1
      if (taken === 1) device.fail('read', () => raise('EB-SLOT-IO', 'planted'))
    })
    await expect(work).rejects.toThrow('planted')
    expect(taken).toBe(3)
    const stopped = readAhead(device, 5 * MiB, () => Promise.reject(new Error('enough')))
    await expect(stopped).rejects.toThrow(/planted|enough/)
  })
})
