/**
 * Byte ranges of HTTP: what a `Range` and an `If-Range` header ask for.
 * Promise: one range of any of the three forms is honoured; several ranges, other units and malformed ones are
 * ignored, which means the whole file; a weak entity tag or a date never matches `If-Range`.
 * Source: RFC 9110, sections 13.1.5 and 14.1 to 14.4. Leaves to others: sending.
 */

export type RangeAnswer =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly start: number; readonly endExclusive: number }
  /** 416 with `Content-Range: bytes * /size` without the space. */
  | { readonly kind: 'unsatisfiable' }

const whole: RangeAnswer = { kind: 'whole' }
const oneRange = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i

/** @param size of the file in bytes. @param etag its strong entity tag, quotes included */
export function rangeFor(
  size: number,
  etag: string,
  range: string | undefined,
  ifRange: string | undefined,
): RangeAnswer {
  if (range === undefined) return whole
  if (ifRange !== undefined && ifRange !== etag) return whole
  const [match, first = '', last = ''] = oneRange.exec(range) ?? []
  if (match === undefined || (first === '' && last === '')) return whole
  if (first === '') {
    const wanted = Number(last)
    if (wanted === 0 || size === 0) return { kind: 'unsatisfiable' }
    return { kind: 'part', start: Math.max(0, size - wanted), endExclusive: size }
  }
  const start = Number(first)
  const end = last === '' ? Number.POSITIVE_INFINITY : Number(last)
  if (end < start) return whole
  if (start >= size) return { kind: 'unsatisfiable' }
  return { kind: 'part', start, endExclusive: Math.min(size, end + 1) }
}

/** True when `If-None-Match` names this file: 304. Weak comparison, RFC 9110 section 13.1.2. */
export function notModified(etag: string, ifNoneMatch: string | undefined): boolean {
  if (ifNoneMatch === undefined) return false
  return ifNoneMatch.split(',').some((it) => it.trim() === '*' || it.trim().replace(/^W\//, '') === etag)
}
