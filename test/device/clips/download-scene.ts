/** A download by itself: the store and the hub that it works between, and what is left of it. */
import { expect } from 'vitest'
import type { ListedClip } from '../../../core/wire/skills.ts'
import { ClipDownload } from '../../../device/clips/clip-download.ts'
import type { ClipStore } from '../../../device/clips/clip-store.ts'
import { about, atHub, bytesOf, type ClipWorld, clipWorld, contentFiles, openStore } from './fixtures.ts'

export const piece = 65_536
export const sound = bytesOf('sound', 3 * piece + 1_000)

export interface DownloadScene {
  readonly world: ClipWorld
  readonly store: ClipStore
  readonly clip: ListedClip
}

export async function downloadScene(limits: Parameters<typeof openStore>[1] = {}): Promise<DownloadScene> {
  const world = clipWorld()
  const { store } = await openStore(world, limits)
  return { world, store, clip: atHub(world, 'a', sound) }
}

export function begun(
  { world, store }: Pick<DownloadScene, 'world' | 'store'>,
  clip: ListedClip,
  wanted = () => true,
): ClipDownload {
  return new ClipDownload(
    world.ports,
    store,
    `https://hub/clips/${clip.sha256}`,
    clip,
    about(clip.id),
    wanted,
  )
}

export async function heardOf(download: ClipDownload, start = 0, end = download.clip.bytes): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of download.read(start, end)) parts.push(new Uint8Array(part))
  return Buffer.concat(parts)
}

/** Nothing of a download is left: no draft, no timer, and the store is as it says. */
export async function nothingLeft(
  { world, store }: Pick<DownloadScene, 'world' | 'store'>,
  clips: number,
): Promise<void> {
  await world.time.pass(0)
  await store.settle()
  expect(await contentFiles(world)).toHaveLength(clips)
  expect(world.time.timers()).toBe(0)
}
