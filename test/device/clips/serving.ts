/**
 * For the tests of the local interface: a real clip service over a real directory with a hub in memory, doubles of the service for odd
 * cases, and HTTP by hand.
 */
import { createHash } from 'node:crypto'
import { type IncomingHttpHeaders, type RequestOptions, request } from 'node:http'
import { connect } from 'node:net'
import { listEntry } from '../../../audio/list-entry.ts'
import { readAudio } from '../../../audio/read-audio.ts'
import { type FileServer, fileServer } from '../../../bootloader-sim/devices/network.ts'
import { orThrow } from '../../../core/errors.ts'
import type { LogEvent } from '../../../core/ports.ts'
import { MiB } from '../../../core/units.ts'
import type { Audio, ListedClip } from '../../../core/wire/skills.ts'
import { systemEntropy, systemRandom } from '../../../device/adapters/chance.ts'
import { systemClock } from '../../../device/adapters/clock.ts'
import { type OpenClipFiles, openClipFiles } from '../../../device/clips/adapters/clip-files.ts'
import {
  type ClipService,
  type ClipSettings,
  openClipService,
  type Playable,
} from '../../../device/clips/clip-service.ts'
import { signEnvelope } from '../../../keys/envelope.ts'
import { verifyEd25519 } from '../../../keys/verify-node.ts'
import { riff, waveFormat } from '../../audio/samples.ts'
import { ringOf, testSigner } from '../../keys/signers.ts'

/** A WAV file of just so many bytes (an even number), different for each name. */
export function wav(name: string, bytes = 4_000): Buffer {
  const block = createHash('sha512').update(name).digest()
  const sound = Buffer.alloc(bytes - 44)
  for (let at = 0; at < sound.length; at += block.length) {
    block.writeUInt32LE(at, 0)
    block.copy(sound, at)
  }
  return riff([
    ['fmt ', waveFormat()],
    ['data', sound],
  ])
}

export function sha(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

export const someAudio: Audio = {
  format: 'wav',
  durationMs: 250,
  sampleRate: 8_000,
  bitRate: 128_000,
  channels: 1,
  compressionLevel: null,
}

export interface Cache {
  readonly service: ClipService
  readonly files: OpenClipFiles
  readonly hub: FileServer
  readonly events: LogEvent[]
  /** Puts clips on the hub and announces them as those of a skill. */
  publish(skill: string, clips: Readonly<Record<string, Buffer>>): Promise<void>
  close(): Promise<void>
}

const signer = testSigner('skills')

/** @param directory of the cache */
export async function openCache(
  directory: string,
  settings: Partial<ClipSettings> = {},
  partBytes = 20_000,
): Promise<Cache> {
  const files = await openClipFiles(directory)
  const hub = fileServer(systemClock, partBytes)
  const events: LogEvent[] = []
  const ports = {
    ...{ files, clock: systemClock, random: systemRandom, entropy: systemEntropy, fetch: hub },
    events: { emit: (event: LogEvent) => void events.push(event) },
  }
  const service = await openClipService(ports, { ...usual, ...settings })
  let seq = 0
  return {
    ...{ service, files, hub, events },
    async publish(skill, clips) {
      const listed: ListedClip[] = []
      for (const [id, bytes] of Object.entries(clips)) {
        hub.files.set(`/clips/${sha(bytes)}`, bytes)
        listed.push(listEntry(id, bytes, orThrow(await readAudio(bytes, id)), { language: 'en-GB' }))
      }
      const list = Buffer.from(JSON.stringify({ v: 1, clips: listed }))
      hub.files.set(`/clips/${sha(list)}`, list)
      seq += 1
      const announcement = { _type: 'everboot-skill', format: 1, id: skill, seq, version: `${seq}` }
      const signed = { ...announcement, list: { bytes: list.length, sha256: sha(list) } }
      await service.announced(skill, signEnvelope(signed, [signer]))
    },
    async close() {
      await service.close()
      await files.close()
    },
  }
}

const usual: ClipSettings = {
  limits: {
    ...{ bytes: 200 * MiB, items: 1_000, ttlMs: 0, pinnedBytes: 100 * MiB, quotas: new Map() },
    quotaDefault: Number.POSITIVE_INFINITY,
  },
  ...{ memoryBytes: 8 * MiB, reserveBytes: 0, staleMs: 0, wrappingKey: new Uint8Array(32).fill(7) },
  ...{ earliestWallMs: 0, hubUrl: 'https://hub', skills: null, verify: verifyEd25519 },
  ring: ringOf([signer]),
}

/** A service of which only some things can be asked. */
export function serviceDouble(can: Partial<ClipService>): ClipService {
  const never = (): never => {
    throw new Error('nobody expected this to be asked')
  }
  return {
    ...{ get: never, put: never, peek: () => null, list: () => [], remove: never, forget: never },
    ...{
      invalidateSkill: never,
      invalidateContent: never,
      clear: never,
      pin: never,
      prefetch: never,
      share: never,
    },
    ...{ stats: never, announced: never, linkUp: never, giveWay: never, close: never },
    ...{ onLeft: () => {}, onFull: () => {} },
    ...can,
  }
}

/** A clip of these parts, whatever it says of itself. */
export function playableDouble(
  bytes: number,
  read: Playable['read'],
  more: Partial<Playable> = {},
): Playable & { readonly doneTimes: () => number } {
  let times = 0
  return {
    ...{ id: 'a', skill: 's', bytes, tag: 'f'.repeat(64), audio: someAudio, from: 'memory' as const, read },
    done: () => {
      times += 1
    },
    ...more,
    doneTimes: () => times,
  }
}

export interface Got {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** The connection ended before the body did. */
  readonly broken: boolean
  readonly json: Record<string, unknown>
}

export interface Sent {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string | number>>
  readonly body?: Uint8Array | string
}

/** One request, on a connection of its own. @param where a socket or a port of 127.0.0.1 */
export function ask(where: string | number, path: string, sent: Sent = {}): Promise<Got> {
  const place: RequestOptions =
    typeof where === 'string' ? { socketPath: where } : { host: '127.0.0.1', port: where }
  const { method = 'GET', headers = {}, body } = sent
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...place, path, method, headers, agent: false }, (incoming) => {
      const parts: Buffer[] = []
      const end = (broken: boolean): void => {
        const whole = Buffer.concat(parts)
        const isJson = incoming.headers['content-type'] === 'application/json' && whole.length > 0
        const json = isJson && !broken ? (JSON.parse(whole.toString()) as Record<string, unknown>) : {}
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: whole, broken, json })
      }
      incoming.on('data', (part: Buffer) => void parts.push(part))
      incoming.on('end', () => end(false))
      incoming.on('error', () => end(true))
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

/** The code of the error that an answer holds. */
export function errorOf(got: Got): string {
  return (got.json['error'] as { readonly code: string } | undefined)?.code ?? 'none'
}

/** Bytes as they are. @returns all that comes until the other side hangs up. @param withinMs it must hang up */
export function raw(socket: string, bytes: string | Uint8Array, withinMs = 10_000): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const connection = connect(socket, () => connection.write(bytes))
    const late = setTimeout(() => {
      connection.destroy()
      reject(new Error(`still connected after ${text.length} bytes`))
    }, withinMs)
    connection.on('data', (part) => {
      text += part.toString('latin1')
    })
    connection.on('error', () => {})
    connection.on('close', () => {
      clearTimeout(late)
      resolve(text)
    })
  })
}
