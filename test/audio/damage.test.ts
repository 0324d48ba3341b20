/** No sound file, however it is damaged and however long it is, comes to more than a refusal, and that soon. */
import fc from 'fast-check'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { readAudio } from '../../audio/read-audio.ts'
import { clipLimits } from '../../core/clip-limits.ts'
import { audioSchema } from '../../core/wire/skills.ts'
import { outcome, refusal } from './outcome.ts'
import { known, pageOf, pagesOf, sample } from './samples.ts'

const names = Object.keys(known)

describe('damage', () => {
  it.each(names)('is found wherever %s is cut off', async (name) => {
    const whole = sample(name)
    for (let length = 1; length < whole.length; length += 1) {
      const found = await outcome(whole.subarray(0, length))
      // Nothing says how many frames there were: cut after the sixth it is a file of six frames.
      const fewer = name === 'plain.mp3' && length % 72 === 0 && length > 2 * 72
      if (fewer) expect(found).toMatchObject({ durationMs: length })
      else expect(found, `${length} bytes`).toEqual(refusal('clip: '))
    }
  })

  it.each(['opus.ogg', 'vorbis.ogg'])('is found in every bit of %s', async (name) => {
    const file = sample(name)
    for (let bit = 0; bit < file.length * 8; bit += 1) {
      flip(file, bit)
      expect(await outcome(file), `bit ${bit}`).toEqual(refusal('clip: '))
      flip(file, bit)
    }
  })

  it('is found in every bit of the frames of a flac', async () => {
    const file = sample('small.flac')
    const soundBytes = ((known['small.flac']?.bitRate ?? 0) * 0.2) / 8
    for (let bit = (file.length - soundBytes) * 8; bit < file.length * 8; bit += 1) {
      flip(file, bit)
      expect(await outcome(file), `bit ${bit}`).toEqual(refusal('clip: '))
      flip(file, bit)
    }
  })

  it('never leads to more than a refusal or a description that can be sent', async () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...names), damage, async (name, changes) => {
        const file = sample(name)
        for (const [at, byte] of changes) file.writeUInt8(byte, at % file.length)
        await expectHarmless(file)
      }),
      { numRuns: 1_000 },
    )
  })

  it('never leads to more when the file is noise that begins like a sound', async () => {
    const begins = names.map((name) => sample(name).subarray(0, 64))
    const cut = fc.tuple(fc.constantFrom(...begins, Buffer.from('ID3')), fc.nat(64))
    await fc.assert(
      fc.asyncProperty(cut, fc.uint8Array({ maxLength: 4_096 }), async ([begin, length], noise) => {
        await expectHarmless(Buffer.concat([begin.subarray(0, length), noise]))
      }),
      { numRuns: 1_000 },
    )
  })
})

async function expectHarmless(bytes: Uint8Array): Promise<void> {
  const read = await readAudio(bytes, 'clip')
  if (read.ok) expect(v.safeParse(audioSchema, read.value).success).toBe(true)
  else expect(read.error.code).toBe(bytes.length === 0 ? 'EB-CLIP-SIZE' : 'EB-AUDIO')
}

function flip(file: Buffer, bit: number): void {
  file.writeUInt8(file.readUInt8(bit >>> 3) ^ (1 << (bit & 7)), bit >>> 3)
}

describe('the largest file is done with in seconds', { timeout: 60_000 }, () => {
  const deadlineMs = 15_000
  const largest = clipLimits.clipBytesMax

  it.each(Object.entries(worst()))('%s', async (_, make) => {
    const file = make(largest)
    expect(file.length).toBeLessThanOrEqual(largest)
    const began = performance.now()
    await expectHarmless(file)
    expect(performance.now() - began).toBeLessThan(deadlineMs)
  })
})

/** Files that take long to look through. */
function worst(): Readonly<Record<string, (bytes: number) => Buffer>> {
  const frame = sample('plain.mp3').subarray(0, 72)
  const [head, tags] = pagesOf(sample('opus.ogg'))
  const opusHeaders = [head, tags].flatMap((it) => (it === undefined ? [] : [pageOf(it)]))
  const onePacket = { flags: 0, serial: head?.serial ?? 0, lacing: [1], body: Uint8Array.of(0x80) }
  const begin = sample('small.flac').subarray(0, 600)
  return {
    'that looks like the beginning of a frame at each byte': (bytes) => Buffer.alloc(bytes, 0xff),
    'of the shortest frames': (bytes) => Buffer.alloc(Math.floor(bytes / 72) * 72, frame),
    'of pages with one packet of one byte': (bytes) => {
      // A quarter of it: the test takes longer to lay it out than it takes to be refused.
      const count = Math.floor(bytes / 4 / 29) - 100
      const page = (index: number): Buffer =>
        pageOf({ ...onePacket, granule: BigInt(index + 1) * 120n, sequence: index + 2 })
      return Buffer.concat([...opusHeaders, ...Array.from({ length: count }, (_, index) => page(index))])
    },
    'of one frame without an end': (bytes) =>
      Buffer.concat([begin, Buffer.alloc(bytes - begin.length, 0x55)]),
  }
}
