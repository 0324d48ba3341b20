/**
 * The programs that make, decode and measure real sound, each as a function.
 * Promise: what a program says it cannot do is thrown with its words.
 * Leaves to others: which sounds (real-audio.ts).
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { ensureHostTools, type HostTool, soundTools } from '../../images/build/adapters/host-tools.ts'

/** What ffprobe or soxi say of a file. */
export interface Measured {
  readonly codec: string
  readonly sampleRate: number
  readonly channels: number
  /** Of one channel. */
  readonly seconds: number
  /** null: it does not say. */
  readonly bitRate: number | null
}

/** @returns why there is no real sound here; null: there is. Root on Debian gets what is missing. */
export async function noSound(): Promise<string | null> {
  try {
    await ensureHostTools(soundTools, { install: process.getuid?.() === 0 })
    return null
  } catch (caught) {
    const reason = caught instanceof Error ? caught.message : String(caught)
    console.info(`skipped: real sound: ${reason}`)
    return reason
  }
}

/** @returns what it prints. @throws Error with what it says when it fails */
export async function run(tool: HostTool, args: readonly string[], input?: Uint8Array): Promise<Buffer> {
  const child = spawn(tool, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  const out: Buffer[] = []
  const errors: Buffer[] = []
  child.stdout.on('data', (it) => out.push(it))
  child.stderr.on('data', (it) => errors.push(it))
  child.stdin.on('error', () => {
    // A tool that has seen enough closes its input; its status says what matters.
  })
  child.stdin.end(input ?? '')
  const [status] = await once(child, 'close')
  if (status !== 0) throw new Error(`${tool} ${args.join(' ')}: status ${status}: ${Buffer.concat(errors)}`)
  return Buffer.concat(out)
}

export const ffmpeg = (...args: readonly string[]): Promise<Buffer> =>
  run('ffmpeg', ['-nostdin', '-v', 'error', '-y', '-threads', '1', ...args])

/** What a player gets to hear: 16 bits, channels in turn, at the rate of the file. @param sound a file, or its bytes */
export async function decodedSamples(sound: string | Uint8Array): Promise<Int16Array> {
  const from = typeof sound === 'string' ? sound : 'pipe:0'
  const args = ['-v', 'error', '-i', from, '-f', 's16le', '-c:a', 'pcm_s16le', 'pipe:1']
  const bytes = await run('ffmpeg', args, typeof sound === 'string' ? undefined : sound)
  return new Int16Array(Uint8Array.from(bytes).buffer)
}

export async function probe(file: string): Promise<Measured> {
  const entries = 'stream=codec_name,sample_rate,channels,bit_rate,duration'
  const text = await run('ffprobe', ['-v', 'error', '-show_entries', entries, '-of', 'json', file])
  const stream: Readonly<Record<string, unknown>> = JSON.parse(text.toString()).streams[0]
  const bitRate = stream['bit_rate']
  return {
    codec: String(stream['codec_name']),
    sampleRate: Number(stream['sample_rate']),
    channels: Number(stream['channels']),
    seconds: Number(stream['duration']),
    bitRate: bitRate === undefined ? null : Number(bitRate),
  }
}

/** For wav, flac and Vorbis: what Debian's sox reads without a further package. */
export async function soxMeasure(file: string): Promise<Omit<Measured, 'bitRate'>> {
  const ask = async (option: string): Promise<string> => (await run('soxi', [option, file])).toString().trim()
  return {
    codec: await ask('-e'),
    sampleRate: Number(await ask('-r')),
    channels: Number(await ask('-c')),
    seconds: Number(await ask('-D')),
  }
}
