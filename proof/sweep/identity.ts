/**
 * When two crash images are the same: media, files, hub, time, boots, story and what the checkers remember.
 * Equal images have equal futures, because nothing else goes into a simulation.
 * Promise: contents are compared by SHA-256, each page once.
 */
import { createHash, hash } from 'node:crypto'
import type { SceneImage } from '../scene.ts'

export interface Identity {
  /** Of the media alone, the same in every process. */
  media(image: SceneImage): string
  /** Of everything that the future depends on. */
  whole(image: SceneImage, media: string): string
}

export function identity(): Identity {
  const contents = new WeakMap<Uint8Array, string>()
  const names = new WeakMap<object, number>()
  let named = 0
  const digest = (bytes: Uint8Array): string => {
    const known = contents.get(bytes)
    if (known !== undefined) return known
    const made = hash('sha256', bytes, 'base64').slice(0, 20)
    contents.set(bytes, made)
    return made
  }
  /** A number for an object: states that nobody replaced are the same object. */
  const nameOf = (it: unknown): string => {
    if (typeof it !== 'object' || it === null) return String(it)
    const known = names.get(it)
    if (known !== undefined) return `#${known}`
    named += 1
    names.set(it, named)
    return `#${named}`
  }
  const media = ({ board }: SceneImage): string => {
    const hash = createHash('sha256')
    for (const { medium } of board.storage.disks) {
      for (const page of medium) hash.update(page === null ? '0' : digest(page))
      hash.update('|')
    }
    const { inodes, durable } = board.storage.files
    for (const [name, number] of [...durable].sort(([a], [b]) => (a < b ? -1 : 1))) {
      hash.update(`${name}=`).update(digest(inodes.get(number)?.synced ?? new Uint8Array(0)))
    }
    return hash.digest('base64').slice(0, 20)
  }
  return {
    media,
    whole(image, mediaOfIt) {
      const { world, board, story, checkers } = image
      const parts = [
        mediaOfIt,
        // Chance is drawn by generation, and how a story ended is told by the slots that ran.
        board.generation,
        board.boots.join(''),
        world.nowMs,
        world.tables.statusLog.length,
        world.tables.attempts.size,
        ...[...world.tables.devices.values()].map(nameOf),
        ...[...world.retained.values()].map(digest),
        nameOf(story),
        ...checkers.map(nameOf),
      ]
      return createHash('sha256').update(parts.join(' ')).digest('base64').slice(0, 20)
    },
  }
}
