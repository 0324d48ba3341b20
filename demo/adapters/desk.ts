/**
 * A hub as a process of its own, and what an operator does with it by command: devices, releases, rollouts.
 * Promise: what is looked at is what the hub's API says.
 * Leaves to others: keys and releases, whatever device there is.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { raise } from '../../core/errors.ts'
import { demoLimits } from '../../core/limits.ts'
import { type HubClient, openHubClient } from '../../hub/adapters/api-client.ts'
import type { Sent } from '../chapter.ts'
import type { Children } from './children.ts'

/** What the hub knows of the device; the part that the story needs. */
export interface DeviceView {
  readonly drift: string
  readonly running: { readonly release: string; readonly version: string } | null
  readonly notice: { readonly code: string; readonly what: string; readonly atMs: number } | null
  readonly attempt: {
    readonly rollout: string
    readonly state: string
    readonly code: string | null
    readonly what: string | null
  } | null
  readonly evidences: readonly {
    readonly code: string | null
    readonly evidence: { readonly check?: string; readonly output?: string; readonly console?: string }
  }[]
}

export interface Desk {
  readonly hub: HubClient
  /** @param out gets its identity */
  addDevice(device: string, out: string): Promise<void>
  /** @returns the release id */
  publish(file: string): Promise<string>
  rollOut(release: string, device: string): Promise<void>
  device<T = DeviceView>(device: string): Promise<T>
  close(): Promise<void>
}

export interface DeskOptions {
  /** Gets `hub/`. */
  readonly directory: string
  readonly children: Children
  /** Trust that the hub checks uploads by. */
  readonly trust: string
  /** 0: any that is free, as without it. */
  readonly ports?: { readonly http: number; readonly mqtt: number }
  /** Told of each request of a release file. */
  readonly onSent?: (it: Sent) => void
}

export async function openDesk({ directory, children, trust, ports, onSent }: DeskOptions): Promise<Desk> {
  const data = join(directory, 'hub')
  let ready = false
  const { http, mqtt } = ports ?? { http: 0, mqtt: 0 }
  const args = [
    ...['hub', 'serve', '--data', data, '--trust', trust],
    ...['--mqtt-port', `${mqtt}`, '--http-port', `${http}`],
  ]
  const service = children.service([...args, '--json'], (line, from) => {
    if (from === 'out') ready = true
    else if (line.includes('"blob-sent"')) onSent?.(JSON.parse(line) as Sent)
  })
  await until('the hub is ready', async () => ready)
  const hub = await openHubClient(data)
  return {
    hub,
    async addDevice(device, out) {
      await children.run(['devices', 'add', device, '--out', out, '--hub', data])
    },
    async publish(file) {
      const answer = await children.run(['publish', file, '--hub', data])
      return String(answer['id'] ?? answer['release'])
    },
    async rollOut(release, device) {
      await children.run(['rollout', 'create', '--release', release, '--device', device, '--hub', data])
    },
    device: (device) => hub.get(`/v1/devices/${device}`),
    async close() {
      hub.close()
      await service.stop()
    },
  }
}

/** @throws EverbootError EB-TIMEOUT */
export async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + demoLimits.waitMs
  while (!(await condition())) {
    if (performance.now() > end) raise('EB-TIMEOUT', `in ${demoLimits.waitMs / 1000} s not: ${what}`)
    await sleep(demoLimits.pollMs)
  }
}
