/**
 * The broker's memory: retained messages in a map, written through to the store; nothing else is kept.
 * Promise: a topic without wildcard is one look-up, not a scan of all retained topics for each SUBSCRIBE, and so
 * are all skills; a message is retained once it is on the disk. Sessions are not kept: what a device must not miss is either
 * retained or acknowledged by the hub itself, and a queue for absent clients would have no bound.
 * Leaves to others: QoS 2 hand-shakes and wills of live connections (aedes-persistence, in memory).
 */
import { Readable } from 'node:stream'
import MemoryPersistence from 'aedes-persistence/asyncPersistence.js'
import { allSkills, parseSkillTopic } from '../../../core/wire/topics.ts'

/** Where retained messages last. */
export interface RetainedStore {
  /** @param payload null takes the message away. */
  keep(topic: string, payload: Uint8Array | null): Promise<void>
}

export interface RetainedPacket {
  readonly cmd: 'publish'
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 1
  readonly retain: true
  readonly dup: false
}

export class RetainedPersistence extends MemoryPersistence {
  readonly #messages: Map<string, Uint8Array>
  /** Those of `#messages` that are of skills. */
  readonly #skills: Set<string>
  readonly #store: RetainedStore

  constructor(messages: ReadonlyMap<string, Uint8Array>, store: RetainedStore) {
    super()
    this.#messages = new Map(messages)
    this.#skills = new Set([...messages.keys()].filter((it) => parseSkillTopic(it) !== null))
    this.#store = store
  }

  /** Resolves when the message is on the disk. */
  async keep(topic: string, payload: Uint8Array): Promise<void> {
    const known = this.#messages.get(topic)
    if (known === undefined ? payload.length === 0 : Buffer.compare(known, payload) === 0) return
    if (payload.length === 0) this.#messages.delete(topic)
    else this.#messages.set(topic, Uint8Array.from(payload))
    if (parseSkillTopic(topic) !== null) this.#skills[payload.length === 0 ? 'delete' : 'add'](topic)
    await this.#store.keep(topic, payload.length === 0 ? null : payload)
  }

  /** The published type of the packet leaves out what it holds. */
  override async storeRetained(packet: object): Promise<void> {
    const { topic, payload } = packet as { topic: string; payload: string | Buffer }
    await this.keep(topic, Buffer.from(payload))
  }

  override createRetainedStream(topic: string): Readable {
    return this.createRetainedStreamCombi([topic])
  }

  /** The access list lets no other wildcard through, so each topic is looked up as it is. */
  override createRetainedStreamCombi(filters: string[]): Readable {
    const topics = new Set(filters.flatMap((it) => (it === allSkills ? [...this.#skills] : [it])))
    const found: RetainedPacket[] = []
    for (const topic of topics) {
      const payload = this.#messages.get(topic)
      if (payload === undefined) continue
      found.push({ cmd: 'publish', topic, payload: Buffer.from(payload), qos: 1, retain: true, dup: false })
    }
    return Readable.from(found)
  }
}
