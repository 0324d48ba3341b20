/**
 * What must lie in a slot that holds a release, page by page: its images and their trees.
 * Promise: made once with the release; looking whether a medium holds it costs comparisons only.
 * Leaves to others: the seal (its place depends on the slot), and looking (truth.ts).
 */
import { slotContent } from './board-storage.ts'

export const pageBytes = 4096

export interface SlotPage {
  readonly part: 'image' | 'tree'
  readonly number: number
  readonly bytes: Uint8Array
  readonly zero: boolean
}

/** Whole pages; the first ones are the image. */
export function slotPages(image: Uint8Array): readonly SlotPage[] {
  const pages: SlotPage[] = []
  for (const { offset, bytes } of slotContent(image)) {
    for (let at = 0; at < bytes.length; at += pageBytes) {
      const page = bytes.subarray(at, at + pageBytes)
      pages.push({
        part: offset < image.length ? 'image' : 'tree',
        number: (offset + at) / pageBytes,
        bytes: page,
        zero: page.every((it) => it === 0),
      })
    }
  }
  return pages
}
