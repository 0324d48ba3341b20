/**
 * Fills the empty books of the clip cache with rows that are known, without asking of each who must give way for it.
 * Promise: what is loaded is as if each clip had been put in its turn. Nobody gives way while every sum is within its
 * limit, and sums only grow: so it is enough that they are in the end.
 * Leaves to others: rows of which one must be refused, or must make another leave: books that were not loaded whole are
 * thrown away (clip-cache.ts).
 */
import type { Books } from './cache-books.ts'
import type { CacheLimits, KnownRows } from './cache-types.ts'
import type { SkillRow } from './skill-table.ts'

/** @param books nothing is in them. @returns false: not all could be loaded */
export function loadRows(books: Books, limits: CacheLimits, rows: KnownRows, nowMs: number): boolean {
  books.takeRows(rows.ids, rows.names, rows.contentRows)
  for (let turn = 0; turn < rows.turns; turn += 1) {
    const row = rows.at(turn)
    if (row >= 0 && !loadClip(books, limits, rows, row, nowMs)) return false
  }
  books.giveRows(rows.ids.length, rows.contentRows)
  return isWithin(books, limits)
}

function isWithin(books: Books, limits: CacheLimits): boolean {
  for (const { bytes, quota } of books.skills.all()) if (bytes > quota) return false
  return books.bytes <= limits.bytes && books.items <= limits.items && books.pinnedBytes <= limits.pinnedBytes
}

function loadClip(books: Books, limits: CacheLimits, rows: KnownRows, row: number, nowMs: number): boolean {
  const saidMs = rows.addedMs(row)
  // What was added in the future counts as added now, and lives as long.
  const addedMs = Math.min(saidMs, nowMs)
  const expiresMs = rows.expiresMs(row) - (saidMs - addedMs)
  const pinned = rows.pinned(row)
  if (!pinned && expiresMs <= nowMs) return false
  const skill = skillOf(books, limits, rows.skill(row))
  if (skill === null || !books.placeClip(row)) return false
  const clip = books.placeOf(row)
  const its = rows.content(row)
  const content = books.placeOf(its)
  const isNew = books.bytesOf(content) === 0
  if (isNew && !books.placeContent(its, rows.bytes(its))) return false
  books.link(clip, content, skill, pinned)
  books.setLife(clip, addedMs, expiresMs)
  books.setAccess(clip, Math.min(rows.accessedMs(row), nowMs), rows.accesses(row))
  books.wheel.add(clip)
  return true
}

/** null: there are as many as there may be. */
function skillOf(books: Books, limits: CacheLimits, id: string): SkillRow | null {
  const known = books.skills.find(id)
  if (known !== undefined) return known
  return books.skills.enter(id, limits.quotas.get(id) ?? limits.quotaDefault) ?? null
}
