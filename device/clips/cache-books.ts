/**
 * The books of the clip cache: which clip refers to which content and belongs to which skill, all orders of
 * recency, all sums.
 * Promise: every change is whole, in O(1), before the listener hears of it, and the listener hears of every clip
 * and content that leaves. Recency is that of a content (its last use by any clip), of the clips of a content,
 * of the clips of a skill. Pinned clips and contents lie in rings of their own, so that what may leave is first.
 * Leaves to others: who must leave, and when (clip-cache.ts, cache-room.ts).
 */
import { assert, present } from '../../core/assert.ts'
import { ClipTable, ContentTable, type SkillRow, SkillTable } from './cache-tables.ts'
import type { CacheListener, Departure } from './cache-types.ts'
import { ExpiryWheel } from './expiry-wheel.ts'
import { none, Rings } from './ring.ts'

/** Rings of contents: no clip of it is pinned; some are; all are. The last has no order. */
const loose = 0
const mixed = 1
const pinned = 2

export class Books {
  readonly clips = new ClipTable()
  readonly contents = new ContentTable()
  readonly skills = new SkillTable()
  readonly wheel = new ExpiryWheel(this.clips.capacity)
  /** Of all contents, each once. */
  bytes = 0
  /** Of all clips by themselves. */
  clipBytes = 0
  /** Of contents with a pinned clip. */
  pinnedBytes = 0
  pinnedItems = 0
  evictions = 0
  expirations = 0
  private readonly order = new Rings(this.contents.capacity, 3)
  /** Rings 2n and 2n + 1: the clips of content n that are not pinned, and that are. */
  private readonly ofContent = new Rings(this.clips.capacity, 2 * this.contents.capacity)
  /** The same for skills. */
  private readonly ofSkill = new Rings(this.clips.capacity, 2)
  private skillRoom = 1
  private uses = 0
  private changes = 0
  private telling = false
  private readonly listener: CacheListener

  constructor(listener: CacheListener) {
    this.listener = listener
  }

  /** Called first by all that changes something. @throws AssertionFailed when a listener calls the cache */
  begin(): void {
    assert(!this.telling, 'a listener of the clip cache must not change it')
    this.changes += 1
  }

  /** Rises with each change. */
  get changed(): number {
    return this.changes
  }

  skillOf(clip: number): SkillRow {
    return present(this.skills.at(this.clips.skill(clip)), 'the skill of a clip')
  }

  enterSkill(id: string, quota: number): SkillRow {
    const row = this.skills.enter(id, quota)
    if (row.number >= this.skillRoom) {
      this.skillRoom = Math.max(2 * this.skillRoom, row.number + 1)
      this.ofSkill.growRings(2 * this.skillRoom)
    }
    return row
  }

  /** Makes room for so many at once. */
  reserve(clips: number, contents: number): void {
    if (clips > this.clips.capacity) this.growClips(clips)
    if (contents > this.contents.capacity) this.growContents(contents)
  }

  /** A content without clips yet; `link` must follow. */
  enterContent(name: string, bytes: number, usual: number): number {
    const room = this.contents.roomFor(usual)
    if (room > this.contents.capacity) this.growContents(room)
    const content = this.contents.enter(name)
    this.contents.bytes[content] = bytes
    this.contents.rings[content] = none
    this.bytes += bytes
    return content
  }

  /** A clip without content yet; `link` must follow. */
  enterClip(id: string, skill: SkillRow, usual: number): number {
    const room = this.clips.roomFor(usual)
    if (room > this.clips.capacity) this.growClips(room)
    const clip = this.clips.enter(id)
    this.clips.skills[clip] = skill.number
    this.clips.accesses[clip] = 0
    return clip
  }

  /** Lets a clip refer to a content: the latest use of both. */
  link(clip: number, content: number, isPinned: boolean): void {
    const pin = isPinned ? 1 : 0
    this.clips.contents[clip] = content
    this.clips.pins[clip] = pin
    this.ofContent.append(2 * content + pin, clip)
    this.ofSkill.append(2 * this.clips.skill(clip) + pin, clip)
    this.count(clip, 1)
    this.settle(content, true)
  }

  /** Makes a clip and its content the most recent. */
  use(clip: number): void {
    const content = this.clips.content(clip)
    const pin = this.clips.pins[clip] ?? 0
    this.ofContent.touch(2 * content + pin, clip)
    this.ofSkill.touch(2 * this.clips.skill(clip) + pin, clip)
    this.settle(content, true)
  }

  /** Pins or unpins a clip: a use of it. */
  pin(clip: number, isPinned: boolean): void {
    const content = this.clips.content(clip)
    this.unlink(clip)
    this.link(clip, content, isPinned)
  }

  /** Lets a clip refer to another content. */
  replace(clip: number, content: number, isPinned: boolean): void {
    const before = this.clips.content(clip)
    this.unlink(clip)
    this.link(clip, content, isPinned)
    this.settleLeft(before)
    this.tell(this.clips.name(clip), this.skillOf(clip).id, before, 'replaced', clip)
  }

  /** Lets a clip leave. */
  drop(clip: number, why: Departure): void {
    const content = this.clips.content(clip)
    const id = this.clips.name(clip)
    const skill = this.skillOf(clip).id
    this.wheel.remove(clip)
    this.unlink(clip)
    this.clips.leave(clip)
    this.settleLeft(content)
    if (why === 'expired') this.expirations += 1
    else if (why === 'bytes' || why === 'items' || why === 'quota' || why === 'room') this.evictions += 1
    this.tell(id, skill, content, why, clip)
  }

  /** Lets all clips of a content leave, those that are not pinned first, each the oldest first. */
  dropContent(content: number, why: Departure): number {
    return (
      this.dropRing(this.ofContent, 2 * content, why) + this.dropRing(this.ofContent, 2 * content + 1, why)
    )
  }

  /** The same for a skill. */
  dropSkill(skill: SkillRow, why: Departure): number {
    return (
      this.dropRing(this.ofSkill, 2 * skill.number, why) +
      this.dropRing(this.ofSkill, 2 * skill.number + 1, why)
    )
  }

  /** The least recent content without a pinned clip, or `none`. */
  looseContent(): number {
    return this.order.first(loose)
  }

  /** The least recent clip of the least recent content that has one that is not pinned, or `none`. */
  oldestClip(): number {
    const one = this.order.first(loose)
    const other = this.order.first(mixed)
    if (one === none && other === none) return none
    const first = other === none || (one !== none && this.usedAt(one) < this.usedAt(other)) ? one : other
    return this.ofContent.first(2 * first)
  }

  /** The least recent clip of a skill that is not pinned, or `none`. */
  oldestOfSkill(skill: SkillRow): number {
    return this.ofSkill.first(2 * skill.number)
  }

  /** Contents, the least recent first. */
  contentsInOrder(): readonly number[] {
    const all = [loose, mixed, pinned].flatMap((ring) => [...this.order.nodes(ring)])
    return all.sort((one, other) => this.usedAt(one) - this.usedAt(other))
  }

  /** Clips of a content, those that are not pinned first, each the oldest first. */
  *clipsOfContent(content: number): Generator<number> {
    yield* this.ofContent.nodes(2 * content)
    yield* this.ofContent.nodes(2 * content + 1)
  }

  /** The same for a skill. */
  *clipsOfSkill(skill: SkillRow): Generator<number> {
    yield* this.ofSkill.nodes(2 * skill.number)
    yield* this.ofSkill.nodes(2 * skill.number + 1)
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

  private growClips(room: number): void {
    this.clips.grow(room)
    this.wheel.grow(room)
    this.ofContent.growNodes(room)
    this.ofSkill.growNodes(room)
  }

  private growContents(room: number): void {
    this.contents.grow(room)
    this.order.growNodes(room)
    this.ofContent.growRings(2 * room)
  }

  /** Takes a reference away; `link`, or `settleLeft` for its content, must follow. */
  private unlink(clip: number): void {
    const content = this.clips.content(clip)
    const pin = this.clips.pins[clip] ?? 0
    this.ofContent.remove(2 * content + pin, clip)
    this.ofSkill.remove(2 * this.clips.skill(clip) + pin, clip)
    this.count(clip, -1)
  }

  /** Puts a content that lost a clip into its place, or takes it out of the books when that was the last. */
  private settleLeft(content: number): void {
    if (this.contents.clipsOf(content) > 0) this.settle(content, false)
    else {
      this.order.remove(this.contents.rings[content] ?? none, content)
      this.bytes -= this.contents.bytesOf(content)
    }
  }

  /** A content that loses its last pin counts as used: the order has no other place for it that is found in O(1). */
  private settle(content: number, used: boolean): void {
    const before = this.contents.rings[content] ?? none
    const pins = this.contents.pinnedOf(content)
    const now = pins === 0 ? loose : pins < this.contents.clipsOf(content) ? mixed : pinned
    if (before === now) {
      if (!used) return
      this.order.touch(now, content)
    } else {
      if (before !== none) this.order.remove(before, content)
      this.order.append(now, content)
      this.contents.rings[content] = now
      if (now === pinned && !used) return
    }
    this.uses += 1
    this.contents.uses[content] = this.uses
  }

  private count(clip: number, by: 1 | -1): void {
    const content = this.clips.content(clip)
    const bytes = by * this.contents.bytesOf(content)
    const skill = this.skillOf(clip)
    this.contents.clips[content] = this.contents.clipsOf(content) + by
    this.clipBytes += bytes
    this.skills.count(skill, by)
    skill.bytes += bytes
    if (!this.clips.isPinned(clip)) return
    const pins = this.contents.pinnedOf(content) + by
    this.contents.pinned[content] = pins
    this.pinnedItems += by
    skill.pinnedBytes += bytes
    if (pins === (by === 1 ? 1 : 0)) this.pinnedBytes += bytes
  }

  private dropRing(rings: Rings, ring: number, why: Departure): number {
    let dropped = 0
    for (let clip = rings.first(ring); clip !== none; clip = rings.first(ring)) {
      this.drop(clip, why)
      dropped += 1
    }
    return dropped
  }

  private usedAt(content: number): number {
    return this.contents.uses[content] ?? 0
  }

  /** Tells of a clip that left, and of its content when that has no clip any more. */
  private tell(clip: string, skill: string, content: number, why: Departure, row: number): void {
    const name = this.contents.name(content)
    const bytes = this.contents.bytesOf(content)
    const gone = this.contents.clipsOf(content) === 0
    if (gone) this.contents.leave(content)
    this.telling = true
    try {
      this.listener.left(clip, skill, name, why, row)
      if (gone) this.listener.contentLeft(name, bytes, content)
    } finally {
      this.telling = false
    }
  }
}
