/** What a sound file really is; and that one which lies, or is something else, is refused with its reason. */
import { describe, expect, it, test } from 'vitest'
import { audioLimits, clipLimits } from '../../core/clip-limits.ts'
import { flacOf, toneSamples } from '../../demo/sound.ts'
import { outcome, refusal } from './outcome.ts'
import { known, pageOf, pagesOf, riff, sample, waveFormat } from './samples.ts'

const names = Object.keys(known)
const second = Buffer.alloc(16_000, 1)

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

  it('with a tag that has a foot', async () => {
    const tag = Buffer.alloc(10 + 5 + 10)
    tag.set([0x49, 0x44, 0x33, 4, 0, 0x10, 0, 0, 0, 5])
    tag.set([0x33, 0x44, 0x49, 4, 0, 0x10, 0, 0, 0, 5], 15)
    expect(await outcome(Buffer.concat([tag, sample('tagged.mp3')]))).toEqual(known['tagged.mp3'])
  })

  it('though it does not say how long it is', async () => {
    const file = sample('small.flac')
    file.writeUInt32BE(0, 22)
    expect(await outcome(file)).toEqual(known['small.flac'])
  })

  it('up to the longest that a clip may be', async () => {
    const frame = sample('plain.mp3').subarray(0, 72)
    const frames = (count: number): Buffer => Buffer.alloc(count * frame.length, frame)
    const most = clipLimits.durationMsMax / 72
    expect(await outcome(frames(most))).toMatchObject({ durationMs: clipLimits.durationMsMax })
    expect(await outcome(frames(most + 1))).toEqual(refusal('it lasts 14400072 ms, limit 14400000'))
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
    const stereo = sample('plain.mp3')
    stereo.writeUInt8(stereo.readUInt8(3 * 72 + 3) & 0x3f, 3 * 72 + 3)
    expect(await outcome(stereo)).toEqual(refusal('frame 3 is of another kind than the first'))
    const followed = Buffer.concat([sample('plain.mp3'), second])
    expect(await outcome(followed)).toEqual(refusal('no frame begins at byte 504, after 7 of them'))
  })

  test('an mp3 without a frame of sound', async () => {
    const file = sample('tagged.mp3').subarray(0, 288)
    file.writeUInt32BE(0, 21)
    expect(await outcome(file)).toEqual(refusal('it holds no sound'))
  })

  test('a flac that claims another length', async () => {
    const claims = (samples: number): Buffer => {
      const file = sample('small.flac')
      file.writeUInt32BE(samples, 22)
      return file
    }
    expect(await outcome(claims(1_600))).toEqual(known['small.flac'])
    expect(await outcome(claims(1_601))).toEqual(refusal('says that it has 1601 samples, and has 1600'))
  })

  test('a flac whose frames are in another order, or that says too much', async () => {
    const file = Buffer.from(flacOf(toneSamples({ number: 1, durationMs: 1_500, sampleRate: 8_000 }), 8_000))
    expect(await outcome(file)).toMatchObject({ durationMs: 1_500 })
    const starts = [0, 1, 2].map((it) => file.indexOf(Buffer.from([0xff, 0xf8, 0x70, 8, it])))
    const [first = 0, next = 0, third = 0] = starts
    const frames = [file.subarray(first, next), file.subarray(next, third), file.subarray(third)]
    const order = (...at: number[]): Buffer =>
      Buffer.concat([file.subarray(0, first), ...at.map((it) => frames[it] ?? file)])
    expect(order(0, 1, 2).equals(file)).toBe(true)
    expect(await outcome(order(1, 0, 2))).toEqual(refusal('frame 0 is damaged or missing'))
    expect(await outcome(order(0, 0, 2))).toEqual(refusal('frame 1 is damaged or missing'))
    expect(await outcome(order(0, 2))).toEqual(refusal('frame 1 is damaged or missing'))
    const blocks = (count: number): Buffer =>
      Buffer.concat([
        Buffer.from('fLaC\0', 'latin1'),
        file.subarray(5, first),
        Buffer.alloc(count * 4, Buffer.from([1, 0, 0, 0])),
        Buffer.from([0x81, 0, 0, 0]),
        file.subarray(first),
      ])
    expect(await outcome(blocks(20))).toMatchObject({ durationMs: 1_500 })
    expect(await outcome(blocks(audioLimits.partsMax))).toEqual(refusal('too much'))
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

  test('an ogg of which a packet is torn, damaged or too long for a header', async () => {
    const [head, tags] = pagesOf(sample('opus.ogg'))
    if (head === undefined || tags === undefined) expect.fail('the sample has no headers')
    const { serial } = head
    const opus = (lacing: readonly number[], body: Uint8Array, title = 0): Buffer => {
      const headers = [pageOf(head), ...packetPages(serial, Buffer.concat([tags.body, Buffer.alloc(title)]))]
      const sequence = headers.length
      return Buffer.concat([
        ...headers,
        pageOf({ flags: 4, granule: 2_880n, serial, sequence, lacing, body }),
      ])
    }
    // Three frames of 20 ms each in one packet, as its second byte says.
    const three = Uint8Array.of(0x9b, 3, 0)
    expect(await outcome(opus([3], three))).toMatchObject({ format: 'ogg', sampleRate: 48_000 })
    expect(await outcome(opus([3], Uint8Array.of(0x9b, 0, 0)))).toEqual(refusal('a packet is damaged'))
    expect(await outcome(opus([3], Uint8Array.of(0x9b, 63, 0)))).toEqual(refusal('a packet is damaged'))
    expect(await outcome(opus([0, 3], three))).toEqual(refusal('a packet is damaged'))
    expect(await outcome(opus([3, 255], Buffer.alloc(258, three)))).toEqual(
      refusal('its last packet is torn'),
    )
    expect(await outcome(opus([3], three, 500_000))).toMatchObject({ format: 'ogg' })
    expect(await outcome(opus([3], three, audioLimits.headerBytesMax))).toEqual(refusal('too much'))
  })

  test('a Vorbis stream that claims more than its packets can hold', async () => {
    const [head] = pagesOf(sample('vorbis.ogg'))
    if (head === undefined) expect.fail('the sample has no headers')
    const { serial } = head
    const lines = Buffer.alloc(16)
    lines.write('\x03vorbis', 'latin1')
    const body = Buffer.concat([lines, Buffer.from('\x05vorbis', 'latin1')])
    const headers = pageOf({ flags: 0, granule: 0n, serial, sequence: 1, lacing: [16, 7], body })
    const longest = 2n ** BigInt((head.body[28] ?? 0) >>> 4) / 2n
    const vorbis = (granule: bigint): Buffer => {
      const sound = { lacing: [1, 1, 1], body: Buffer.alloc(3) }
      return Buffer.concat([
        pageOf(head),
        headers,
        pageOf({ flags: 4, granule, serial, sequence: 2, ...sound }),
      ])
    }
    expect(await outcome(vorbis(2n * longest))).toMatchObject({ format: 'ogg', sampleRate: 8_000 })
    expect(await outcome(vorbis(2n * longest + 1n))).toEqual(refusal('its packets hold'))
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

/** The pages from 1 on that one packet takes. */
function packetPages(serial: number, packet: Buffer): readonly Buffer[] {
  const room = 255 * 255
  const bodies = Array.from({ length: Math.floor(packet.length / room) + 1 }, (_, index) =>
    packet.subarray(index * room, (index + 1) * room),
  )
  return bodies.map((body, index) => {
    const full = Array.from({ length: Math.floor(body.length / 255) }, () => 255)
    const end = index === bodies.length - 1
    const lacing = end ? [...full, body.length % 255] : full
    const granule = end ? 0n : 2n ** 64n - 1n
    return pageOf({ flags: index === 0 ? 0 : 1, granule, serial, sequence: index + 1, lacing, body })
  })
}
