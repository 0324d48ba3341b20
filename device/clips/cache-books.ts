/**
 * The books of the clip cache: which clip refers to which content and belongs to which skill, all orders of
 * recency, all sums.
 * Promise: every change is whole, in O(1), before the listener hears of it, and the listener hears of every clip
 * and content that leaves. Recency is that of a content (its last use by any clip), of the clips of a content,
 * of the clips of a skill. Pinned clips and contents lie in rings of their own, so that what may leave is first.
 * Leaves to others: who must leave, and when (clip-cache.ts, cache-room.ts).
 */
import { AssertionFailed } from '../../core/assert.ts'
import { CacheNames } from './cache-names.ts'
import type { CacheListener, Departure } from './cache-types.ts'
import { ExpiryWheel } from './expiry-wheel.ts'
import { type SkillRow, SkillTable } from './skill-table.ts'

/** Rings of contents: no clip of it is pinned; some are; all are. The last is in no order. */
const loose = 0
const mixed = 2
const held = 4

export class Books extends CacheNames {
  readonly skills = new SkillTable()
  readonly wheel: ExpiryWheel
  /** Of contents with a pinned clip. */
  pinnedBytes = 0
  pinnedItems = 0
  evictions = 0
  expirations = 0
  /** Rises with each change. */
  changes = 0
  private uses = 0
  private telling = false
  private readonly listener: CacheListener

  constructor(listener: CacheListener) {
    super()
    this.wheel = new ExpiryWheel(this)
    this.listener = listener
  }

  /** Called first by all that changes something. @throws AssertionFailed when a listener calls the cache */
  begin(): void {
    if (this.telling) throw new AssertionFailed('a listener of the clip cache must not change it')
    this.changes += 1
  }

  skillOf(clip: number): SkillRow {
    return this.skills.at(this.skillNumberOf(clip))
  }

  /** Adds a clip that is not pinned and a content of which it is the only clip: what most puts are. */
  addBoth(id: string, name: string, hash: number, bytes: number, skill: SkillRow, usual: number): number {
    const clip = this.enterClip(id, usual)
    const content = this.enterContent(name, hash, bytes, usual)
    const contentRing = this.contentRing(content)
    const skillRing = this.skillRing(skill.number)
    this.setRingsOf(clip, contentRing, skillRing)
    this.startRing(contentRing, this.contentPlaceOf(clip))
    this.clearRing(contentRing + 2)
    this.append(skillRing, this.skillPlaceOf(clip))
    this.append(loose, this.orderPlaceOf(content))
    this.uses += 1
    this.setLastUse(content, this.uses)
    this.skills.arrived(skill, bytes)
    return clip
  }

  /** A content without clips yet, in no order yet; `link` must follow. */
  newContent(name: string, hash: number, bytes: number, usual: number): number {
    const content = this.enterContent(name, hash, bytes, usual)
    this.clearRings(content)
    return content
  }

  /** As `newContent`, at a row. */
  override placeContent(row: number, bytes: number): boolean {
    this.clearRings(this.placeOf(row))
    return super.placeContent(row, bytes)
  }

  /** Lets a clip that is new, or was unlinked, refer to a content: the latest use of both. */
  link(clip: number, content: number, skill: SkillRow, isPinned: boolean): void {
    const pin = isPinned ? 2 : 0
    const contentRing = this.contentRing(content) + pin
    const skillRing = this.skillRing(skill.number) + pin
    this.setRingsOf(clip, contentRing, skillRing)
    this.append(contentRing, this.contentPlaceOf(clip))
    this.append(skillRing, this.skillPlaceOf(clip))
    const bytes = this.bytesOf(content)
    this.skills.arrived(skill, bytes)
    if (isPinned) {
      this.pinnedItems += 1
      skill.pinnedBytes += bytes
      if (this.isAlone(clip)) this.pinnedBytes += bytes
    }
    this.useContent(content)
  }

  /** Makes a clip and its content the most recent. */
  use(clip: number): void {
    this.touch(this.contentRingOf(clip), this.contentPlaceOf(clip))
    this.touch(this.skillRingOf(clip), this.skillPlaceOf(clip))
    this.useContent(this.contentOf(clip))
  }

  /** Lets a clip that is there refer to a content, the same or another: the latest use of both. */
  refer(clip: number, content: number, isPinned: boolean): void {
    const before = this.contentOf(clip)
    if (before === content && this.isPinned(clip) === isPinned) {
      this.use(clip)
      return
    }
    const skill = this.skillOf(clip)
    this.unlink(clip, before, skill)
    this.link(clip, content, skill, isPinned)
    if (before !== content) this.tell(clip, this.id(clip), skill.id, before, 'replaced')
  }

  /** Lets a clip leave. */
  drop(clip: number, why: Departure): void {
    const skill = this.skillOf(clip)
    const content = this.contentOf(clip)
    const id = this.id(clip)
    if (why === 'expired') this.expirations += 1
    else if (why === 'bytes' || why === 'items' || why === 'quota' || why === 'room') this.evictions += 1
    this.wheel.remove(clip)
    if (!this.hasPin(content) && this.isAlone(clip)) {
      // What most departures are: `unlink` and `tell`, without the questions.
      this.cut(this.contentPlaceOf(clip))
      this.cut(this.skillPlaceOf(clip))
      this.skills.departed(skill, this.bytesOf(content))
      this.leaveClip(clip)
      this.tellBoth(clip, id, skill.id, content, why)
    } else {
      this.unlink(clip, content, skill)
      this.leaveClip(clip)
      this.tell(clip, id, skill.id, content, why)
    }
  }

  /** Lets all clips of a content leave, those that are not pinned first, each the oldest first. */
  dropContent(content: number, why: Departure): number {
    const ring = this.contentRing(content)
    return this.dropRing(ring, why) + this.dropRing(ring + 2, why)
  }

  /** The same for a skill. */
  dropSkill(skill: SkillRow, why: Departure): number {
    const ring = this.skillRing(skill.number)
    return this.dropRing(ring, why) + this.dropRing(ring + 2, why)
  }

  /** The least recent content without a pinned clip, or -1. */
  looseContent(): number {
    const place = this.next(loose)
    return place === loose ? -1 : this.rowOf(place)
  }

  /** The least recent clip of the least recent content that has one that is not pinned, or -1. */
  oldestClip(): number {
    const one = this.looseContent()
    const place = this.next(mixed)
    if (place === mixed) return one < 0 ? -1 : this.rowOf(this.next(this.contentRing(one)))
    const other = this.rowOf(place)
    const first = one >= 0 && this.lastUse(one) < this.lastUse(other) ? one : other
    return this.rowOf(this.next(this.contentRing(first)))
  }

  /** The least recent clip of a skill that is not pinned, or -1. */
  oldestOfSkill(skill: SkillRow): number {
    const ring = this.skillRing(skill.number)
    const place = this.next(ring)
    return place === ring ? -1 : this.rowOf(place)
  }

  /** All contents, the least recently used first. */
  contentsInOrder(): readonly number[] {
    const all = [loose, mixed, held].flatMap((ring) => [...this.places(ring)].map((it) => this.rowOf(it)))
    return all.sort((one, other) => this.lastUse(one) - this.lastUse(other))
  }

  /** Clips of a content, those that are not pinned first, each the oldest first. */
  *clipsOfContent(content: number): Generator<number> {
    const ring = this.contentRing(content)
    for (const place of this.places(ring)) yield this.rowOf(place)
    for (const place of this.places(ring + 2)) yield this.rowOf(place)
  }

  /** The same for a skill. */
  *clipsOfSkill(skill: SkillRow): Generator<number> {
    const ring = this.skillRing(skill.number)
    for (const place of this.places(ring)) yield this.rowOf(place)
    for (const place of this.places(ring + 2)) yield this.rowOf(place)
  }

  /** Says that nothing more can give way. */
  tellFull(neededBytes: number): void {
    this.telling = true
    try {
      this.listener.full(neededBytes)
    } finally {
      this.telling = false
    }
  }

  /** Takes a reference away; a content without clips stays until `tell`. */
  private unlink(clip: number, content: number, skill: SkillRow): void {
    const bytes = this.bytesOf(content)
    this.cut(this.contentPlaceOf(clip))
    this.cut(this.skillPlaceOf(clip))
    this.skills.departed(skill, bytes)
    if (this.isPinned(clip)) {
      this.pinnedItems -= 1
      skill.pinnedBytes -= bytes
      if (this.hasPin(content)) return
      this.pinnedBytes -= bytes
      // One that loses its last pin counts as used: no other place in the order can be found for it in O(1).
      this.useContent(content)
    } else if (this.hasPin(content) && !this.hasLoose(content)) this.touch(held, this.orderPlaceOf(content))
  }

  /** A content without clips, in no order. */
  private clearRings(content: number): void {
    this.clearRing(this.contentRing(content))
    this.clearRing(this.contentRing(content) + 2)
    this.clearRing(this.orderPlaceOf(content))
  }

  /** Puts a content behind the last of the ring where it belongs. */
  private useContent(content: number): void {
    const ring = this.hasPin(content) ? (this.hasLoose(content) ? mixed : held) : loose
    this.touch(ring, this.orderPlaceOf(content))
    this.uses += 1
    this.setLastUse(content, this.uses)
  }

  private dropRing(ring: number, why: Departure): number {
    let dropped = 0
    for (let place = this.next(ring); place !== ring; place = this.next(ring)) {
      this.drop(this.rowOf(place), why)
      dropped += 1
    }
    return dropped
  }

  /** Tells of a clip that left, and of its content when that has no clip any more. */
  private tell(clip: number, id: string, skill: string, content: number, why: Departure): void {
    if (!this.hasLoose(content) && !this.hasPin(content)) this.tellBoth(clip, id, skill, content, why)
    else {
      this.telling = true
      try {
        this.listener.left(id, skill, this.name(content), why, this.shown(clip))
      } finally {
        this.telling = false
      }
    }
  }

  /** Takes out a content without clips, and tells of it and of its last clip. */
  private tellBoth(clip: number, id: string, skill: string, content: number, why: Departure): void {
    const name = this.name(content)
    const bytes = this.bytesOf(content)
    this.cut(this.orderPlaceOf(content))
    this.leaveContent(content)
    this.telling = true
    try {
      this.listener.left(id, skill, name, why, this.shown(clip))
      this.listener.contentLeft(name, bytes, this.shown(content))
    } finally {
      this.telling = false
    }
  }
}
