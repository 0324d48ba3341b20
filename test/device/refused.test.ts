/**
 * What is refused before the first byte: each with its code in the one final report, the spare slot and the
 * record untouched, and the next good release installed as if nothing had been.
 */
import { createHash } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { raise } from '../../core/errors.ts'
import type { Digest } from '../../core/units.ts'
import type { AssignedRelease } from '../../core/wire/messages.ts'
import { encodeSeal } from '../../images/release/seal.ts'
import { type Signer, signEnvelope } from '../../keys/envelope.ts'
import { assignedTo, type MadeRelease, type MakeOptions, publisher } from '../../proof/publisher.ts'
import {
  type Factory,
  makeFactory,
  reported,
  type Scene,
  scene,
  stillUpdates,
  storageOf,
  wish,
} from './fixtures.ts'

let factory: Factory
beforeAll(async () => {
  factory = await makeFactory()
})

/** Serves a manifest under the release's name and assigns exactly its bytes. */
function withManifest(at: Scene, release: MadeRelease, bytes: Uint8Array): AssignedRelease {
  const assigned = assignedTo(release, at.board.wrappingKey)
  at.world.net.files.files.set(assigned.manifest.path, bytes)
  const sha256 = createHash('sha256').update(bytes).digest('hex') as Digest
  return { ...assigned, manifest: { ...assigned.manifest, bytes: bytes.length, sha256 } }
}

/** The manifest with some of its fields changed, signed again. */
function resigned(release: MadeRelease, change: object, signers: readonly Signer[]): Uint8Array {
  return signEnvelope({ ...release.manifest, ...change }, signers)
}

/** The manifest with a text in it replaced, its signature as it was. */
function edited(release: MadeRelease, from: string, to: string): Uint8Array {
  const text = Buffer.from(release.manifestBytes).toString('utf8')
  expect(text).toContain(from)
  return Buffer.from(text.replace(from, to))
}

interface Case {
  readonly name: string
  readonly code: ErrorCode
  readonly options?: MakeOptions
  assigned(at: Scene, v2: MadeRelease): AssignedRelease | Promise<AssignedRelease>
}

const own = (at: Scene, v2: MadeRelease): AssignedRelease => assignedTo(v2, at.board.wrappingKey)

const cases: readonly Case[] = [
  {
    name: 'a manifest with a changed field under its old signature',
    code: 'EB-SIGNATURE',
    assigned: (at, v2) => withManifest(at, v2, edited(v2, '"version":"2"', '"version":"3"')),
  },
  {
    name: 'a release of another publisher',
    code: 'EB-UNKNOWN-KEY',
    async assigned(at) {
      const theirs = await publisher(2).make('2', 'healthy')
      for (const [name, bytes] of theirs.files)
        at.world.net.files.files.set(`/blobs/${theirs.manifest.id}/${name}`, bytes)
      return own(at, theirs)
    },
  },
  {
    name: 'a manifest without any signature',
    code: 'EB-UNKNOWN-KEY',
    assigned: (at, v2) => withManifest(at, v2, resigned(v2, {}, [])),
  },
  {
    name: 'a manifest that is not canonical',
    code: 'EB-ENVELOPE',
    assigned: (at, v2) => withManifest(at, v2, edited(v2, '"version":"2"', '"version": "2"')),
  },
  {
    name: 'a truncated manifest',
    code: 'EB-ENVELOPE',
    assigned: (at, v2) => withManifest(at, v2, v2.manifestBytes.subarray(0, -7)),
  },
  {
    name: 'an extended manifest',
    code: 'EB-ENVELOPE',
    assigned: (at, v2) => withManifest(at, v2, Buffer.concat([v2.manifestBytes, Buffer.from('\n')])),
  },
  {
    name: 'a manifest longer than its limit',
    code: 'EB-ENDLESS',
    assigned: (at, v2) => {
      const it = own(at, v2)
      return { ...it, manifest: { ...it.manifest, bytes: 2 ** 30 } }
    },
  },
  {
    name: 'a manifest of another length than assigned',
    code: 'EB-RANGE',
    assigned: (at, v2) => {
      const it = own(at, v2)
      return { ...it, manifest: { ...it.manifest, bytes: it.manifest.bytes - 1 } }
    },
  },
  {
    name: 'a manifest with another hash than assigned',
    code: 'EB-MANIFEST',
    assigned: (at, v2) => {
      const it = own(at, v2)
      return { ...it, manifest: { ...it.manifest, sha256: '0'.repeat(64) as Digest } }
    },
  },
  {
    name: 'the manifest of another release',
    code: 'EB-MANIFEST',
    assigned: (at, v2) => ({ ...own(at, v2), id: 'demo-9-000000000000' }),
  },
  {
    name: 'a signed manifest of a later format',
    code: 'EB-UNSUPPORTED',
    assigned: (at, v2) =>
      withManifest(at, v2, resigned(v2, { format: 2 }, [factory.publisher.releaseSigner])),
  },
  {
    name: 'a signed manifest with a field that is not known',
    code: 'EB-MANIFEST',
    assigned: (at, v2) => withManifest(at, v2, resigned(v2, { extra: 1 }, [factory.publisher.releaseSigner])),
  },
  {
    name: 'a seal by an unknown key in a signed manifest',
    code: 'EB-SEAL',
    assigned(at, v2) {
      const { manifest } = v2
      const seal = encodeSeal({ ...manifest, releaseId: manifest.id }, publisher(2).sealSigner)
      const change = { seal: Buffer.from(seal).toString('base64') }
      return withManifest(at, v2, resigned(v2, change, [factory.publisher.releaseSigner]))
    },
  },
  {
    name: 'a seal that says more than its manifest',
    code: 'EB-SEAL',
    assigned(at, v2) {
      const { manifest } = v2
      const label = { ...manifest, releaseId: manifest.id, securityVersion: 9 }
      const change = { seal: Buffer.from(encodeSeal(label, factory.publisher.sealSigner)).toString('base64') }
      return withManifest(at, v2, resigned(v2, change, [factory.publisher.releaseSigner]))
    },
  },
  {
    name: 'a release for other hardware',
    code: 'EB-WRONG-HARDWARE',
    options: { hardware: ['pi'] },
    assigned: own,
  },
  {
    name: 'a release of another product',
    code: 'EB-WRONG-PRODUCT',
    options: { product: 'radio' },
    assigned: own,
  },
  {
    name: 'a release with an image too many',
    code: 'EB-WRONG-HARDWARE',
    options: { more: ['boot'] },
    assigned: own,
  },
  { name: 'an image larger than the slot', code: 'EB-TOO-LARGE', options: { pieces: 70 }, assigned: own },
  {
    name: 'an image that fits the slot, but not with tree and seal',
    code: 'EB-TOO-LARGE',
    options: { pieces: 48 },
    assigned: own,
  },
  {
    name: 'an assignment without the content key',
    code: 'EB-WRONG-DEVICE',
    assigned: (at, v2) => ({ ...own(at, v2), keys: {} }),
  },
  {
    name: 'a content key that is wrapped for another device',
    code: 'EB-WRONG-DEVICE',
    assigned: (_, v2) => assignedTo(v2, new Uint8Array(32)),
  },
  {
    name: 'a content key that is no wrapped key',
    code: 'EB-WRONG-DEVICE',
    assigned: (at, v2) => ({ ...own(at, v2), keys: { rootfs: 'AAAA' } }),
  },
]

describe('before the first byte is refused', () => {
  it.each(cases)('$name: $code', async ({ code, options, assigned }) => {
    const at = await scene(factory)
    const v2 = await at.release('2', 'healthy', options)
    const before = await storageOf(at.board)
    const seq = await wish(at, await assigned(at, v2))
    const report = await reported(at, seq)
    expect(report).toMatchObject({ result: 'failed', code })
    expect(report.what?.length).toBeGreaterThan(10)
    expect(await storageOf(at.board)).toEqual(before)
    expect(at.board.boots).toEqual(['a'])
    await stillUpdates(at)
  })

  it('a release below the floor: EB-ROLLBACK', async () => {
    const at = await scene(factory)
    const options = { securityVersion: 4, floorAfterCommit: 4 }
    expect(await reported(at, await at.assign(await at.release('4', 'healthy', options)))).toMatchObject({
      result: 'ok',
    })
    const before = await storageOf(at.board)
    const seq = await at.assign(await at.release('5', 'healthy', { securityVersion: 3 }))
    expect(await reported(at, seq)).toMatchObject({ result: 'failed', code: 'EB-ROLLBACK' })
    expect(await storageOf(at.board)).toEqual(before)
    expect(at.board.boots).toEqual(['a', 'b'])
  })
})

describe('a spare slot that cannot be used', () => {
  for (const code of ['EB-SLOT-MISSING', 'EB-SLOT-READ-ONLY', 'EB-SLOT-BUSY'] as const) {
    it(`is reported as ${code}, and used once it can be`, async () => {
      const at = await scene(factory)
      const before = await storageOf(at.board)
      at.board.system.openSlot = (slot, _, mode) => {
        if (slot === 'b' && mode === 'exclusive') raise(code, 'slot b')
      }
      const seq = await at.assign(await at.release('2', 'healthy'))
      expect(await reported(at, seq)).toMatchObject({ result: 'failed', code })
      expect(await storageOf(at.board)).toEqual(before)
      at.board.system.openSlot = () => {}
      await stillUpdates(at)
    })
  }

  it('because it is mounted is still the one to go back to', async () => {
    const at = await scene(factory)
    expect(await reported(at, await at.assign(await at.release('2', 'healthy')))).toMatchObject({
      result: 'ok',
    })
    at.board.system.openSlot = (slot, _, mode) => {
      if (slot === 'a' && mode === 'exclusive') raise('EB-SLOT-BUSY', 'slot a')
    }
    await at.world.publish(at.v1)
    expect(await reported(at, await at.assign(at.v1))).toMatchObject({ result: 'ok' })
    expect(at.board.boots).toEqual(['a', 'b', 'a'])
  })

  it('because it can be neither read nor written is EB-SLOT-MISSING, and harms nothing', async () => {
    const at = await scene(factory)
    at.board.system.openSlot = (slot) => {
      if (slot === 'b') raise('EB-SLOT-MISSING', 'slot b')
    }
    const seq = await at.assign(await at.release('2', 'healthy'))
    expect(await reported(at, seq)).toMatchObject({ code: 'EB-SLOT-MISSING' })
    at.board.system.openSlot = () => {}
    await stillUpdates(at)
  })
})

describe('while a trial is open', () => {
  it('an assignment is refused, and begun when it is closed', async () => {
    const at = await scene(factory)
    // The loader could not start the armed slot, and the agent could not yet put the record right.
    const { board, world } = at
    const v2 = await at.release('2', 'healthy')
    board.system.reboot = () => raise('EB-TOOL-FAILED', 'no reboot')
    const seq = await at.assign(v2)
    await world.time.pass(120_000)
    expect(board.ends.map((it) => it.code)).toContain('EB-TOOL-FAILED')
    expect(await board.record()).toMatchObject({ priority: 'b', b: { tries: 3 } })
    board.system.reboot = () => {}
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
  })
})
