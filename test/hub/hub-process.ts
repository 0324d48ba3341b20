/**
 * A real hub for tests: in this process, or as a process of its own that can be killed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { LogEvent } from '../../core/ports.ts'
import { systemClock, systemEntropy } from '../../hub/adapters/system.ts'
import type { Bucket } from '../../hub/clips/bucket.ts'
import { type ClientFile, decodeClientFile } from '../../hub/config.ts'
import { type RunningHub, startHub } from '../../hub/main.ts'
import { newKeys, type PublisherKeys } from './releases.ts'

export interface HubHome {
  readonly data: string
  readonly trust: string
  readonly keys: PublisherKeys
  /** Removes everything. */
  remove(): void
}

/** A data directory and a trust file in a directory of their own. */
export function hubHome(): HubHome {
  const root = mkdtempSync(join(tmpdir(), 'everboot-hub-'))
  const trust = join(root, 'trust.json')
  const keys = newKeys()
  writeFileSync(trust, JSON.stringify(keys.trustFile))
  return {
    data: join(root, 'hub'),
    trust,
    keys,
    remove: () => rmSync(root, { recursive: true, force: true }),
  }
}

export interface LocalHub extends RunningHub {
  readonly events: LogEvent[]
}

/** A hub in this process, on free ports. */
export async function localHub(
  home: HubHome,
  ports = { mqtt: 0, http: 0 },
  insecure = false,
  bucket?: Bucket,
): Promise<LocalHub> {
  const events: LogEvent[] = []
  const hub = await startHub(
    {
      data: home.data,
      trust: home.trust,
      host: '127.0.0.1',
      mqttPort: ports.mqtt,
      httpPort: ports.http,
      insecure,
      ...(bucket === undefined ? {} : { bucket }),
    },
    { clock: systemClock, entropy: systemEntropy, events: { emit: (it) => void events.push(it) } },
  )
  return { ...hub, events }
}

export interface HubProcess {
  readonly child: ChildProcess
  readonly pid: number
  readonly client: ClientFile
  /** Sends the signal and waits for the end. @returns exit status and signal. */
  stop(signal: 'SIGTERM' | 'SIGKILL' | 'SIGINT'): Promise<readonly [number | null, string | null]>
}

export const entry = fileURLToPath(new URL('../../everboot.ts', import.meta.url))

/** `everboot hub serve` as a process of its own; resolves when it is ready. */
export async function spawnHub(
  home: HubHome,
  ports = { mqtt: 0, http: 0 },
  more: { readonly args?: readonly string[]; readonly environment?: Record<string, string> } = {},
): Promise<HubProcess> {
  const args = ['hub', 'serve', '--json', '--quiet', '--data', home.data, '--trust', home.trust]
  args.push('--mqtt-port', String(ports.mqtt), '--http-port', String(ports.http), ...(more.args ?? []))
  const child = spawn(process.execPath, [entry, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...more.environment },
  })
  const errors: string[] = []
  child.stderr.on('data', (it) => errors.push(String(it)))
  const ended = once(child, 'exit')
  const line = once(createInterface(child.stdout), 'line')
  const first = await Promise.race([line.then(String), ended.then(() => null)])
  if (first === null) throw new Error(`the hub did not start: ${errors.join('')}`)
  if (JSON.parse(first).ready !== true) throw new Error(`the hub said ${first}`)
  return {
    child,
    pid: child.pid ?? 0,
    client: readClient(home),
    async stop(signal) {
      child.kill(signal)
      const [code, by] = await ended
      return [code, by]
    },
  }
}

export function readClient(home: HubHome): ClientFile {
  const path = join(home.data, 'client.json')
  const decoded = decodeClientFile(readFileSync(path, 'utf8'), path)
  if (!decoded.ok) throw new Error(decoded.error.what)
  return decoded.value
}

/** `everboot …` as a process. */
export async function everboot(
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<{ readonly status: number | null; readonly out: string; readonly err: string }> {
  const child = spawn(process.execPath, [entry, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  })
  let out = ''
  let err = ''
  child.stdout.on('data', (it) => {
    out += it
  })
  child.stderr.on('data', (it) => {
    err += it
  })
  const [status] = await once(child, 'close')
  return { status, out, err }
}
