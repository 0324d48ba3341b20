/**
 * The plan: every condition, each with its code, and what it gives when all hold.
 */
import { describe, expect, it } from 'vitest'
import { fault } from '../../../core/errors.ts'
import { slotLimits } from '../../../core/limits.ts'
import { fail, ok } from '../../../core/result.ts'
import { type Digest, MiB } from '../../../core/units.ts'
import { type BoardFacts, planInstall } from '../../../device/update/plan.ts'
import type { Manifest } from '../../../images/release/manifest.ts'
import { treeBytes } from '../../../images/release/verity.ts'

const root = 'cd'.repeat(32) as Digest
const paddedBytes = MiB

const image = (name: string) => ({ name, bytes: paddedBytes, paddedBytes, verityRoot: root })
const blob = (name: string) => ({
  id: name,
  image: name,
  kind: 'full' as const,
  suite: 'aes-256-gcm' as const,
  pieceBytes: MiB,
  pieces: 1,
  bytes: 1,
  sha256: root,
  index: { bytes: 1, sha256: root, pages: [root] },
})

const manifest: Manifest = {
  _type: 'everboot-release',
  format: 1,
  id: 'demo-2-000000000000',
  product: 'demo',
  version: '2',
  securityVersion: 3,
  floorAfterCommit: null,
  hardware: ['sim', 'pi'],
  profile: 'standard',
  images: [image('rootfs'), image('boot')],
  blobs: [blob('boot'), blob('rootfs')],
  seal: '',
}

const needed = paddedBytes + treeBytes(paddedBytes) + slotLimits.sealAreaBytes
const board: BoardFacts = {
  product: 'demo',
  hardware: ['sim'],
  floor: 3,
  partitions: [
    { name: 'rootfs', bytes: needed },
    { name: 'boot', bytes: needed },
  ],
}

const keyOf = (id: string) => ok(new Uint8Array(32).fill(id.length))

function codeOf(
  change: { manifest?: Partial<Manifest>; board?: Partial<BoardFacts> },
  keys: Parameters<typeof planInstall>[2] = keyOf,
): string {
  const planned = planInstall({ ...manifest, ...change.manifest }, { ...board, ...change.board }, keys)
  return planned.ok ? 'planned' : planned.error.code
}

describe('the plan', () => {
  it('gives each partition its image, blob and key, in the order of the partitions', () => {
    const planned = planInstall(manifest, board, keyOf)
    expect(planned.ok && planned.value.map((it) => [it.image.name, it.blob.id, it.contentKey[0]])).toEqual([
      ['rootfs', 'rootfs', 6],
      ['boot', 'boot', 4],
    ])
  })

  it('takes one hardware id in common, and none less', () => {
    expect(codeOf({ board: { hardware: ['x', 'pi'] } })).toBe('planned')
    expect(codeOf({ board: { hardware: ['x'] } })).toBe('EB-WRONG-HARDWARE')
    expect(codeOf({ board: { hardware: [] } })).toBe('EB-WRONG-HARDWARE')
    expect(codeOf({ board: { hardware: ['si', 'SIM', 'sim '] } })).toBe('EB-WRONG-HARDWARE')
  })

  it('takes a release at the floor, none below it', () => {
    expect(codeOf({ board: { floor: 3 } })).toBe('planned')
    expect(codeOf({ board: { floor: 4 } })).toBe('EB-ROLLBACK')
    // As numbers, not as texts.
    expect(codeOf({ manifest: { securityVersion: 10 }, board: { floor: 9 } })).toBe('planned')
  })

  it('takes an image that just fits with tree and seal, none a byte larger', () => {
    const [first, second] = board.partitions
    if (first === undefined || second === undefined) throw new Error('two partitions')
    expect(codeOf({ board: { partitions: [{ ...first, bytes: needed - 1 }, second] } })).toBe('EB-TOO-LARGE')
    expect(codeOf({ board: { partitions: [first, { ...second, bytes: needed - 1 }] } })).toBe('EB-TOO-LARGE')
  })

  it('takes sizes past 2^31 and 2^32 for what they are', () => {
    for (const bytes of [2 ** 31 - 4096, 2 ** 31, 2 ** 32, 2 ** 32 + 4096]) {
      const large = { ...image('rootfs'), bytes, paddedBytes: bytes }
      const change = {
        manifest: { images: [large], blobs: [blob('rootfs')] },
      }
      const room = bytes + treeBytes(bytes) + slotLimits.sealAreaBytes
      expect(
        codeOf({ ...change, board: { partitions: [{ name: 'rootfs', bytes: room }] } }),
        `${bytes}`,
      ).toBe('planned')
      expect(codeOf({ ...change, board: { partitions: [{ name: 'rootfs', bytes: room - 1 }] } })).toBe(
        'EB-TOO-LARGE',
      )
    }
  })

  it('takes a release of this product with exactly the images that the slot has partitions for', () => {
    expect(codeOf({ board: { product: 'radio' } })).toBe('EB-WRONG-PRODUCT')
    const [first] = board.partitions
    expect(codeOf({ board: { partitions: first === undefined ? [] : [first] } })).toBe('EB-WRONG-HARDWARE')
    const other = [
      { name: 'rootfs', bytes: needed },
      { name: 'data', bytes: needed },
    ]
    expect(codeOf({ board: { partitions: other } })).toBe('EB-WRONG-HARDWARE')
  })

  it('passes on why there is no content key', () => {
    expect(codeOf({}, () => fail(fault('EB-WRONG-DEVICE', 'none')))).toBe('EB-WRONG-DEVICE')
  })
})
