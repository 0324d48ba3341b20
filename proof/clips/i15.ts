/**
 * Invariant 15: index and files of the clip cache agree, it keeps its limits, and what it serves is what was stored.
 * And nothing of it is to be read on the medium without the key.
 */
import type { SimFiles } from '../../bootloader-sim/devices/file-store.ts'
import { hex } from '../../core/units.ts'
import type { ClipStore } from '../../device/clips/clip-store.ts'
import { fileOf } from '../../device/clips/contents.ts'
import { type Allowed, contentOf, type Letter, storyLimits } from './story.ts'

export const clipsAgree = 'index and files of clips agree, and no clip is served wrong'

/** @returns in words what does not hold, or null */
export async function broken(store: ClipStore, files: SimFiles, allowed: Allowed): Promise<string | null> {
  const clips = [...store.list()]
  const known = new Set(clips.map((it) => fileOf(it.content)))
  const names = await files.list()
  const there = names.filter((it) => it.startsWith('c'))
  const missing = [...known].filter((it) => !there.includes(it))
  if (missing.length > 0) return `${missing.length} contents of the index have no file`
  const strays = there.filter((it) => !known.has(it))
  if (strays.length > 0) return `${strays.length} files of contents that nothing refers to`
  const others = names.filter((it) => !it.startsWith('c') && it !== 'index' && it !== 'key')
  if (others.length > 0) return `left behind: ${others.join(' ')}`
  const { now } = store.figures()
  const bytes = [...new Map(clips.map((it) => [it.content.key, it.content.bytes])).values()]
  const sum = bytes.reduce((total, it) => total + it, 0)
  if (sum !== now.sizeBytes) return `${sum} bytes are there, ${now.sizeBytes} are counted`
  if (sum > storyLimits.bytes) return `${sum} bytes are there, of ${storyLimits.bytes}`
  if (clips.length > storyLimits.items) return `${clips.length} clips are there, of ${storyLimits.items}`
  for (const { id } of clips) {
    const letter = allowed.get(id)
    if (letter === undefined) return `clip ${id} is there, which had gone`
    const wrong = await wrongBytes(store, id, letter)
    if (wrong !== null) return wrong
  }
  return readable(files, names)
}

async function wrongBytes(store: ClipStore, id: string, letter: Letter): Promise<string | null> {
  // To look is no use: it must not change which clip gives way next.
  const open = store.reading(id)
  if (open === null) return `clip ${id} is listed and not served`
  const bytes = await open.whole()
  open.done()
  if (bytes === null) return `the file of clip ${id} does not open`
  return bytes.equals(contentOf(letter))
    ? null
    : `clip ${id} is served with other bytes than those of ${letter}`
}

const secrets = ['sound of', 'en-GB', 'seven', 'blue'].map((it) => Buffer.from(it))

function readable(files: SimFiles, names: readonly string[]): string | null {
  for (const name of names) {
    const content = Buffer.from(files.content(name) ?? [])
    const found = secrets.find((it) => content.includes(it))
    if (found !== undefined) return `file ${name} shows ${hex(found)} in clear`
  }
  return null
}
