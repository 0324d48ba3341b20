/**
 * Puts the clip cache of the agent together: its files, its connections to the hub, what serves it.
 * Leaves to others: everything it puts together; when it is opened (clips/beside.ts).
 */
import type { Events } from '../../core/ports.ts'
import { openClipFiles } from '../clips/adapters/clip-files.ts'
import { type ServePlace, serveClips } from '../clips/adapters/clip-server.ts'
import { hubUplink } from '../clips/adapters/hub-uplink.ts'
import { memoryShort } from '../clips/adapters/memory-short.ts'
import { clipsBeside, type RunningClips } from '../clips/beside.ts'
import { type ClipService, openClipService } from '../clips/clip-service.ts'
import { clipSettings } from '../clips/settings.ts'
import type { ClipsConfig, Identity } from '../config.ts'
import type { AgentSettings } from '../settings.ts'
import { systemEntropy, systemRandom } from './chance.ts'
import { systemClock } from './clock.ts'
import { httpFetch } from './http-fetch.ts'

/** Opens nothing yet. */
export function agentClips(
  config: ClipsConfig,
  settings: AgentSettings,
  identity: Identity,
  events: Events,
): RunningClips {
  // Connections of its own: clips never wait for a release, nor a release for clips.
  const hub = { origin: identity.http, ca: identity.ca, token: identity.token }
  return clipsBeside({
    clock: systemClock,
    events,
    async open() {
      const files = await openClipFiles(config.directory)
      const release = async (): Promise<void> => files.close()
      try {
        const service = await openClipService(
          {
            ...{ files, events, clock: systemClock, random: systemRandom, entropy: systemEntropy },
            fetch: httpFetch(hub),
            uplink: hubUplink(hub),
            memoryShort: memoryShort(),
          },
          clipSettings(config, settings),
        )
        return { service, release }
      } catch (caught) {
        await release()
        throw caught
      }
    },
    serve: (service) => serve(service, config, events),
  })
}

/** @returns what ends it */
async function serve(
  service: ClipService,
  config: ClipsConfig,
  events: Events,
): Promise<() => Promise<void>> {
  const places: ServePlace[] = []
  if (config.socket !== undefined) places.push({ socket: config.socket })
  if (config.port !== undefined) {
    const { port, tokenFile } = config
    places.push({ host: '127.0.0.1', port, ...(tokenFile === undefined ? {} : { tokenFile }) })
  }
  const servers: { close(): Promise<void> }[] = []
  const end = async (): Promise<void> => {
    for (const server of servers) await server.close()
  }
  try {
    for (const place of places) servers.push(await serveClips(service, place, events))
    return end
  } catch (caught) {
    await end()
    throw caught
  }
}
