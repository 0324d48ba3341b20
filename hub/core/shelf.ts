/**
 * An immutable map by id that is cheap to change: one change copies one bucket, not ten thousand entries.
 * Promise: a shelf never changes; `set` and `delete` return another one that shares all other buckets.
 * Leaves to others: what the entries are. `ids` and `values` are in the order of the ids, `each` in none.
 */

const bucketCount = 256

export class Shelf<T> {
  readonly size: number
  readonly #buckets: readonly (ReadonlyMap<string, T> | undefined)[]

  private constructor(buckets: readonly (ReadonlyMap<string, T> | undefined)[], size: number) {
    this.#buckets = buckets
    this.size = size
  }

  static empty<T>(): Shelf<T> {
    return new Shelf<T>([], 0)
  }

  /** @param entries values and the id of each; the last of one id wins. */
  static from<T>(entries: readonly T[], idOf: (entry: T) => string): Shelf<T> {
    return Shelf.fromEntries(entries.map((it) => [idOf(it), it] as const))
  }

  /** @param entries ids and values; the last of one id wins. */
  static fromEntries<T>(entries: Iterable<readonly [string, T]>): Shelf<T> {
    const buckets: Map<string, T>[] = []
    let size = 0
    for (const [id, entry] of entries) {
      const number = bucketOf(id)
      buckets[number] ??= new Map<string, T>()
      const bucket = buckets[number]
      if (!bucket.has(id)) size += 1
      bucket.set(id, entry)
    }
    return new Shelf<T>(buckets, size)
  }

  get(id: string): T | undefined {
    return this.#buckets[bucketOf(id)]?.get(id)
  }

  set(id: string, entry: T): Shelf<T> {
    const number = bucketOf(id)
    const bucket = new Map(this.#buckets[number])
    const size = this.size + (bucket.has(id) ? 0 : 1)
    bucket.set(id, entry)
    return new Shelf<T>(replaced(this.#buckets, number, bucket), size)
  }

  delete(id: string): Shelf<T> {
    const number = bucketOf(id)
    const bucket = new Map(this.#buckets[number])
    if (!bucket.delete(id)) return this
    return new Shelf<T>(replaced(this.#buckets, number, bucket), this.size - 1)
  }

  /** All entries, without the price of sorting them. */
  *each(): Generator<T, void, void> {
    for (const bucket of this.#buckets) if (bucket !== undefined) yield* bucket.values()
  }

  /** All ids, sorted. */
  ids(): string[] {
    const all: string[] = []
    for (const bucket of this.#buckets) if (bucket !== undefined) all.push(...bucket.keys())
    return all.sort()
  }

  /** All entries, in the order of their ids. */
  values(): T[] {
    const all: [string, T][] = []
    for (const bucket of this.#buckets) if (bucket !== undefined) all.push(...bucket)
    return all.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, entry]) => entry)
  }
}

function replaced<T>(
  buckets: readonly (ReadonlyMap<string, T> | undefined)[],
  number: number,
  bucket: ReadonlyMap<string, T>,
): readonly (ReadonlyMap<string, T> | undefined)[] {
  const copy = buckets.slice()
  copy[number] = bucket
  return copy
}

/** FNV-1a, 32 bits. */
function bucketOf(id: string): number {
  let hash = 0x811c_9dc5
  for (let at = 0; at < id.length; at += 1) hash = Math.imul(hash ^ id.charCodeAt(at), 0x0100_0193)
  return (hash >>> 0) % bucketCount
}
