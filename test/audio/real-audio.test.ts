/**
 * Real sound, read and compared with what was asked of the encoders and with what two programs of others say of the
 * same files.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkClaims } from '../../audio/claims.ts'
import { readAudio } from '../../audio/read-audio.ts'
import { type Audio, sampleRates } from '../../core/wire/skills.ts'
import { makeAudio, type Sound, type Sounds } from './real-audio.ts'
import { decodedSamples, noSound, probe, soxMeasure } from './sound-tools.ts'

const missing = await noSound()

describe.skipIf(missing !== null)('real sound', () => {
  let room = ''
  let sounds: Sounds
  const found = new Map<string, Audio>()
  beforeAll(async () => {
    room = await mkdtemp(join(tmpdir(), 'everboot-real-audio-'))
    sounds = await makeAudio(join(room, 'sounds'))
    for (const sound of sounds.all) {
      const read = await readAudio(await readFile(sound.file), sound.name)
      expect(read, sound.name).toMatchObject({ ok: true })
      if (read.ok) found.set(sound.name, read.value)
    }
  })
  afterAll(() => rm(room, { recursive: true, force: true }))

  const lossy = new Set(['mp3', 'ogg'])
  const audioOf = (name: string): Audio => found.get(name) ?? expect.fail(`${name} was not read`)
  const secondsOf = async (it: Sound): Promise<number> =>
    (await decodedSamples(it.file)).length / it.channels / it.sampleRate

  it('is there in every form at every rate', () => {
    for (const rate of sampleRates) {
      const forms = sounds.all.filter((it) => it.sampleRate === rate).map(({ format }) => format)
      expect(new Set(forms), String(rate)).toEqual(new Set(['wav', 'mp3', 'ogg', 'flac']))
    }
    expect(new Set(sounds.all.map(({ language }) => language))).toEqual(
      new Set(['en-GB', 'de', 'fr', 'zh', null]),
    )
  })

  it('is what was asked of the encoders', () => {
    for (const { name, format, sampleRate, channels, bitRate } of sounds.all) {
      expect(audioOf(name), name).toMatchObject({ format, sampleRate, channels })
      if (bitRate !== null) expect(audioOf(name).bitRate, name).toBe(bitRate)
    }
  })

  it('lasts as long as what it was made from', async () => {
    for (const sound of sounds.all) {
      const source = sounds.all.find(({ file }) => file === sound.source) ?? sound
      // Without a header nobody knows what the encoder added: some frames.
      const added = ['without-a-header.mp3', 'lame-abr.mp3'].includes(sound.name) ? 60 : 2
      const error = audioOf(sound.name).durationMs - (await secondsOf(source)) * 1_000
      expect(Math.abs(error), sound.name).toBeLessThan(added)
    }
  })

  it('lasts as long as a player plays it', async () => {
    for (const sound of sounds.all) {
      const error = audioOf(sound.name).durationMs - (await secondsOf(sound)) * 1_000
      expect(Math.abs(error), sound.name).toBeLessThan(lossy.has(sound.format) ? 60 : 2)
    }
  })

  it('is what ffprobe says', async () => {
    for (const { name, file, format } of sounds.all) {
      const [audio, measured] = [audioOf(name), await probe(file)]
      expect(audio, name).toMatchObject({ sampleRate: measured.sampleRate, channels: measured.channels })
      // It counts what the encoder added before the sound, and behind it.
      const addedMs = format === 'mp3' ? 210 : measured.codec === 'opus' ? 10 : 1
      expect(measured.seconds * 1_000 - audio.durationMs, name).toBeLessThan(addedMs)
      expect(measured.seconds * 1_000 - audio.durationMs, name).toBeGreaterThan(-60)
      const bitRate = measured.bitRate ?? audio.bitRate
      if (format !== 'mp3') expect(audio.bitRate, name).toBe(bitRate)
      expect(checkClaims(audio, { bitRate }, name), name).toMatchObject({ ok: true })
    }
  })

  it('is what sox says', async () => {
    const read = sounds.all.filter(({ name }) => /^(?!opus).*(wav|flac|ogg)$/.test(name))
    expect(read.length).toBeGreaterThan(15)
    for (const { name, file } of read) {
      const [audio, measured] = [audioOf(name), await soxMeasure(file)]
      expect(audio, name).toMatchObject({ sampleRate: measured.sampleRate, channels: measured.channels })
      expect(Math.abs(measured.seconds * 1_000 - audio.durationMs), name).toBeLessThan(1)
    }
  })

  it('says how LAME worked, where LAME says so', () => {
    expect(audioOf('lame-128-7.mp3').compressionLevel).toBe(7)
    for (const { name } of sounds.all) {
      if (!name.startsWith('lame-')) expect(audioOf(name).compressionLevel, name).toBeNull()
    }
  })

  it('is played as it was, where no form changes it', async () => {
    const same = sounds.all.filter(({ lossless, source, file }) => lossless && source !== file)
    let compared = 0
    for (const sound of same) {
      const source = sounds.all.find(({ file }) => file === sound.source)
      if (source?.sampleRate !== sound.sampleRate || source.channels !== sound.channels) continue
      expect(await decodedSamples(await readFile(sound.file)), sound.name).toEqual(
        await decodedSamples(source.file),
      )
      compared += 1
    }
    expect(compared).toBeGreaterThan(3)
  })

  it('is refused when it is of another kind', async () => {
    for (const [name, file] of Object.entries(sounds.others)) {
      const read = await readAudio(await readFile(file), name)
      expect(read, name).toMatchObject({ ok: false, error: { code: 'EB-AUDIO' } })
    }
  })

  it('is refused wherever it is cut off', async () => {
    for (const { name, file } of sounds.all) {
      if (name === 'without-a-header.mp3' || name === 'lame-abr.mp3') continue
      const bytes = await readFile(file)
      for (let part = 1; part < 40; part += 1) {
        const read = await readAudio(bytes.subarray(0, Math.floor((bytes.length * part) / 40)), name)
        expect(read, `${name}, part ${part}`).toMatchObject({ ok: false })
      }
    }
  })
})
