/**
 * Brings contents into the hub's store and out of it, in step with what the hub knows.
 * Promise: whatever is put, opened as missing or removed under one hash is done one after the other, so that a
 * content that comes back while it is being removed is there in the end; what was refused or cut off leaves
 * nothing; bytes are removed only after the commit that says so, and what could not be removed is tried again.
 * Leaves to others: who may (../http/adapters/clips.ts), what is known (contents.ts), the bytes (content-store.ts).
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { hubClipLimits } from '../../core/clip-limits.ts'
import { EverbootError, faultOf, orThrow, raise } from '../../core/errors.ts'
import type { Clock, Events } from '../../core/ports.ts'
import type { Digest } from '../../core/units.ts'
import type { HubCore } from '../core/core.ts'
import { admission } from './admission.ts'
import type { Challenges } from './challenges.ts'
import type { ByteStream, ContentStore, Received, Receiving } from './content-store.ts'
import { contentHere } from './contents.ts'
import type { Content, Owner } from './model.ts'
import { notHere, ownRefusal } from './own-clips.ts'
import { turnsByKey } from './turns.ts'

export interface KeeperPorts {
  readonly core: HubCore
  readonly store: ContentStore
  readonly receiving: Receiving
  readonly challenges: Challenges
  readonly clock: Pick<Clock, 'wallMs'>
  readonly events: Events
}

/** What is said of bytes that come. */
export interface Wanted {
  readonly sha256: Digest
  readonly bytes: number
}

export interface ClipKeeper {
  /**
   * Takes a content. @param owner null when an operator sends it
   * @returns whether the hub did not have it. @throws EverbootError EB-LIMIT, EB-BLOB, EB-DISK-FULL, EB-FILE, EB-BUCKET
   */
  take(body: AsyncIterable<Uint8Array>, wanted: Wanted, owner: Owner | null): Promise<boolean>
  /**
   * Lets a device that holds the bytes have them as its clip. @param proof SHA-256(challenge bytes ‖ content)
   * @throws EverbootError EB-CONFLICT (challenge), EB-BLOB (proof), EB-NOT-FOUND, EB-LIMIT, EB-FILE, EB-BUCKET
   */
  claim(owner: Owner, sha256: Digest, challenge: string, proof: Uint8Array): Promise<void>
  /** @returns null when the store has lost it, which is noted. @throws EverbootError EB-FILE, EB-BUCKET */
  open(content: Content, start: number, endExclusive: number): Promise<ByteStream | null>
  /** Removes the bytes some time later, unless the content is here by then. */
  drop(sha256: Digest): void
  /** Ends what an earlier run left half done, removes what nobody came to use. */
  sweep(): Promise<void>
  /** Resolves when no removal is under way; those that wait are left to the next start. */
  close(): Promise<void>
}

export function createKeeper(ports: KeeperPorts): ClipKeeper {
  const { core, store, receiving, challenges, clock } = ports
  const turns = turnsByKey()
  const places = admission()
  const removals = createRemovals(ports, (sha256) =>
    turns(sha256, async () => {
      const known = core.state().clips.contents.get(sha256)
      if (known === undefined || known.state === 'here') return
      await store.remove(sha256)
      orThrow(await core.handle({ kind: 'content-gone', sha256 }))
    }),
  )

  /** In the turn of its hash. */
  const settle = async (received: Received, owner: Owner | null): Promise<boolean> => {
    const { sha256, bytes } = received
    const atMs = clock.wallMs()
    const coming = orThrow(await core.handle({ kind: 'content-coming', sha256, bytes, atMs }))
    try {
      // One that should be here is put again when the store has lost it.
      if (coming.changed || (await store.size(sha256)) !== bytes) await store.put(received)
      const here = orThrow(await core.handle({ kind: 'content-here', sha256, bytes, owner, atMs }))
      return here.changed
    } catch (caught) {
      removals.add(sha256)
      throw caught
    }
  }

  /** Noted only if it is still missing in its turn: meanwhile it may have been replaced. */
  const noteLoss = (sha256: Digest, isLost: () => Promise<boolean>): Promise<void> =>
    turns(sha256, async () => {
      if (contentHere(core.state().clips, sha256) === null || !(await isLost())) return
      orThrow(await core.handle({ kind: 'content-lost', sha256, atMs: clock.wallMs() }))
    })

  const open: ClipKeeper['open'] = async ({ sha256, bytes }, start, endExclusive) => {
    const stream = await store.open(sha256, bytes, start, endExclusive)
    if (stream === null) await noteLoss(sha256, async () => (await store.size(sha256)) !== bytes)
    return stream
  }

  /** @returns null when the store does not have it, or something else in its place. */
  const hashesOf = async (content: Content, salt: Uint8Array): Promise<Hashes | null> => {
    const { sha256, bytes } = content
    const stream = await open(content, 0, bytes)
    if (stream === null) return null
    const hashes = await hashesIn(stream, salt)
    if (hashes.content === sha256) return hashes
    await noteLoss(sha256, async () => {
      const again = await store.open(sha256, bytes, 0, bytes)
      return again === null || (await hashesIn(again, salt)).content !== sha256
    })
    return null
  }

  return {
    async take(body, { sha256, bytes }, owner) {
      const leave = places.enter(owner?.device ?? null)
      try {
        const refusal = owner === null ? null : ownRefusal(core.state(), owner, bytes)
        if (refusal !== null) throw new EverbootError(refusal)
        const received = await receiving.receive(body, sha256, bytes)
        try {
          return await turns(sha256, () => settle(received, owner))
        } finally {
          await received.discard()
        }
      } finally {
        leave()
      }
    },
    async claim(owner, sha256, challenge, proof) {
      const leave = places.enter(owner.device)
      try {
        const refusal = challenges.use(owner.device, sha256, challenge)
        if (refusal !== null) throw new EverbootError(refusal)
        const content = contentHere(core.state().clips, sha256)
        const salt = Buffer.from(challenge, 'hex')
        const hashes = content === null ? null : await hashesOf(content, salt)
        if (hashes === null) throw new EverbootError(notHere(sha256))
        if (proof.length !== hashes.proof.length || !timingSafeEqual(proof, hashes.proof)) {
          raise('EB-BLOB', `the proof is not one of content ${sha256}`, { todo: 'send the clip itself' })
        }
        orThrow(await core.handle({ kind: 'own-clip', owner, sha256, atMs: clock.wallMs() }))
      } finally {
        leave()
      }
    },
    open,
    drop: (sha256) => removals.add(sha256),
    async sweep() {
      orThrow(await core.handle({ kind: 'sweep-contents', atMs: clock.wallMs() }))
    },
    close: () => removals.close(),
  }
}

interface Hashes {
  readonly content: string
  readonly proof: Buffer
}

async function hashesIn(stream: ByteStream, salt: Uint8Array): Promise<Hashes> {
  const content = createHash('sha256')
  const proof = createHash('sha256').update(salt)
  try {
    for (let part = await stream.read(); part !== null; part = await stream.read()) {
      content.update(part)
      proof.update(part)
    }
  } finally {
    await stream.close()
  }
  return { content: content.digest('hex'), proof: proof.digest() }
}

interface Removals {
  add(sha256: Digest): void
  close(): Promise<void>
}

/** A few at a time; each content waits once. */
function createRemovals({ events }: KeeperPorts, remove: (sha256: Digest) => Promise<void>): Removals {
  const waiting = new Set<Digest>()
  const running = new Set<Promise<void>>()
  let closed = false
  const work = async (): Promise<void> => {
    for (const sha256 of waiting) {
      waiting.delete(sha256)
      try {
        await remove(sha256)
      } catch (caught) {
        events.emit({ event: 'content-not-removed', sha256, what: faultOf(caught).what })
      }
      if (closed) return
    }
  }
  return {
    add(sha256) {
      if (closed) return
      waiting.add(sha256)
      if (running.size >= hubClipLimits.removalsAtOnce) return
      const worker = work().finally(() => running.delete(worker))
      running.add(worker)
    },
    async close() {
      closed = true
      await Promise.all(running)
    },
  }
}
