/**
 * The hub put together: store, core, clips, broker, HTTP, each with its adapters.
 * Promise: the data directory is locked before anything in it is touched; nothing listens before the state is
 * loaded; every wish and every skill is published again before the first device connects; a database that fails
 * ends the hub (`ended` rejects), because what it would say afterwards might not be on the disk.
 * Leaves to others: the process (cli/serve.ts).
 */
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { hubClipLimits } from '../core/clip-limits.ts'
import { EverbootError, type Fault, faultOf, orThrow, raise } from '../core/errors.ts'
import type { Clock, Entropy, Events } from '../core/ports.ts'
import type { Digest } from '../core/units.ts'
import { decodeTrust, type Trust } from '../keys/trust.ts'
import { codeOf, ensureDirectory, readIfThere, writePrivately } from './adapters/files.ts'
import { startBroker } from './broker/adapters/embedded.ts'
import { openBucketStore } from './clips/adapters/bucket-store.ts'
import { openDirectoryStore } from './clips/adapters/directory.ts'
import { openIncoming } from './clips/adapters/incoming.ts'
import { createChallenges } from './clips/challenges.ts'
import type { ContentStore } from './clips/content-store.ts'
import { type ClipKeeper, createKeeper } from './clips/keeper.ts'
import { type ClientFile, decodeClientFile, type HubConfig, isLoopback } from './config.ts'
import { createHubCore, type HubCore, type Outlet } from './core/core.ts'
import { hashToken, makeAdminToken } from './fleet/tokens.ts'
import { startHttp } from './http/adapters/server.ts'
import { createUploader } from './http/adapters/upload.ts'
import { checkDeviceToken } from './http/api.ts'
import { openBlobFiles } from './store/adapters/blob-files.ts'
import { openSqliteStore } from './store/adapters/sqlite.ts'
import type { Store } from './store/port.ts'
import { ensureIdentity, type HubIdentity, isWildcard } from './tls/adapters/authority.ts'

export interface HubSystem {
  readonly clock: Pick<Clock, 'wallMs'>
  readonly entropy: Entropy
  readonly events: Events
}

export interface RunningHub {
  readonly client: ClientFile
  readonly core: HubCore
  /** Rejects when the hub can no longer go on; otherwise stays pending. */
  readonly ended: Promise<never>
  close(): Promise<void>
}

/** @throws EverbootError EB-CONFIG, EB-KEY, EB-FILE, EB-DATABASE, EB-PORT-IN-USE */
export async function startHub(config: HubConfig, system: HubSystem): Promise<RunningHub> {
  if (config.insecure && !isLoopback(config.host)) {
    raise('EB-CONFIG', `--insecure listens on loopback only, not on ${config.host}`, {
      todo: 'leave --insecure out',
    })
  }
  const trust = await readTrust(config.trust)
  await ensureDirectory(config.data)
  const store = openSqliteStore(config.data)
  const undo: (() => Promise<void>)[] = [() => store.close()]
  try {
    return await assemble(config, system, trust, store, undo)
  } catch (caught) {
    for (const step of undo.reverse()) await step()
    throw caught
  }
}

async function assemble(
  config: HubConfig,
  system: HubSystem,
  trust: Trust,
  store: Store,
  undo: (() => Promise<void>)[],
): Promise<RunningHub> {
  const { clock, entropy, events } = system
  const { data, host, mqttPort, httpPort, insecure } = config
  const identity = await ensureIdentity(data, host, clock.wallMs())
  const token = await adminToken(data, entropy)
  const files = await openBlobFiles(data)
  const end = Promise.withResolvers<never>()
  end.promise.catch(() => undefined)
  const fatal = (it: Fault): void => end.reject(new EverbootError(it))
  const snapshot = await store.load()
  let outlet: Outlet | null = null
  const later: Outlet = {
    publish: async (message) => outlet?.publish(message),
    cut: (deviceId) => outlet?.cut(deviceId),
  }
  let keeper: ClipKeeper | null = null
  const dropContent = (sha256: Digest): void => keeper?.drop(sha256)
  const core = createHubCore({ store, clock, events, fatal, outlet: later, dropContent }, snapshot)
  await files.sweep((id) => core.state().releases.get(id) !== undefined)
  const challenges = createChallenges(entropy, clock)
  const receiving = await openIncoming(join(data, 'clips', 'incoming'))
  const contents = await openContents(config, events)
  keeper = createKeeper({ core, store: contents, receiving, challenges, clock, events })
  const clips = keeper
  const stopChores = startChores(core, clips, events)
  const endClips = async (): Promise<void> => {
    stopChores()
    contents.close()
    await clips.close()
    await core.writeTelemetry()
  }
  undo.push(endClips)
  await clips.sweep()
  const tls = insecure ? null : identity.server
  const started = await startBroker({
    host,
    port: mqttPort,
    tls,
    retained: snapshot.retained,
    store: { keep: (topic, payload) => store.commit([{ kind: 'retain', topic, payload }]) },
    checkToken: (deviceId, shown) => checkDeviceToken(core, deviceId, shown),
    receive: (deviceId, kind, payload) => core.receive(deviceId, kind, payload),
    beforeListening: (it) => {
      outlet = it
      return core.republish()
    },
    events,
  })
  undo.push(() => started.close())
  const uploader = createUploader(core, files, trust, clock)
  const counters = (): Record<string, number> => ({ ...started.counters })
  const http = await startHttp(
    { host, port: httpPort, tls, files, events },
    {
      core,
      store,
      uploader,
      keeper: clips,
      challenges,
      skillKeys: trust.skill,
      entropy,
      clock,
      adminTokenSha256: hashToken(token),
      counters,
    },
  )
  undo.push(() => http.close())
  const client = clientFile(config, identity, token, started.port, http.port)
  await writePrivately(join(data, 'client.json'), `${JSON.stringify(client, null, 2)}\n`)
  return {
    client,
    core,
    ended: end.promise,
    async close() {
      await Promise.all([http.close(), started.close()])
      await endClips()
      await store.close()
    },
  }
}

/** Where contents lie. A bucket that does not answer is told of, but keeps no update from its devices. */
async function openContents({ data, bucket }: HubConfig, events: Events): Promise<ContentStore> {
  if (bucket === undefined) return openDirectoryStore(join(data, 'clips'))
  const store = openBucketStore(bucket)
  const told = (caught: unknown): void => events.emit({ event: 'bucket', what: faultOf(caught).what })
  store.check().catch(told)
  return store
}

/** What is done now and then. @returns a function that ends it */
function startChores(core: HubCore, keeper: ClipKeeper, events: Events): () => void {
  const write = setInterval(() => void core.writeTelemetry(), hubClipLimits.telemetryWriteMs)
  const sweep = setInterval(() => {
    keeper.sweep().catch((caught: unknown) => {
      events.emit({ event: 'sweep-failed', what: faultOf(caught).what })
    })
  }, hubClipLimits.sweepMs)
  for (const it of [write, sweep]) it.unref()
  return () => {
    for (const it of [write, sweep]) clearInterval(it)
  }
}

function clientFile(
  { host, insecure }: HubConfig,
  identity: HubIdentity,
  token: string,
  mqttPort: number,
  httpPort: number,
): ClientFile {
  const name = isWildcard(host) ? hostname() : host
  const address = name.includes(':') ? `[${name}]` : name
  const secure = insecure ? '' : 's'
  return {
    url: `http${secure}://${address}:${httpPort}`,
    mqtt: `mqtt${secure}://${address}:${mqttPort}`,
    ca: identity.ca,
    token,
  }
}

/** The operator's token lasts as long as the data directory, so that copies of `client.json` stay good. */
async function adminToken(data: string, entropy: Entropy): Promise<string> {
  const path = join(data, 'client.json')
  const kept = await readIfThere(path)
  if (kept === null) return makeAdminToken(entropy)
  const decoded = decodeClientFile(kept.toString('utf8'), path)
  return decoded.ok ? decoded.value.token : makeAdminToken(entropy)
}

async function readTrust(path: string): Promise<Trust> {
  const bytes = await readFile(path).catch((cause: unknown) =>
    raise('EB-FILE', `trust file ${path} cannot be read: ${codeOf(cause)}`, { cause }),
  )
  return orThrow(decodeTrust(bytes, path))
}
