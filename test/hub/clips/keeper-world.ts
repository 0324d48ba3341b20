/**
 * A keeper of contents over a hub core and a store in memory, which fails and waits when told to.
 */
import { createHash, randomBytes } from 'node:crypto'
import { EverbootError, fault } from '../../../core/errors.ts'
import type { LogEvent } from '../../../core/ports.ts'
import { createChallenges } from '../../../hub/clips/challenges.ts'
import type { ContentStore, Receiving } from '../../../hub/clips/content-store.ts'
import { createKeeper } from '../../../hub/clips/keeper.ts'
import { createHubCore } from '../../../hub/core/core.ts'
import { emptyTables, memoryStore } from '../../../proof/hub-store.ts'
import { addDevice } from '../fixtures.ts'
import { contentOf, only } from './contents.ts'

/** Objects in memory; each call waits at its gate when there is one. */
function memoryContents(received: Map<string, Buffer>) {
  const objects = new Map<string, Buffer>()
  const log: string[] = []
  const gates: { put: Promise<void> | null; remove: Promise<void> | null; fail: string | null } = {
    put: null,
    remove: null,
    fail: null,
  }
  const failing = (what: string): void => {
    if (gates.fail === what) throw new EverbootError(fault('EB-BUCKET', `${what} fails`))
  }
  const store: ContentStore = {
    async put({ path, sha256 }) {
      await gates.put
      failing('put')
      log.push(`put ${sha256.slice(0, 4)}`)
      objects.set(sha256, received.get(path) ?? Buffer.alloc(0))
    },
    async open(sha256, bytes, start, endExclusive) {
      const object = objects.get(sha256)
      if (object === undefined || object.length !== bytes) return null
      let at = start
      return {
        async read() {
          if (at >= endExclusive) return null
          const part = object.subarray(at, Math.min(at + 3, endExclusive))
          at += part.length
          return part
        },
        close: async () => void log.push('close'),
      }
    },
    size: async (sha256) => objects.get(sha256)?.length ?? null,
    async remove(sha256) {
      await gates.remove
      failing('remove')
      log.push(`remove ${sha256.slice(0, 4)}`)
      objects.delete(sha256)
    },
    close: () => undefined,
  }
  return { store, objects, log, gates }
}

/** Takes anything, and says afterwards that it has that hash. */
function memoryReceiving(received: Map<string, Buffer>): Receiving {
  let count = 0
  return {
    async receive(body, sha256, bytes) {
      const parts: Uint8Array[] = []
      for await (const part of body) parts.push(part)
      count += 1
      const path = `received ${count}`
      received.set(path, Buffer.concat(parts))
      return { path, sha256, bytes, discard: async () => void received.delete(path) }
    },
  }
}

export async function keeperWorld(tables = emptyTables(), kept = new Map<string, Buffer>()) {
  const received = new Map<string, Buffer>()
  const contents = memoryContents(received)
  for (const [sha256, bytes] of kept) contents.objects.set(sha256, bytes)
  const store = memoryStore(tables)
  const events: LogEvent[] = []
  const clock = { nowMs: 1_000, wallMs: () => clock.nowMs }
  const log = { emit: (it: LogEvent) => void events.push(it) }
  const fatal = (): void => undefined
  const outlet = { publish: async () => undefined, cut: () => undefined }
  const core = createHubCore(
    { store, clock, events: log, outlet, fatal, dropContent: (it) => keeper.drop(it) },
    await store.load(),
  )
  const challenges = createChallenges({ bytes: (count) => randomBytes(count) }, clock)
  const keeper = createKeeper({
    core,
    store: contents.store,
    receiving: memoryReceiving(received),
    challenges,
    clock,
    events: log,
  })
  for (const id of ['dev1', 'dev2'])
    if (tables.devices.get(id) === undefined) await core.handle(addDevice(id))
  const take = (bytes: Buffer, owner: [string, string] | null = null) => {
    const { sha256 } = contentOf(bytes)
    return keeper.take(
      only(bytes),
      { sha256, bytes: bytes.length },
      owner && { device: owner[0], clip: owner[1] },
    )
  }
  const forget = (device: string, clip: string) =>
    core.handle({ kind: 'forget-clip', owner: { device, clip }, atMs: 1 })
  const claim = (
    device: string,
    clip: string,
    bytes: Buffer,
    over: { challenge?: string; proof?: Buffer } = {},
  ) => {
    const { sha256 } = contentOf(bytes)
    const challenge = over.challenge ?? challenges.issue(device, sha256)
    const proof = createHash('sha256').update(Buffer.from(challenge, 'hex')).update(bytes).digest()
    return keeper.claim({ device, clip }, sha256, challenge, over.proof ?? proof)
  }
  const stateOf = (bytes: Buffer) =>
    core.state().clips.contents.get(contentOf(bytes).sha256)?.state ?? 'unknown'
  return {
    ...contents,
    tables,
    received,
    core,
    keeper,
    challenges,
    clock,
    events,
    take,
    forget,
    claim,
    stateOf,
  }
}
