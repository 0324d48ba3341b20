/**
 * The clip cache once more, slow and obvious: plain arrays that are searched and sorted anew for every question,
 * and a put that is tried on a copy. What the real one says and does must be the same, call by call.
 * Leaves to others: the order in which clips expire, which the real one may choose.
 */
import { clipLimits } from '../../../core/clip-limits.ts'
import type {
  CacheLimits,
  CacheStats,
  ContentEntry,
  Departure,
  Entry,
  NewClip,
  PutResult,
  SkillEntry,
} from '../../../device/clips/cache-types.ts'
import {
  bytesOf,
  byUse,
  contentBytes,
  dropUnused,
  entryOf,
  hasPin,
  inTurn,
  itemsOf,
  life,
  lostPin,
  type ModelClip,
  type ModelSkill,
  pinnedBytes,
  quotaUse,
  type State,
  sum,
} from './model-state.ts'

export class ClipModel {
  limits: CacheLimits
  private state: State = {
    clips: [],
    contents: [],
    skills: [],
    uses: 0,
    hits: 0,
    misses: 0,
    evictions: 0,
    expirations: 0,
    said: [],
  }

  constructor(limits: CacheLimits) {
    this.limits = limits
  }

  /** What listeners have been told since it was asked last. */
  said(): readonly string[] {
    return this.state.said.splice(0)
  }

  put(id: string, it: NewClip, nowMs: number): PutResult {
    const { state, limits } = this
    const old = state.clips.find(({ clip }) => clip === id)
    if (old !== undefined && old.skill !== it.skill) return 'foreign'
    const there = state.contents.find(({ content }) => content === it.content)
    const bytes = there?.bytes ?? it.bytes
    const pinned = it.pinned ?? old?.pinned ?? false
    const times = life(limits, it, nowMs)
    if (!pinned && times.expiresMs <= nowMs) return 'expired'
    const wanted: ModelClip = {
      clip: id,
      skill: it.skill,
      content: it.content,
      ...times,
      accessedMs: Math.min(it.accessedMs ?? old?.accessedMs ?? times.addedMs, nowMs),
      accesses: it.accesses ?? old?.accesses ?? 0,
      pinned,
      used: 0,
    }
    const quota = this.quota(it.skill)
    const noBytes = this.refused(wanted, bytes, (s) => this.keepBytes(s), bytesOf, limits.bytes)
    const noQuota = this.refused(wanted, bytes, (s) => this.keepQuota(s, it.skill), quotaUse(it.skill), quota)
    const noItems = this.refused(wanted, bytes, (s) => this.keepItems(s), itemsOf, limits.items)
    if ((noBytes && bytes > limits.bytes) || (noQuota && bytes > quota)) return 'too-large'
    const tried = structuredClone(state)
    this.insert(tried, wanted, bytes)
    const pins = pinnedBytes(tried)
    const noPins = pins > limits.pinnedBytes && pins > pinnedBytes(state)
    if (noBytes || noQuota || noItems || noPins || !this.hasSkillRow(it.skill)) {
      state.said.push(`full ${bytes}`)
      return 'full'
    }
    this.skill(it.skill)
    this.insert(state, wanted, bytes)
    this.keepAll(it.skill)
    if (old === undefined) return there === undefined ? 'added' : 'alias'
    return old.content === it.content ? 'same' : 'replaced'
  }

  get(id: string, nowMs: number): Entry | null {
    const { state } = this
    const found = state.clips.find(({ clip }) => clip === id)
    if (found === undefined || (!found.pinned && found.expiresMs <= nowMs)) {
      state.misses += 1
      if (found !== undefined) this.leave(state, found, 'expired')
      return null
    }
    if (found.addedMs > nowMs) {
      found.expiresMs += nowMs - found.addedMs
      found.addedMs = nowMs
    }
    this.use(state, found)
    found.accessedMs = nowMs
    found.accesses += 1
    state.hits += 1
    this.skill(found.skill).hits += 1
    return entryOf(this.state, found)
  }

  peek(id: string): Entry | null {
    const found = this.state.clips.find(({ clip }) => clip === id)
    return found === undefined ? null : entryOf(this.state, found)
  }

  missed(id: string): void {
    if (this.hasSkillRow(id)) this.skill(id).misses += 1
  }

  pin(id: string, pinned: boolean): boolean {
    const { state, limits } = this
    const found = state.clips.find(({ clip }) => clip === id)
    if (found === undefined) return false
    if (found.pinned === pinned) return true
    const tried = structuredClone(state)
    for (const it of tried.clips) if (it.clip === id) it.pinned = pinned
    const pins = pinnedBytes(tried)
    if (pins > limits.pinnedBytes && pins > pinnedBytes(state)) return false
    found.pinned = pinned
    this.use(state, found)
    this.keepAll(found.skill)
    return true
  }

  remove(id: string): boolean {
    const found = this.state.clips.find(({ clip }) => clip === id)
    if (found !== undefined) this.leave(this.state, found, 'removed')
    this.keepBytes(this.state)
    return found !== undefined
  }

  invalidateSkill(id: string): number {
    const left = this.leaveAll(
      this.state.clips.filter(({ skill }) => skill === id),
      'skill',
    )
    this.keepBytes(this.state)
    return left
  }

  invalidateContent(name: string): number {
    return this.leaveAll(
      this.state.clips.filter(({ content }) => content === name),
      'content',
    )
  }

  clear(): void {
    for (const { content } of byUse(this.state.contents)) {
      this.leaveAll(
        this.state.clips.filter((it) => it.content === content),
        'cleared',
      )
    }
  }

  /** Clips that may expire, as their second has come. */
  due(nowMs: number): readonly string[] {
    const due = this.state.clips.filter(
      (it) => !it.pinned && Math.ceil(it.expiresMs / 1000) <= Math.floor(nowMs / 1000),
    )
    return due.map(({ clip }) => clip)
  }

  /** Lets these clips expire, in this order. */
  expire(ids: readonly string[]): void {
    for (const id of ids) {
      const found = this.state.clips.find(({ clip }) => clip === id)
      if (found !== undefined) this.leave(this.state, found, 'expired')
    }
  }

  giveWay(bytes: number): number {
    const { state } = this
    const before = bytesOf(state)
    while (before - bytesOf(state) < bytes) {
      const [oldest] = byUse(state.contents.filter(({ content }) => !hasPin(state, content)))
      if (oldest === undefined) break
      this.leaveAll(
        state.clips.filter(({ content }) => content === oldest.content),
        'room',
      )
    }
    const freed = before - bytesOf(state)
    if (freed < bytes) state.said.push(`full ${bytes - freed}`)
    return freed
  }

  setLimits(limits: CacheLimits): void {
    this.limits = limits
    for (const { id } of this.state.skills) this.keepQuota(this.state, id)
    this.keepBytes(this.state)
    this.keepItems(this.state)
    if (bytesOf(this.state) > limits.bytes) this.state.said.push(`full ${bytesOf(this.state) - limits.bytes}`)
  }

  entries(): readonly Entry[] {
    const { state } = this
    return byUse(state.contents).flatMap(({ content }) =>
      inTurn(state.clips.filter((it) => it.content === content)).map((it) => entryOf(this.state, it)),
    )
  }

  clipsOf(id: string): readonly Entry[] {
    return inTurn(this.state.clips.filter(({ skill }) => skill === id)).map((it) => entryOf(this.state, it))
  }

  contents(): readonly ContentEntry[] {
    const { state } = this
    return byUse(state.contents).map(({ content, bytes }) => ({
      content,
      bytes,
      clips: state.clips.filter((it) => it.content === content).length,
      pinned: hasPin(state, content),
    }))
  }

  skills(): readonly SkillEntry[] {
    const { state } = this
    return state.skills.map(({ id, hits, misses }) => {
      const own = state.clips.filter((it) => it.skill === id)
      const bytes = (list: readonly ModelClip[]): number =>
        sum(list.map(({ content }) => contentBytes(state, content)))
      return {
        id,
        items: own.length,
        bytes: bytes(own),
        pinnedBytes: bytes(own.filter(({ pinned }) => pinned)),
        quota: this.quota(id),
        hits,
        misses,
      }
    })
  }

  stats(): CacheStats {
    const { state, limits } = this
    const sizeBytes = bytesOf(state)
    const clipBytes = sum(state.clips.map(({ content }) => contentBytes(state, content)))
    const asked = state.hits + state.misses
    return {
      sizeBytes,
      maxBytes: limits.bytes,
      items: state.clips.length,
      maxItems: limits.items,
      contents: state.contents.length,
      hits: state.hits,
      misses: state.misses,
      hitRate: asked === 0 ? 0 : state.hits / asked,
      evictions: state.evictions,
      expirations: state.expirations,
      dedupRatio: sizeBytes === 0 ? 1 : clipBytes / sizeBytes,
      bytesSaved: clipBytes - sizeBytes,
      pinnedBytes: pinnedBytes(state),
      pinnedItems: state.clips.filter(({ pinned }) => pinned).length,
    }
  }

  /**
   * Puts the clip into a copy, lets leave who must for one limit, the clip itself as well. Refused when it leaves,
   * or when the limit is passed all the same and what cannot leave has become more.
   */
  private refused(
    wanted: ModelClip,
    bytes: number,
    keep: (state: State) => void,
    measure: (state: State) => number,
    limit: number,
  ): boolean {
    const tried = structuredClone(this.state)
    this.insert(tried, wanted, bytes)
    keep(tried)
    if (!tried.clips.some(({ clip }) => clip === wanted.clip)) return true
    const stays = structuredClone(this.state)
    stays.clips = stays.clips.filter((it) => it.clip === wanted.clip || hasPin(this.state, it.content))
    if (measure !== bytesOf) stays.clips = stays.clips.filter((it) => it.clip === wanted.clip || it.pinned)
    stays.contents = stays.contents.filter((it) => stays.clips.some(({ content }) => content === it.content))
    return measure(tried) > limit && measure(tried) > measure(stays)
  }

  /** The clip refers to its content from now on, and to no other. */
  private insert(state: State, wanted: ModelClip, bytes: number): void {
    const old = state.clips.find(({ clip }) => clip === wanted.clip)
    const clip = { ...wanted }
    state.clips = state.clips.filter((it) => it !== old)
    if (old !== undefined && old.content !== wanted.content && lostPin(state, old)) {
      for (const it of state.contents) if (it.content === old.content) it.used = ++state.uses
    }
    if (!state.contents.some(({ content }) => content === wanted.content)) {
      state.contents.push({ content: wanted.content, bytes, used: 0 })
    }
    state.clips.push(clip)
    this.use(state, clip)
    if (old === undefined || old.content === wanted.content) return
    state.said.push(`left ${old.clip} ${old.skill} ${old.content} replaced`)
    dropUnused(state)
  }

  private leave(state: State, clip: ModelClip, why: Departure): void {
    state.clips = state.clips.filter((it) => it !== clip)
    if (why === 'expired') state.expirations += 1
    if (['bytes', 'items', 'quota', 'room'].includes(why)) state.evictions += 1
    state.said.push(`left ${clip.clip} ${clip.skill} ${clip.content} ${why}`)
    if (lostPin(state, clip)) {
      for (const it of state.contents) if (it.content === clip.content) it.used = ++state.uses
    }
    dropUnused(state)
    if (state.clips.every(({ skill }) => skill !== clip.skill)) {
      for (const it of state.skills) if (it.id === clip.skill) it.idleSince = ++state.uses
    }
  }

  private leaveAll(clips: readonly ModelClip[], why: Departure): number {
    for (const it of inTurn(clips)) this.leave(this.state, it, why)
    return clips.length
  }

  private use(state: State, clip: ModelClip): void {
    clip.used = ++state.uses
    for (const it of state.contents) if (it.content === clip.content) it.used = state.uses
  }

  private keepAll(skill: string): void {
    this.keepQuota(this.state, skill)
    this.keepBytes(this.state)
    this.keepItems(this.state)
  }

  private keepQuota(state: State, skill: string): void {
    while (quotaUse(skill)(state) > this.quota(skill)) {
      const [oldest] = byUse(state.clips.filter((it) => it.skill === skill && !it.pinned))
      if (oldest === undefined) return
      this.leave(state, oldest, 'quota')
    }
  }

  private keepBytes(state: State): void {
    while (bytesOf(state) > this.limits.bytes) {
      const [oldest] = byUse(state.contents.filter(({ content }) => !hasPin(state, content)))
      if (oldest === undefined) return
      for (const it of byUse(state.clips.filter(({ content }) => content === oldest.content))) {
        this.leave(state, it, 'bytes')
      }
    }
  }

  private keepItems(state: State): void {
    while (state.clips.length > this.limits.items) {
      const loose = state.clips.filter(({ pinned }) => !pinned)
      const [oldest] = byUse(
        state.contents.filter(({ content }) => loose.some((it) => it.content === content)),
      )
      const [clip] = byUse(loose.filter(({ content }) => content === oldest?.content))
      if (clip === undefined) return
      this.leave(state, clip, 'items')
    }
  }

  private quota(skill: string): number {
    return this.limits.quotas.get(skill) ?? this.limits.quotaDefault
  }

  private hasSkillRow(id: string): boolean {
    const { clips, skills } = this.state
    const idle = skills.some((it) => clips.every(({ skill }) => skill !== it.id))
    return skills.length < clipLimits.skillsMax || skills.some((it) => it.id === id) || idle
  }

  /** The figures of a skill; the skill that has been idle longest gives up its row when there are too many. */
  private skill(id: string): ModelSkill {
    const { state } = this
    const found = state.skills.find((it) => it.id === id)
    if (found !== undefined) return found
    if (state.skills.length === clipLimits.skillsMax) {
      const idle = state.skills.filter((it) => state.clips.every(({ skill }) => skill !== it.id))
      const [longest] = idle.toSorted((one, other) => one.idleSince - other.idleSince)
      state.skills = state.skills.filter((it) => it !== longest)
    }
    const row = { id, hits: 0, misses: 0, idleSince: ++state.uses }
    state.skills.push(row)
    return row
  }
}
