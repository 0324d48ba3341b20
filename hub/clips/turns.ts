/**
 * Work on one thing, one piece at a time; work on different things goes on at once.
 * Promise: in the order of asking; a piece that fails does not hold up the next.
 */

export type Turns = <T>(key: string, work: () => Promise<T>) => Promise<T>

export function turnsByKey(): Turns {
  const last = new Map<string, Promise<unknown>>()
  return async (key, work) => {
    const before = last.get(key) ?? Promise.resolve()
    const own = before.then(work, work)
    last.set(key, own)
    try {
      return await own
    } finally {
      if (last.get(key) === own) last.delete(key)
    }
  }
}
