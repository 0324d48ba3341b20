/**
 * How clips and their figures are printed for people, in 80 columns.
 */
import { bytesText } from '../../core/units.ts'
import type { ClipStats } from '../../core/wire/skills.ts'
import type { ShownClip } from './clip-answers.ts'

/** Names are cut at their width, figures never. */
interface Column {
  readonly name: string
  readonly width: number
  readonly right: boolean
}

const left = (name: string, width: number): Column => ({ name, width, right: false })
const right = (name: string, width: number): Column => ({ name, width, right: true })

const clipColumns = [
  left('CLIP', 24),
  left('SKILL', 15),
  left('FORM', 4),
  right('LENGTH', 8),
  right('SIZE', 9),
  right('USED', 6),
  left('FLAGS', 5),
]

/** What the letters of the last column mean. */
export const flagsMean = 'FLAGS: p pinned, x private, l listed by its skill, s stored at the hub too.'

export const clipListHead = row(
  clipColumns,
  clipColumns.map(({ name }) => name),
)

export function clipRow({ id, skill, audio, bytes, accesses, ...is }: ShownClip): string {
  const flags = [is.pinned && 'p', is.private && 'x', is.listed && 'l', is.shared && 's']
  const length = durationText(audio.durationMs)
  const letters = flags.filter((it) => it !== false).join('')
  return row(clipColumns, [id, skill, audio.format, length, bytesText(bytes), `${accesses}`, letters])
}

/** All that is known of a clip, a line for each. */
export function clipText(it: ShownClip): string {
  const { audio } = it
  const level = audio.compressionLevel === null ? '' : `, compression level ${audio.compressionLevel}`
  const rate = `${audio.sampleRate} Hz, ${audio.channels} channels, ${Math.round(audio.bitRate / 1000)} kbit/s`
  const is = [it.pinned && 'pinned', it.private && 'private', it.listed && 'listed', it.shared && 'shared']
  const used = it.lastAccessAgoMs === null ? '' : `, last ${agoText(it.lastAccessAgoMs)} ago`
  const expires = it.expiresInMs === null ? 'never' : `in ${agoText(Math.max(0, it.expiresInMs))}`
  return lines([
    ['clip', it.id],
    ['skill', it.skill],
    ['language', it.language ?? 'not said'],
    ['sound', `${audio.format}, ${durationText(audio.durationMs)}, ${rate}${level}`],
    ['size', `${it.bytes} bytes`],
    ['content', it.sha256 ?? 'private'],
    ['is', is.filter((word) => word !== false).join(', ') || 'neither pinned nor private'],
    ['stored', it.createdMs === null ? 'when the clock was not set' : new Date(it.createdMs).toISOString()],
    ['used', `${it.accesses} times${used}`],
    ['expires', expires],
  ])
}

const skillColumns = [
  left('SKILL', 32),
  right('CLIPS', 7),
  right('SIZE', 10),
  right('HITS', 8),
  right('MISSES', 8),
  right('HIT RATE', 9),
]

/** The figures of a cache, then a line for each skill. */
export function statsText(it: ClipStats): string {
  const all = lines([
    ['size', `${bytesText(it.sizeBytes)} of ${bytesText(it.maxBytes)}`],
    ['clips', `${it.items} of ${it.maxItems}, ${it.contents} contents`],
    ['pinned', bytesText(it.pinnedBytes)],
    ['memory', `${bytesText(it.memoryBytes)}, ${it.memoryHits} hits`],
    ['hits', `${it.hits}`],
    ['misses', `${it.misses}`],
    ['hit rate', percentText(it.hitRate)],
    ['evictions', `${it.evictions}`],
    ['expirations', `${it.expirations}`],
    ['damaged', `${it.damaged}`],
    ['dedup ratio', it.dedupRatio.toFixed(2)],
    ['bytes saved', `${bytesText(it.bytesSaved)} on the disk, ${bytesText(it.fetchSaved)} of fetching`],
    ['fetched', bytesText(it.fetchedBytes)],
  ])
  if (it.skills.length === 0) return all
  const head = row(
    skillColumns,
    skillColumns.map(({ name }) => name),
  )
  const rows = it.skills.map(({ id, items, bytes, hits, misses }) => {
    const rate = hits + misses === 0 ? '-' : percentText(hits / (hits + misses))
    return row(skillColumns, [id, `${items}`, bytesText(bytes), `${hits}`, `${misses}`, rate])
  })
  return [all, '', head, ...rows].join('\n')
}

/** `12.5 s`, `3:07`, `1:02:03`. */
export function durationText(durationMs: number): string {
  if (durationMs < 60_000) return `${(Math.floor(durationMs / 100) / 10).toFixed(1)} s`
  const seconds = Math.floor(durationMs / 1000)
  const two = (value: number): string => `${value}`.padStart(2, '0')
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes}:${two(seconds % 60)}`
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`
}

/** `45 s`, `12 min`, `5 h`, `3 days`. */
function agoText(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)} h` : `${Math.floor(seconds / 86_400)} days`
}

function percentText(share: number): string {
  return `${(share * 100).toFixed(1)} %`
}

function lines(rows: readonly (readonly [string, string])[]): string {
  return rows.map(([name, text]) => `${name.padEnd(12)} ${text}`).join('\n')
}

function row(columns: readonly Column[], cells: readonly string[]): string {
  return columns
    .map(({ width, right: toTheRight }, at) => {
      const cell = cells[at] ?? ''
      if (toTheRight) return cell.padStart(width)
      return cell.length > width ? `${cell.slice(0, width - 1)}…` : cell.padEnd(width)
    })
    .join(' ')
    .trimEnd()
}
