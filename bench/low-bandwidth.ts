/**
 * A small image in the kindle profile over a line of 64 kbit/s with 600 ms delay on which 2 % of the
 * connections break: share of the line's bytes that is image, longest silence of the progress, and a reboot in
 * the middle that loses no more than what was in flight. MQTT and HTTP share the line.
 * Prints one JSON object. Argument: KiB of image (default 1024, about three minutes).
 */
import { randomBytes } from 'node:crypto'
import { statSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { linesOf, openLink } from '../bootloader-sim/adapters/link.ts'
import { seededRandom } from '../core/prng.ts'
import { KiB, MiB } from '../core/units.ts'
import { openHubClient } from '../hub/adapters/api-client.ts'
import { deviceId, entered, makeSlots, openGround, startAgent } from './ground.ts'

const bytesPerSecond = 64_000 / 8
const latencyMs = 600
const cutShare = 0.02

export interface LowBandwidthResult {
  readonly imageBytes: number
  readonly seconds: number
  /** Image bytes of all bytes on the line, both directions, TLS and TCP payload. */
  readonly imageShare: number
  readonly lineBytes: number
  /** Longest time in which the hub showed the same state and progress, the reboot apart. */
  readonly longestSilenceSeconds: number
  readonly connections: number
  readonly broken: number
  /** Bytes that came down the line over HTTP, and bytes of the release files: what they differ by is TLS, headers and what was in flight at the reboot. */
  readonly httpDownBytes: number
  readonly releaseBytes: number
  readonly completed: boolean
}

/** @param seed of the breaking connections */
export async function lowBandwidth(imageKiB: number, seed: number): Promise<LowBandwidthResult> {
  const ground = await openGround()
  const lines = linesOf(bytesPerSecond)
  const hub = await openHubClient(ground.at('hub'))
  const random = seededRandom(seed)
  const through = async (url: string) => {
    const { hostname, port } = new URL(url)
    const to = { host: hostname, port: Number(port) }
    return openLink({ listenPort: 0, to, rate: bytesPerSecond, latencyMs, cutShare, random, lines })
  }
  const links = { http: await through(hub.file.url), mqtt: await through(hub.file.mqtt) }
  const bend = (url: string): string =>
    url.replace(/:\d+$/, `:${(url.startsWith('mqtt') ? links.mqtt : links.http).port}`)
  const image = ground.at('small.img')
  writeFileSync(image, randomBytes(imageKiB * KiB))
  const file = await ground.release(image, 2, '--profile', 'kindle')
  await ground.everboot('publish', file, '--hub', ground.at('hub'))
  const slots = await makeSlots(ground, 16 * MiB, 'board')
  let agent = await startAgent(ground, slots, 'agent', bend)
  try {
    await agent.until((it) => it['event'] === 'hub connected')
    const sum = (): number =>
      [links.http, links.mqtt].reduce((total, it) => total + it.counters().up + it.counters().down, 0)
    const before = sum()
    const startMs = performance.now()
    const rollout = ['rollout', 'create', '--release', 'bench@2', '--device', deviceId]
    await ground.everboot(...rollout, '--hub', ground.at('hub'))
    const watch = watchProgress(async () => (await hub.get<View>(`/v1/devices/${deviceId}`)).reported)
    await watch.reached((imageKiB * KiB) / 2)
    // Power goes: the agent is gone at once, and starts again as after a boot.
    await agent.stop()
    watch.pause()
    agent = await startAgent(ground, slots, 'agent', bend)
    await agent.until(entered('REBOOTING'))
    watch.stop()
    const counters = [links.http.counters(), links.mqtt.counters()]
    const lineBytes = sum() - before
    return {
      imageBytes: imageKiB * KiB,
      seconds: round((performance.now() - startMs) / 1000),
      imageShare: round((imageKiB * KiB) / lineBytes),
      lineBytes,
      longestSilenceSeconds: round(watch.longestMs() / 1000),
      connections: counters.reduce((total, it) => total + it.connections, 0),
      broken: counters.reduce((total, it) => total + it.broken, 0),
      httpDownBytes: links.http.counters().down,
      releaseBytes: statSync(file).size,
      completed: true,
    }
  } finally {
    await agent.stop()
    slots.release()
    hub.close()
    await links.http.close()
    await links.mqtt.close()
    await ground.close()
  }
}

interface View {
  readonly reported: {
    readonly state: string
    readonly progress: { readonly bytesDone: number } | null
  } | null
}

/** Looks at what the hub shows, and measures how long it shows the same. */
function watchProgress(look: () => Promise<View['reported']>) {
  let shown = ''
  let bytes = 0
  let changedMs = performance.now()
  let longest = 0
  let stopped = false
  /** While the device boots nobody expects progress; it counts again from its next step. */
  let paused = false
  const waiting = new Set<() => void>()
  const loop = async (): Promise<void> => {
    while (!stopped) {
      const reported = await look()
      const now = JSON.stringify([reported?.state, reported?.progress])
      if (now !== shown) {
        if (!paused) longest = Math.max(longest, performance.now() - changedMs)
        paused = false
        changedMs = performance.now()
        shown = now
        bytes = reported?.progress?.bytesDone ?? bytes
      }
      for (const it of [...waiting]) it()
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  void loop()
  return {
    bytes: () => bytes,
    longestMs: () => longest,
    pause: () => {
      paused = true
    },
    stop: () => {
      stopped = true
    },
    reached: (wanted: number) =>
      new Promise<void>((resolve) => {
        const check = (): void => {
          if (bytes < wanted) return
          waiting.delete(check)
          resolve()
        }
        waiting.add(check)
      }),
  }
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const result = await lowBandwidth(Number(process.argv[2] ?? 1024), 7)
  process.stdout.write(`${JSON.stringify({ name: 'low-bandwidth', ...result })}\n`)
}
