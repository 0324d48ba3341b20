/**
 * The real hub as a process that is killed and started again on its ports.
 * Promise: a request is asked again while the hub is away; a rollout that was made before the hub died is found
 * by its attempt, not made twice.
 */
import { join } from 'node:path'
import { EverbootError } from '../../../../core/errors.ts'
import { type HubClient, openHubClient } from '../../../../hub/adapters/api-client.ts'
import type { HubAttempt } from '../facts.ts'
import { soakLimits } from '../limits.ts'
import { readAttempts } from './hub-database.ts'
import { type Program, startProgram } from './programs.ts'
import { type Patience, pause, TooLate, waitFor } from './wait.ts'

export interface HubOptions {
  readonly data: string
  readonly trust: string
  readonly log: string
  readonly patience: Patience
  /** It ended, and nobody had killed it. */
  readonly onLost: (how: string) => void
}

export class SoakHub {
  readonly data: string
  readonly #options: HubOptions
  #ports = { mqtt: 0, http: 0 }
  #program: Program | null = null
  #client: HubClient | null = null

  constructor(options: HubOptions) {
    this.#options = options
    this.data = options.data
  }

  get ports(): { readonly mqtt: number; readonly http: number } {
    return this.#ports
  }

  /** Starts it on the ports that it had before. */
  async start(): Promise<void> {
    const { data, trust, log, patience, onLost } = this.#options
    const ports = ['--mqtt-port', `${this.#ports.mqtt}`, '--http-port', `${this.#ports.http}`]
    let ready: string | null = null
    const args = ['hub', 'serve', '--json', '--data', data, '--trust', trust, ...ports]
    const program = startProgram(args, log, (line, from) => {
      if (from === 'out') ready ??= line
    })
    this.#program = program
    let gone: string | null = null
    program.ended.then((how) => {
      gone = how
      if (this.#program === program) onLost(how)
    })
    await waitFor('the hub is ready', soakLimits.hubReadyMs, patience, () => {
      if (gone !== null) throw new TooLate(`the hub did not start: ${gone}`)
      return ready
    })
    if (this.#client !== null) return
    this.#client = await openHubClient(data)
    const { url, mqtt } = this.#client.file
    this.#ports = { mqtt: Number(new URL(mqtt).port), http: Number(new URL(url).port) }
  }

  /** @returns how it ended */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<string> {
    const program = this.#program
    this.#program = null
    return program === null ? 'did not run' : program.end(signal)
  }

  /** Asks until the hub answers. @throws EverbootError what it refuses */
  async get<T>(path: string): Promise<T> {
    return this.#asking(() => this.#asked().get<T>(path))
  }

  /** @returns the attempt that the device is to make */
  async assign(release: string, device: string): Promise<HubAttempt> {
    const last = readAttempts(this.data).at(-1)?.seq ?? 0
    const made = (): HubAttempt | null => readAttempts(this.data).find((it) => it.seq > last) ?? null
    return this.#asking(async () => {
      if (made() === null) await this.#asked().post('/v1/rollouts', { release, devices: [device] })
      const found = made()
      if (found === null) throw new Error('the hub has made a rollout without an attempt')
      return found
    })
  }

  close(): void {
    this.#client?.close()
  }

  #asked(): HubClient {
    if (this.#client === null) throw new Error('the hub was never started')
    return this.#client
  }

  async #asking<T>(ask: () => Promise<T>): Promise<T> {
    const end = performance.now() + soakLimits.answerMs
    for (;;) {
      try {
        return await ask()
      } catch (caught) {
        if (!isAway(caught) || performance.now() > end) throw caught
        await pause(soakLimits.pollMs, this.#options.patience)
      }
    }
  }
}

export function hubLog(directory: string): string {
  return join(directory, 'hub.log')
}

function isAway(caught: unknown): boolean {
  const away = ['EB-HUB-UNREACHABLE', 'EB-TIMEOUT', 'EB-HTTP-STATUS']
  return caught instanceof EverbootError && away.includes(caught.fault.code)
}
