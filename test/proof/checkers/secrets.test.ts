/**
 * I10 and the search under it: keys and clear text where they must not be.
 */
import * as fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { findNeedle, needlesOf } from '../../../proof/checkers/needles.ts'
import { type Cast, makeCast } from './story.ts'
import { releaseNamed, tell, type Witness, witness } from './witness.ts'

let cast: Cast
beforeAll(async () => {
  cast = await makeCast()
})

const gap = 2 * 65_536

/** Everything that is secret on this board, as raw bytes. */
function secrets(at: Witness): readonly Uint8Array[] {
  const release = releaseNamed(at, 'good-1')
  const [key] = release.contentKeys.values()
  const [privateKey] = cast.publisher.privateKeys
  return [at.board.wrappingKey, key, privateKey].flatMap((it) => it ?? [])
}

describe('I10', () => {
  it('fires at a key anywhere on the boot partition', async () => {
    for (const number of [0, 1, 2]) {
      const at = await witness(cast)
      const block = new Uint8Array(8192)
      block.set(secrets(at)[number] ?? [], 4096 - 16)
      await at.board.bootDisk.write(gap, block)
      expect(at.fired(), `secret ${number}`).toEqual(['I10'])
    }
  })

  it('fires at a key in a file, raw, in hex and in base64 at any place', async () => {
    const forms: readonly ((key: Buffer) => Buffer)[] = [
      (key) => key,
      (key) => Buffer.from(key.toString('hex')),
      (key) => Buffer.from(key.toString('hex').toUpperCase()),
      (key) => Buffer.from(key.toString('base64')),
      (key) => Buffer.from(key.toString('base64url')),
      (key) => Buffer.from(Buffer.concat([Buffer.from('x'), key, Buffer.from('yz')]).toString('base64')),
      (key) => Buffer.from(Buffer.concat([Buffer.from('xy'), key, Buffer.from('z')]).toString('base64')),
    ]
    for (const [number, form] of forms.entries()) {
      const at = await witness(cast)
      const content = Buffer.concat([
        Buffer.from('{"key":"'),
        form(Buffer.from(at.board.wrappingKey)),
        Buffer.from('"}'),
      ])
      await at.board.files.write('note', content)
      expect(at.fired(), `form ${number}`).toEqual(['I10'])
      expect(at.said('I10')).toBe('the wrapping key of the board stands in file note')
    }
  })

  it('fires at clear text of an image', async () => {
    const at = await witness(cast)
    const { image } = releaseNamed(at, 'good-1')
    await at.board.files.write('note', image.subarray(4096, 8192))
    expect(at.fired()).toEqual(['I10'])
  })

  it('fires at a key in a log line', async () => {
    const at = await witness(cast)
    const what = Buffer.from(at.board.wrappingKey).toString('hex')
    tell(at, { kind: 'logged', event: { event: 'oops', what: `it is ${what}` } })
    expect(at.fired()).toEqual(['I10'])
  })

  it('lets images lie in slots and wrapped keys in the journal', async () => {
    const at = await witness(cast)
    await at.assign(releaseNamed(at, 'good-1'))
    await at.world.time.pass(60_000)
    expect(at.fired()).toEqual([])
  })
})

describe('the search for needles', () => {
  it('finds what is there and nothing else', () => {
    const bytes = fc.uint8Array({ minLength: 19, maxLength: 60 }).filter((it) => it[0] !== 0)
    const hay = fc.uint8Array({ minLength: 0, maxLength: 200 })
    fc.assert(
      fc.property(bytes, hay, hay, fc.nat(9000), (needle, before, after, zeros) => {
        const needles = needlesOf([{ name: 'it', bytes: needle }])
        const whole = Buffer.concat([before, Buffer.alloc(zeros), needle, after])
        expect(findNeedle(needles, whole)).toBe('it')
        const without = Buffer.concat([before, Buffer.alloc(zeros), after])
        expect(findNeedle(needles, without)).toBe(without.includes(Buffer.from(needle)) ? 'it' : null)
      }),
    )
  })

  it('tells several apart that begin alike', () => {
    const needles = needlesOf([
      { name: 'one', bytes: Buffer.from('alike for so long, then one') },
      { name: 'two', bytes: Buffer.from('alike for so long, then two') },
    ])
    for (let before = 0; before < 40; before += 1) {
      const dots = '.'.repeat(before)
      expect(findNeedle(needles, Buffer.from(`${dots}alike for so long, then two!`))).toBe('two')
      expect(findNeedle(needles, Buffer.from(`${dots}alike for so long, then one`))).toBe('one')
      expect(findNeedle(needles, Buffer.from(`${dots}alike for so long, then tw`))).toBeNull()
    }
  })

  it('finds what lies across pages, behind zeros and at the very end', () => {
    const bytes = Buffer.from('a needle of thirty-two bytes....')
    const needles = needlesOf([{ name: 'it', bytes: Buffer.concat([Buffer.alloc(3), bytes]) }])
    for (const at of [0, 1, 4064, 4080, 4095, 4096, 8160]) {
      const hay = Buffer.alloc(8192)
      bytes.copy(hay, at)
      expect(findNeedle(needles, hay), `at ${at}`).toBe('it')
    }
  })

  it('refuses what is too short to be found everywhere', () => {
    expect(() => needlesOf([{ name: 'it', bytes: Buffer.alloc(18, 1) }])).toThrow('too short')
    expect(() => needlesOf([{ name: 'it', bytes: Buffer.alloc(64) }])).toThrow('too short')
  })
})
