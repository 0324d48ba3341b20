/**
 * Reads what Linux says of memory: of the program's own control group, and of the machine.
 * Leaves to others: what it means (memory-pressure.ts).
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { groupPath, isMemoryShort } from '../memory-pressure.ts'

export interface MemoryPlaces {
  readonly proc: string
  /** Where control groups of version 2 are mounted. */
  readonly groups: string
}

const usualPlaces: MemoryPlaces = { proc: '/proc', groups: '/sys/fs/cgroup' }

/** @returns a function that says whether memory is short now; what cannot be read says nothing */
export function memoryShort({ proc, groups }: MemoryPlaces = usualPlaces): () => Promise<boolean> {
  return async () => {
    const own = groupPath(await text(join(proc, 'self/cgroup')))
    const ofGroup = (name: string): Promise<string | null> =>
      own === null ? Promise.resolve(null) : text(join(groups, own, name))
    const group = {
      pressure: await ofGroup('memory.pressure'),
      current: await ofGroup('memory.current'),
      max: await ofGroup('memory.max'),
      stat: await ofGroup('memory.stat'),
    }
    const machine = {
      pressure: await text(join(proc, 'pressure/memory')),
      info: await text(join(proc, 'meminfo')),
    }
    return isMemoryShort({ group, machine })
  }
}

/** null: there is no such file, or it cannot be read. */
async function text(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    return null
  }
}
