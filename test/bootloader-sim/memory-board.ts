/**
 * A board's disks in memory with sealed little images, for tests of the loader.
 * Leaves to others: crashes, which the devices (memory-device.ts) do.
 */
import { generateKeyPairSync, sign } from 'node:crypto'
import type { Firmware } from '../../bootloader-sim/verified-slot.ts'
import { verifyNoble } from '../../bootloader-sim/verify-noble.ts'
import { readRecord, writeRecord, writeStamp } from '../../core/boot-partition.ts'
import type { BootRecord, SlotState } from '../../core/boot-record.ts'
import type { CommitStamp } from '../../core/commit-stamp.ts'
import { raise } from '../../core/errors.ts'
import type { BlockDevice, Disks } from '../../core/ports.ts'
import { blockBytes, MiB, roundUp, type SlotId } from '../../core/units.ts'
import { encodeSeal, type Seal } from '../../images/release/seal.ts'
import { sealOffset } from '../../images/release/slot-layout.ts'
import { verityBuilder } from '../../images/release/verity.ts'
import type { Signer } from '../../keys/envelope.ts'
import { keyIdOf, publicKeyOf } from '../../keys/public-key.ts'
import { type MemoryDevice, memoryDevice } from '../core/memory-device.ts'

export interface TestKey extends Signer {
  readonly raw: Uint8Array
}

export function testKey(): TestKey {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)
  return { raw, keyId: keyIdOf(publicKeyOf(raw)), sign: (message) => sign(null, message, privateKey) }
}

/** One key for all tests of a file: making them is slow. */
export const sealKey = testKey()

export const firmware: Firmware = {
  looks: 'verify',
  sealKeys: { keys: new Map([[sealKey.keyId, sealKey.raw]]), threshold: 1 },
  verify: verifyNoble,
  sealImage: 'rootfs',
}

export const slotBytes = 256 * 1024

export interface SlotContent {
  readonly sv: number
  readonly signer?: Signer
  /** Image bytes; blocks of `version` by default. */
  readonly bytes?: number
}

/** A slot as an installer leaves it. */
export function sealedSlot(content: SlotContent, bytes = slotBytes): Uint8Array {
  const slot = new Uint8Array(bytes)
  const size = content.bytes ?? 5 * blockBytes
  const padded = roundUp(size, blockBytes)
  slot.fill(content.sv, 0, size)
  const builder = verityBuilder(padded, (offset, block) => slot.set(block, padded + offset))
  builder.update(slot.slice(0, padded))
  const seal: Seal = {
    releaseId: `demo-${content.sv}.0-0123456789ab`,
    product: 'demo',
    version: `${content.sv}.0`,
    securityVersion: content.sv,
    floorAfterCommit: null,
    images: [{ name: 'rootfs', bytes: size, paddedBytes: padded, verityRoot: builder.finish() }],
  }
  slot.set(encodeSeal(seal, content.signer ?? sealKey), sealOffset(bytes))
  return slot
}

export interface MemoryBoard {
  readonly boot: MemoryDevice
  readonly slots: Readonly<Record<SlotId, MemoryDevice>>
}

export function boardWith(
  a: Uint8Array | null,
  b: Uint8Array | null,
  boot = memoryDevice(4 * MiB),
): MemoryBoard {
  const slot = (bytes: Uint8Array | null): MemoryDevice => memoryDevice(slotBytes, 512, bytes ?? undefined)
  return { boot, slots: { a: slot(a), b: slot(b) } }
}

export function record(a: string, b: string, priority: SlotId, floor = 0): BootRecord {
  const slot = (text: string): SlotState => {
    const [ok = '', sv = '', tries = ''] = text.split('/')
    return { ok: ok === '1', sv: Number(sv), tries: Number(tries) }
  }
  return { a: slot(a), b: slot(b), floor, priority, sequence: 0, others: new Map() }
}

/** Both copies, the second one newer. */
export async function withRecord(
  board: MemoryBoard,
  it: BootRecord,
  stamp?: CommitStamp,
): Promise<MemoryBoard> {
  const first = await writeRecord(board.boot, await readRecord(board.boot), it)
  await writeRecord(board.boot, first, it)
  if (stamp !== undefined) await writeStamp(board.boot, stamp)
  return board
}

export function disksOf(board: MemoryBoard, missing: readonly string[] = []): Disks {
  const open = async (name: string, device: BlockDevice): Promise<BlockDevice> =>
    missing.includes(name) ? raise('EB-SLOT-MISSING', `${name} does not exist`) : device
  return {
    openBoot: () => open('boot', board.boot),
    openSlot: (slot, image) => open(image === 'rootfs' ? slot : image, board.slots[slot]),
  }
}

/** Different bytes at each call, the same in each run. */
export function countingEntropy(): { bytes(count: number): Uint8Array } {
  let calls = 0
  return {
    bytes(count) {
      calls += 1
      return new Uint8Array(count).fill(calls)
    },
  }
}
