/**
 * Runs programs of the project as nobody, wherever the clone lies: below a home that nobody may enter, the
 * project is mounted a second time, for that process only.
 * Leaves to others: skipping when the tests are not run by root.
 */
import { chmod, mkdtemp, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'

const project = resolve(import.meta.dirname, '..')

export interface Nobody {
  /** Words before a program. */
  readonly words: readonly string[]
  /** Where a path of the project is for nobody; other paths stay. */
  path(path: string): string
  remove(): Promise<void>
}

const script =
  'mount --bind "$1" "$2" && cd "$2" && shift 2 && ' +
  'exec setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"'

/** The mount ends with the process. */
export async function becomeNobody(): Promise<Nobody> {
  const here = await mkdtemp(join(tmpdir(), 'everboot-nobody-'))
  await chmod(here, 0o755)
  return {
    words: ['unshare', '--mount', '--', 'sh', '-c', script, 'sh', project, here],
    path(path) {
      const inside = relative(project, path)
      return inside.startsWith('..') ? path : join(here, inside)
    },
    remove: () => rmdir(here),
  }
}

/** For tests that are not run by root: everything as it is. */
export const oneself: Nobody = { words: [], path: (path) => path, remove: async () => {} }
