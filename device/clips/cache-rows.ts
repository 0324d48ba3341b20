/**
 * The rows of the clip cache, in two typed arrays: what is known of clip n and of content n.
 * Promise: a row is two lines of the processor's cache, one of whole numbers, one of figures. Clip n and content n
 * share row n and need not have to do with each other, but mostly have. Rows that were given back are used again.
 * Leaves to others: names (cache-names.ts), what refers to what (cache-books.ts).
 *
 * Whole numbers of a row. Of the clip: 0 its ring at its content, 1 its ring at its skill; its places in the rings
 * of 2 its content, 4 its skill, 6 the wheel. Of the content: 8 the hash of its name, 9 the next of its chain;
 * 10 its place in the order; the rings of its clips, 12 that are not pinned, 14 that are.
 * Figures. Of the clip: when it 0 expires, 1 was added, 2 was accessed last; 3 how often. Of the content: 4 bytes,
 * 5 number of its last use. Before the first row lie the rings of the order, of the wheel, of the skills.
 */
import { clipLimits } from '../../core/clip-limits.ts'
import { Rings, widerFloats, widerInts } from './ring.ts'

const rowShift = 4
const figuresEach = 6
const rowsMin = 64
const wheelStart = 6
/** Rings of the wheel (expiry-wheel.ts). */
export const wheelRings = 4_097
const skillStart = wheelStart + 2 * wheelRings
const ringsEnd = skillStart + 4 * clipLimits.skillsMax
/** The number of the first clip and of the first content. */
export const firstRow = (ringsEnd + 15) >> rowShift

export class CacheRows extends Rings {
  private figures = new Float64Array(firstRow * figuresEach)
  /** There is room for rows below this one. */
  private end = firstRow
  /** No clip, no content had this row yet. */
  private nextClip = firstRow
  private nextContent = firstRow
  /** The row that was given back last, or -1; its first number leads to the one before. */
  private vacantClip = -1
  private vacantContent = -1

  constructor() {
    super(new Int32Array(firstRow << rowShift))
    for (let ring = 0; ring < ringsEnd; ring += 2) this.clearRing(ring)
  }

  /** A row for a clip. @param usual rows at most, usually: room doubles, but not past it before it must */
  takeClip(usual: number): number {
    const clip = this.vacantClip
    if (clip >= 0) {
      this.vacantClip = this.links[clip << rowShift] ?? -1
      return clip
    }
    if (this.nextClip === this.end) this.grow(usual)
    this.nextClip += 1
    return this.nextClip - 1
  }

  giveClip(clip: number): void {
    this.links[clip << rowShift] = this.vacantClip
    this.vacantClip = clip
  }

  /** A row for a content, whose rings are void yet. @param usual as `takeClip` */
  takeContent(usual: number): number {
    const content = this.vacantContent
    if (content >= 0) {
      this.vacantContent = this.links[(content << rowShift) + 8] ?? -1
      return content
    }
    if (this.nextContent === this.end) this.grow(usual)
    this.nextContent += 1
    return this.nextContent - 1
  }

  giveContent(content: number): void {
    this.links[(content << rowShift) + 8] = this.vacantContent
    this.vacantContent = content
  }

  /** The number of a clip or content as others know it: from 0 on, or -1. */
  shown(row: number): number {
    return row < 0 ? -1 : row - firstRow
  }

  /** The row that others know by that number. */
  placeOf(shown: number): number {
    return shown + firstRow
  }

  /** Takes the first so many rows of clips and of contents, where none is taken. */
  protected takeFirst(clips: number, contents: number): void {
    this.reserve(clips, contents)
    this.nextClip = firstRow + clips
    this.nextContent = firstRow + contents
  }

  /** The ring of its content in which a clip lies. */
  contentRingOf(clip: number): number {
    return this.links[clip << rowShift] ?? 0
  }

  /** The ring of its skill in which a clip lies. */
  skillRingOf(clip: number): number {
    return this.links[(clip << rowShift) + 1] ?? 0
  }

  setRingsOf(clip: number, contentRing: number, skillRing: number): void {
    this.links[clip << rowShift] = contentRing
    this.links[(clip << rowShift) + 1] = skillRing
  }

  contentOf(clip: number): number {
    return this.contentRingOf(clip) >> rowShift
  }

  skillNumberOf(clip: number): number {
    return (this.skillRingOf(clip) - skillStart) >> 2
  }

  isPinned(clip: number): boolean {
    return (this.contentRingOf(clip) & 2) !== 0
  }

  /** Whether a clip is the only one in its ring at its content. */
  isAlone(clip: number): boolean {
    return this.links[(clip << rowShift) + 2] === this.links[(clip << rowShift) + 3]
  }

  /** The clip or content in whose row a place lies. */
  rowOf(place: number): number {
    return place >> rowShift
  }

  /** The place of a clip at its content. */
  contentPlaceOf(clip: number): number {
    return (clip << rowShift) + 2
  }

  /** The place of a clip at its skill. */
  skillPlaceOf(clip: number): number {
    return (clip << rowShift) + 4
  }

  wheelPlaceOf(clip: number): number {
    return (clip << rowShift) + 6
  }

  orderPlaceOf(content: number): number {
    return (content << rowShift) + 10
  }

  /** The ring of the clips of a content that are not pinned; that of those that are lies 2 behind it. */
  contentRing(content: number): number {
    return (content << rowShift) + 12
  }

  /** The same for a skill. */
  skillRing(skill: number): number {
    return skillStart + 4 * skill
  }

  wheelRing(bucket: number): number {
    return wheelStart + 2 * bucket
  }

  /** Whether a clip of a content is not pinned. */
  hasLoose(content: number): boolean {
    return !this.isEmpty((content << rowShift) + 12)
  }

  /** Whether a clip of a content is pinned. */
  hasPin(content: number): boolean {
    return !this.isEmpty((content << rowShift) + 14)
  }

  hashOf(content: number): number {
    return this.links[(content << rowShift) + 8] ?? 0
  }

  setHash(content: number, hash: number): void {
    this.links[(content << rowShift) + 8] = hash
  }

  /** The next content of its chain, 0: none. */
  chained(content: number): number {
    return this.links[(content << rowShift) + 9] ?? 0
  }

  setChained(content: number, next: number): void {
    this.links[(content << rowShift) + 9] = next
  }

  /** Infinity: never. */
  expiresMs(clip: number): number {
    return this.figures[clip * figuresEach] ?? 0
  }

  addedMs(clip: number): number {
    return this.figures[clip * figuresEach + 1] ?? 0
  }

  accessedMs(clip: number): number {
    return this.figures[clip * figuresEach + 2] ?? 0
  }

  accesses(clip: number): number {
    return this.figures[clip * figuresEach + 3] ?? 0
  }

  setLife(clip: number, addedMs: number, expiresMs: number): void {
    this.figures[clip * figuresEach] = expiresMs
    this.figures[clip * figuresEach + 1] = addedMs
  }

  setAccess(clip: number, accessedMs: number, accesses: number): void {
    this.figures[clip * figuresEach + 2] = accessedMs
    this.figures[clip * figuresEach + 3] = accesses
  }

  bytesOf(content: number): number {
    return this.figures[content * figuresEach + 4] ?? 0
  }

  setBytes(content: number, bytes: number): void {
    this.figures[content * figuresEach + 4] = bytes
  }

  /** Of two contents the one with the higher number was used later. */
  lastUse(content: number): number {
    return this.figures[content * figuresEach + 5] ?? 0
  }

  setLastUse(content: number, use: number): void {
    this.figures[content * figuresEach + 5] = use
  }

  /** Makes room for so many rows: as many as the more of both. */
  reserve(clips: number, contents: number): void {
    const end = firstRow + Math.max(clips, contents)
    if (end <= this.end) return
    this.end = end
    this.links = widerInts(this.links, end << rowShift)
    this.figures = widerFloats(this.figures, end * figuresEach)
  }

  private grow(usual: number): void {
    const rows = this.end - firstRow
    const doubled = Math.max(rowsMin, 2 * rows)
    this.reserve(rows < usual ? Math.min(doubled, usual) : doubled, 0)
  }
}
