/**
 * Real sound, made by Debian's speech synthesiser and encoders: each form at each sample rate, several languages,
 * constant and varying bit rates, more than one encoder; and files that are no clips.
 * Promise: what stands in the table is what was asked of the encoders, not what our own reader makes of it.
 * Leaves to others: the programs (sound-tools.ts), skipping when they are not there (`noSound`).
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type ClipFormat, sampleRates } from '../../core/wire/skills.ts'
import { ffmpeg, run } from './sound-tools.ts'

export { decodedSamples, noSound } from './sound-tools.ts'

export interface Sound {
  /** Name of the file, with its extension. */
  readonly name: string
  readonly file: string
  readonly format: ClipFormat
  /** As players play it: Opus has 48 kHz whatever it was made from. */
  readonly sampleRate: number
  readonly channels: number
  readonly language: string | null
  /** The samples are those of `source`, unless its rate was changed on the way. */
  readonly lossless: boolean
  /** The file that it was made from. */
  readonly source: string
  /** The bit rate that was asked for, when it is constant. */
  readonly bitRate: number | null
}

export interface Sounds {
  readonly all: readonly Sound[]
  /** Files that are no clips, by what they are. */
  readonly others: Readonly<Record<string, string>>
  named(name: string): Sound
}

interface Plan {
  readonly name: string
  readonly from?: string
  readonly rate: number
  readonly channels?: number
  /** After the format, for ffmpeg. */
  readonly options?: readonly string[]
  readonly bitRate?: number
}

const speech = [
  { language: 'en-GB', voice: 'en-gb', words: 'Good morning.' },
  { language: 'de', voice: 'de', words: 'Guten Morgen.' },
  { language: 'fr', voice: 'fr', words: 'Bonjour à tous.' },
  { language: 'zh', voice: 'cmn', words: '早上好' },
] as const

/** Encoders that ffmpeg runs in one process, all from the same speech. */
const plans: readonly Plan[] = [
  ...sampleRates.flatMap((rate): readonly Plan[] => [
    { name: `pcm-${rate}.wav`, rate },
    { name: `level-5-${rate}.flac`, rate },
    { name: `varying-${rate}.mp3`, rate, options: ['-q:a', '4'] },
    { name: `vorbis-${rate}.ogg`, rate, options: ['-c:a', 'libvorbis', '-q:a', '3'] },
  ]),
  { name: 'level-0.flac', rate: 22_050, options: ['-compression_level', '0'] },
  { name: 'level-12.flac', rate: 22_050, options: ['-compression_level', '12'] },
  { name: 'opus.ogg', rate: 48_000, options: ['-c:a', 'libopus', '-b:a', '24k'] },
  {
    name: 'opus-from-16000.ogg',
    rate: 16_000,
    channels: 2,
    options: ['-c:a', 'libopus', '-frame_duration', '60'],
  },
  { name: 'mulaw.wav', rate: 8_000, options: ['-c:a', 'pcm_mulaw'], bitRate: 64_000 },
  { name: 'float.wav', rate: 16_000, channels: 2, options: ['-c:a', 'pcm_f32le'], bitRate: 1_024_000 },
  { name: '24-bit.wav', rate: 48_000, options: ['-c:a', 'pcm_s24le'], bitRate: 1_152_000 },
  { name: 'constant.mp3', rate: 22_050, options: ['-b:a', '32k', '-id3v2_version', '3'], bitRate: 32_000 },
  {
    name: 'without-a-header.mp3',
    rate: 44_100,
    options: ['-b:a', '64k', '-write_xing', '0'],
    bitRate: 64_000,
  },
]

/** Not clips: rates that are not taken, other forms, pictures that move. */
const others: Readonly<Record<string, readonly string[]>> = {
  'rate-11025.wav': ['-ar', '11025'],
  'rate-32000.mp3': ['-ar', '32000'],
  'rate-96000.flac': ['-ar', '96000'],
  'aac.aac': ['-c:a', 'aac'],
  'aac.m4a': ['-c:a', 'aac'],
  'layer-two.mp2': ['-c:a', 'mp2', '-ar', '48000'],
  'opus.webm': ['-c:a', 'libopus', '-ar', '48000'],
  'adpcm.wav': ['-c:a', 'adpcm_ms'],
  'big.w64': ['-f', 'w64'],
  'apple.aiff': [],
  'free.oga': ['-c:a', 'flac', '-f', 'ogg'],
}

/** Two to three seconds of processor time. @param directory is made if need be */
export async function makeAudio(directory: string): Promise<Sounds> {
  await mkdir(directory, { recursive: true })
  const at = (name: string): string => join(directory, name)
  const spoken = await Promise.all(speech.map((it) => speak(at, it)))
  const [english = spoken[0]] = spoken
  if (english === undefined) throw new Error('nobody speaks')
  const tone = await sing(at)
  await encode(english.file, [
    ...plans.map((it): [string, readonly string[]] => [at(it.name), optionsOf(it)]),
    ...Object.entries(others).map(([name, options]): [string, readonly string[]] => [at(name), options]),
  ])
  await film(english.file, at('film.mp4'), at('film.ogv'))
  const encoded = plans.map((it) => soundOf(it, at, english.file))
  const all = [...spoken, ...encoded, tone, ...(await more(at, tone))]
  return {
    all,
    others: Object.fromEntries([...Object.keys(others), 'film.mp4', 'film.ogv'].map((it) => [it, at(it)])),
    named(name) {
      const found = all.find((it) => it.name === name)
      if (found === undefined) throw new Error(`there is no sound ${name}`)
      return found
    },
  }
}

type At = (name: string) => string

async function speak(at: At, { language, voice, words }: (typeof speech)[number]): Promise<Sound> {
  const name = `speech-${language}.wav`
  await run('espeak-ng', ['-v', voice, '-s', '260', '-w', at(name), words])
  return { ...plain(at, name, 22_050), language, source: at(name), lossless: true }
}

/** Two tones, one on each side. */
async function sing(at: At): Promise<Sound> {
  const name = 'tone.wav'
  const tones = ['synth', '0.5', 'sine', '440', 'sine', '660', 'gain', '-6']
  await run('sox', ['-n', '-r', '44100', '-b', '16', '-c', '2', at(name), ...tones])
  return { ...plain(at, name, 44_100), channels: 2, bitRate: 1_411_200 }
}

/** What other encoders make of the tone. */
async function more(at: At, { file, channels }: Sound): Promise<readonly Sound[]> {
  const lame = ['--quiet', file]
  await run('lame', ['-b', '128', '-q', '7', ...lame, at('lame-128-7.mp3')])
  await run('lame', ['-V', '5', '-q', '2', ...lame, at('lame-v5.mp3')])
  await run('lame', ['--abr', '96', '-t', '--resample', '44.1', ...lame, at('lame-abr.mp3')])
  await run('sox', [file, '-C', '6', at('sox.ogg')])
  await run('sox', [file, '-C', '8', at('sox.flac')])
  const of = (name: string, bitRate: number | null = null): Sound => ({
    ...plain(at, name, 44_100),
    channels,
    source: file,
    bitRate,
    lossless: name.endsWith('.flac'),
  })
  return [of('lame-128-7.mp3', 128_000), of('lame-v5.mp3'), of('lame-abr.mp3'), of('sox.ogg'), of('sox.flac')]
}

function plain(at: At, name: string, sampleRate: number): Sound {
  const format = formatOf(name)
  const bitRate = format === 'wav' ? sampleRate * 16 : null
  const lossless = format === 'wav' || format === 'flac'
  return {
    name,
    file: at(name),
    format,
    sampleRate,
    channels: 1,
    language: null,
    lossless,
    source: at(name),
    bitRate,
  }
}

function soundOf(plan: Plan, at: At, source: string): Sound {
  const opus = plan.options?.includes('libopus') === true
  const sound = plain(at, plan.name, opus ? 48_000 : plan.rate)
  return {
    ...sound,
    channels: plan.channels ?? 1,
    language: speech[0].language,
    source,
    bitRate: plan.bitRate ?? sound.bitRate,
  }
}

function formatOf(name: string): ClipFormat {
  if (name.endsWith('.mp3')) return 'mp3'
  if (name.endsWith('.ogg')) return 'ogg'
  return name.endsWith('.flac') ? 'flac' : 'wav'
}

function optionsOf({ rate, channels, options }: Plan): readonly string[] {
  return ['-ar', String(rate), '-ac', String(channels ?? 1), ...(options ?? [])]
}

async function encode(
  source: string,
  outputs: readonly (readonly [string, readonly string[]])[],
): Promise<void> {
  await ffmpeg('-i', source, ...outputs.flatMap(([file, options]) => ['-map', '0:a', ...options, file]))
}

async function film(sound: string, mp4: string, ogg: string): Promise<void> {
  const picture = ['-f', 'lavfi', '-i', 'testsrc=size=32x32:rate=5:duration=0.4']
  const end = ['-shortest', '-ar', '48000', '-ac', '1']
  await ffmpeg(...picture, '-i', sound, ...end, '-c:v', 'mpeg4', '-c:a', 'libmp3lame', mp4)
  await ffmpeg(...picture, '-i', sound, ...end, '-c:v', 'libtheora', '-c:a', 'libvorbis', ogg)
}
