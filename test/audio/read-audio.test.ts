/** What a sound file really is; and that no file, however it is damaged or made to lie, is more than refused. */
import fc from 'fast-check'
import * as v from 'valibot'
import { describe, expect, it, test } from 'vitest'
import { readAudio } from '../../audio/read-audio.ts'
import { audioLimits, clipLimits } from '../../core/clip-limits.ts'
import { audioSchema } from '../../core/wire/skills.ts'
import { known, pageOf, pagesOf, riff, sample, waveFormat } from './samples.ts'

const names = Object.keys(known)
const second = Buffer.alloc(16_000, 1)

/** What it is, or code and text of the refusal. */
async function outcome(bytes: Uint8Array, name = 'clip'): Promise<unknown> {
  const read = await readAudio(bytes, name)
  return read.ok ? read.value : [read.error.code, read.error.what]
}

const refusal = (words: string): unknown => ['EB-AUDIO', expect.stringContaining(words)]

describe('a sound file is what its bytes say', () => {
  it.each(names)('%s', async (name) => {
    expect(await outcome(sample(name))).toEqual(known[name])
  })

  it('whatever its name says', async () => {
    expect(await outcome(sample('small.wav'), 'clip.mp3')).toEqual(known['small.wav'])
  })

  it('wherever it lies in memory', async () => {
    const room = Buffer.concat([second, sample('opus.ogg'), second])
    expect(await outcome(room.subarray(second.length, -second.length))).toEqual(known['opus.ogg'])
  })

  it('with tags before and after it', async () => {
    const tag = Buffer.alloc(10 + 300)
    tag.set([0x49, 0x44, 0x33, 4, 0, 0, 0, 0, 2, 44])
    const old = Buffer.alloc(128)
    old.write('TAG')
    const ape = Buffer.concat([Buffer.from('APETAGEX'), Buffer.alloc(60)])
    const mp3 = sample('tagged.mp3')
    for (const rest of [old, ape, Buffer.alloc(500)]) {
      expect(await outcome(Buffer.concat([tag, tag, Buffer.alloc(20), mp3, rest]))).toEqual(
        known['tagged.mp3'],
      )
    }
    expect(await outcome(Buffer.concat([tag, sample('small.flac')]))).toEqual(known['small.flac'])
  })

  it('with all sorts of chunks beside the sound, and a last byte that is left out', async () => {
    const info = Buffer.concat([Buffer.from('INFOIART'), Buffer.from([4, 0, 0, 0]), Buffer.from('Anna')])
    const chunks = [
      ['fmt ', waveFormat({ bits: 8 })],
      ['LIST', info],
      ['junk', second],
    ] as const
    const odd = riff([...chunks, ['data', second.subarray(0, 7_999)]])
    const wanted = { format: 'wav', durationMs: 1000, bitRate: 64_000 }
    expect(await outcome(odd)).toMatchObject(wanted)
    expect(await outcome(odd.subarray(0, -1))).toMatchObject(wanted)
  })
})

describe('is refused:', () => {
  test('an empty file, and one that is too large, by its size', async () => {
    expect(await outcome(new Uint8Array(), 'x')).toEqual(['EB-CLIP-SIZE', 'x is empty'])
    const large = new Uint8Array(clipLimits.clipBytesMax + 1)
    expect(await outcome(large)).toEqual(['EB-CLIP-SIZE', expect.stringContaining('limit 64.0 MiB')])
  })

  test.each([
    ['an MP4 or M4A file', [0, 0, 0, 32, 0x66, 0x74, 0x79, 0x70, 0x69, 0x73, 0x6f, 0x6d]],
    ['a Matroska or WebM file', [0x1a, 0x45, 0xdf, 0xa3]],
    ['an AAC stream', [0xff, 0xf1, 0x50, 0x80]],
    ['MPEG audio of layer II', [0xff, 0xfd, 0x90, 0]],
    ['no sound of a known form', [...Buffer.from('#!/bin/sh\n')]],
    ['no sound of a known form', [0x52]],
    ['no sound of a known form', [0x49, 0x44, 0x33, 4, 0, 0, 127, 127, 127, 127]],
  ])('%s', async (what, bytes) => {
    expect(await outcome(Uint8Array.from(bytes), 'x')).toEqual(['EB-AUDIO', `x: it is ${what}`])
  })

  test.each([
    ['its sample rate is 11025 Hz', { sampleRate: 11_025 }],
    ['its sample rate is 4294967295 Hz', { sampleRate: 0xffff_ffff, bits: 8 }],
    ['its sample rate is 0 Hz', { sampleRate: 0 }],
    ['it has 9 channels', { channels: 9 }],
    ['contradict each other', { channels: 0 }],
    ['contradict each other', { blockBytes: 4 }],
    ['contradict each other', { byteRate: 1 }],
    ['its coding is 1 of 12 bits', { bits: 12 }],
    ['its coding is 85 of 16 bits', { coding: 85 }],
  ])('a wav of which %s', async (words, format) => {
    const file = riff([
      ['fmt ', waveFormat(format)],
      ['data', second],
    ])
    expect(await outcome(file)).toEqual(refusal(words))
  })

  test('a wav that claims more than is there, or says too much', async () => {
    const format = ['fmt ', waveFormat()] as const
    const whole = riff([format, ['data', second]])
    expect(await outcome(whole)).toMatchObject({ durationMs: 1_000 })
    whole.writeUInt32LE(0xffff_fff0, 40)
    expect(await outcome(whole)).toEqual(refusal('claims 4294967280 bytes, there are 16000'))
    expect(await outcome(riff([format, ['data', second]], 20_000))).toEqual(refusal('claims 20008 bytes'))
    expect(await outcome(riff([format, ['data', second]], 0))).toEqual(refusal('no format or no sound'))
    expect(await outcome(riff([['data', second], format]))).toEqual(refusal('before its format'))
    expect(await outcome(riff([format, format, ['data', second]]))).toEqual(refusal('two chunks "fmt "'))
    expect(await outcome(riff([format, ['data', new Uint8Array()]]))).toEqual(refusal('it lasts no time'))
    expect(await outcome(riff([format, ['data', second.subarray(0, 6)]]))).toEqual(
      refusal('it lasts no time'),
    )
    const many = Array.from({ length: audioLimits.partsMax }, () => ['junk', second.subarray(0, 2)] as const)
    expect(await outcome(riff([format, ...many, ['data', second]]))).toEqual(refusal('too much'))
    const long = ['junk', new Uint8Array(audioLimits.headerBytesMax)] as const
    expect(await outcome(riff([format, long, ['data', second]]))).toEqual(refusal('too much'))
  })

  test('a wav whose chunk of facts has another length than its sound', async () => {
    const facts = Buffer.alloc(4)
    facts.writeUInt32LE(80_000)
    const coding = ['fmt ', waveFormat({ coding: 7, bits: 8 })] as const
    expect(await outcome(riff([coding, ['fact', facts], ['data', second]]))).toEqual(
      refusal('its headers say that it lasts 10 s, it lasts 2 s'),
    )
    facts.writeUInt32LE(16_000)
    expect(await outcome(riff([coding, ['fact', facts], ['data', second]]))).toMatchObject({
      durationMs: 2_000,
    })
  })

  test('an mp3 that claims other frames than it has, or changes its kind', async () => {
    const claims = (at: number, value: number): Buffer => {
      const file = sample('tagged.mp3')
      file.writeUInt32BE(value, at)
      return file
    }
    expect(await outcome(claims(21, 12))).toEqual(refusal('says that it has 12 frames, and has 11'))
    expect(await outcome(claims(21, 10))).toEqual(refusal('says that it has 10 frames, and has 11'))
    expect(await outcome(claims(25, 1_081))).toEqual(refusal('1081 bytes, and they have 1080'))
    const mixed = Buffer.concat([sample('plain.mp3'), sample('tagged.mp3')])
    expect(await outcome(mixed)).toEqual(refusal('frame 7 is of another kind than the first'))
    const followed = Buffer.concat([sample('plain.mp3'), second])
    expect(await outcome(followed)).toEqual(refusal('no frame begins at byte 504, after 7 of them'))
  })

  test('an mp3 without a frame of sound', async () => {
    const file = sample('tagged.mp3').subarray(0, 288)
    file.writeUInt32BE(0, 21)
    expect(await outcome(file)).toEqual(refusal('it holds no sound'))
  })

  test('a flac that claims another length, or none', async () => {
    const claims = (samples: number): Buffer => {
      const file = sample('small.flac')
      file.writeUInt32BE(samples, 22)
      return file
    }
    expect(await outcome(claims(1_600))).toEqual(known['small.flac'])
    expect(await outcome(claims(1_601))).toEqual(refusal('says that it has 1601 samples, and has 1600'))
    expect(await outcome(claims(0))).toEqual(refusal('does not say how long it is'))
  })

  test('an ogg that claims another length, or whose pages are not one stream', async () => {
    const pages = pagesOf(sample('opus.ogg'))
    const changed = (at: number, change: object): Buffer =>
      Buffer.concat(pages.map((it, index) => pageOf(index === at ? { ...it, ...change } : it)))
    const last = pages.length - 1
    const end = pages[last]?.granule ?? 0n
    expect(await outcome(changed(last, {}))).toEqual(known['opus.ogg'])
    expect(await outcome(changed(last, { granule: end + 48_000n }))).toEqual(refusal('its packets hold'))
    expect(await outcome(changed(last, { granule: 2n ** 62n }))).toEqual(refusal('it lasts too long'))
    expect(await outcome(changed(last, { granule: 0n }))).toEqual(refusal('claims -14400 samples'))
    expect(await outcome(changed(last, { granule: 2n ** 64n - 1n }))).toEqual(refusal('how far it goes'))
    expect(await outcome(changed(last, { serial: 5 }))).toEqual(refusal('more than one stream'))
    expect(await outcome(changed(last, { sequence: 9 }))).toEqual(refusal(`page ${last} is missing`))
    expect(await outcome(changed(last, { flags: 5 }))).toEqual(refusal('a packet is torn'))
    expect(await outcome(changed(last, { flags: 0 }))).toEqual(refusal('its last page is missing'))
    expect(await outcome(changed(1, { flags: 4 }))).toEqual(refusal('something follows its last page'))
    expect(await outcome(Buffer.concat([sample('opus.ogg'), sample('opus.ogg')]))).toEqual(refusal('follows'))
    const skipped = BigInt(pages[0]?.body[10] ?? 0) + 256n * BigInt(pages[0]?.body[11] ?? 0)
    const short = pages.flatMap((it, index) => {
      if (index > 1 && index < last) return []
      return [pageOf(index === last ? { ...it, sequence: 2, granule: skipped } : it)]
    })
    expect(await outcome(Buffer.concat(short))).toEqual(refusal('it lasts no time'))
  })

  test('a Vorbis stream with an absurd bit rate or length', async () => {
    const pages = pagesOf(sample('vorbis.ogg'))
    const [first] = pages
    const body = Buffer.from(first?.body ?? [])
    body.writeInt32LE(0x7fff_ffff, 20)
    const absurd = Buffer.concat(pages.map((it, index) => pageOf(index === 0 ? { ...it, body } : it)))
    expect(await outcome(absurd)).toEqual(refusal('its bit rate is 2147483647'))
    const long = pages.map((it) => pageOf(it.granule === 0n ? it : { ...it, granule: it.granule * 100n }))
    expect(await outcome(Buffer.concat(long))).toEqual(refusal('its packets hold'))
  })
})

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
