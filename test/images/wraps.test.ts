/** Key wraps: for the right release and device, signed, once each. */
import { expect, test } from 'vitest'
import { openWrap } from '../../images/release/piece-task.ts'
import { encodeWraps, openWraps } from '../../images/release/wraps.ts'
import { signEnvelope } from '../../keys/envelope.ts'
import { verifyEd25519 } from '../../keys/verify-node.ts'
import { testSigner } from '../keys/signers.ts'
import { flipped, make, releaseSigner, standard, trust, wrappingKeys } from './releases.ts'

const made = await make(standard)
const { manifest } = made
const good = encodeWraps(manifest.id, made.keys, wrappingKeys, releaseSigner)
const key = (): string => openKey('dev-1')

function openKey(device: string): string {
  const result = openWraps(good, manifest, trust.release, verifyEd25519)
  return (result.ok && result.value.get(device)?.get('rootfs')) || ''
}

function codeOf(bytes: Uint8Array): string {
  const result = openWraps(bytes, manifest, trust.release, verifyEd25519)
  return result.ok ? 'taken' : result.error.code
}

test('each device gets the content key with its own wrapping key only', () => {
  for (const [device, wrappingKey] of wrappingKeys) {
    const opened = openWrap(wrappingKey, openKey(device))
    expect(opened.ok && Buffer.from(opened.value).equals(made.keys.get('rootfs') ?? Buffer.alloc(0))).toBe(
      true,
    )
    const other = openWrap(flipped(wrappingKey, 0), openKey(device))
    expect(other.ok ? 'opened' : other.error.code).toBe('EB-WRONG-DEVICE')
  }
  expect(openKey('dev-3')).toBe('')
  const none = openWrap(new Uint8Array(32), undefined)
  expect(none.ok ? 'opened' : none.error.code).toBe('EB-WRONG-DEVICE')
})

const document = () => ({
  _type: 'everboot-wraps',
  format: 1,
  release: manifest.id,
  wraps: [{ device: 'dev-1', blob: 'rootfs', key: key() }],
})
const wrap = () => ({ device: 'dev-1', blob: 'rootfs', key: key() })

test.each<[string, () => object]>([
  ['of another type', () => ({ ...document(), _type: 'everboot-release' })],
  ['of another format', () => ({ ...document(), format: 2 })],
  ['for another release', () => ({ ...document(), release: 'demo-1.2.3-000000000000' })],
  ['with a field more', () => ({ ...document(), extra: 1 })],
  ['for a blob that is not there', () => ({ ...document(), wraps: [{ ...wrap(), blob: 'boot' }] })],
  ['with two keys for a device', () => ({ ...document(), wraps: [wrap(), wrap()] })],
  ['for a device with a path as its name', () => ({ ...document(), wraps: [{ ...wrap(), device: '../x' }] })],
  ['with a key one byte short', () => ({ ...document(), wraps: [{ ...wrap(), key: key().slice(4) }] })],
  ['with an empty key', () => ({ ...document(), wraps: [{ ...wrap(), key: '' }] })],
  ['with a key that is null', () => ({ ...document(), wraps: [{ ...wrap(), key: null }] })],
  [
    'with a key in another alphabet',
    () => ({ ...document(), wraps: [{ ...wrap(), key: `-${key().slice(1)}` }] }),
  ],
])('signed wraps %s are refused', (_, make) => {
  expect(codeOf(signEnvelope(document(), [releaseSigner]))).toBe('taken')
  expect(codeOf(signEnvelope(make(), [releaseSigner]))).toBe('EB-MANIFEST')
})

test("a stranger's wraps and damaged ones are refused", () => {
  expect(codeOf(encodeWraps(manifest.id, made.keys, wrappingKeys, testSigner('stranger')))).toBe(
    'EB-UNKNOWN-KEY',
  )
  for (let bit = 0; bit < good.length * 8; bit += 7) expect(codeOf(flipped(good, bit))).not.toBe('taken')
})

test('wraps for many devices are made and read in reasonable time', () => {
  const many = new Map(
    Array.from({ length: 10_000 }, (_, at) => [`device-${at}`, new Uint8Array(32).fill(at)]),
  )
  const bytes = encodeWraps(manifest.id, made.keys, many, releaseSigner)
  const started = performance.now()
  const result = openWraps(bytes, manifest, trust.release, verifyEd25519)
  expect(result.ok && result.value.size).toBe(10_000)
  expect(performance.now() - started).toBeLessThan(5000)
})
