/**
 * The files of the project that the rules look at, and which part of the house each one lies in.
 * Leaves to others: the rules.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Source, source } from './source.ts'

export const root = fileURLToPath(new URL('../..', import.meta.url))

const left = new Set(['node_modules', '.git', 'dist', 'coverage', '.everboot', 'vectors'])
const leftFiles = new Set(['package-lock.json', 'LICENSE'])
const texts = /\.(ts|mjs|js|sh|md|json|html|css|svg)$|^(Makefile|run|\.npmrc|\.gitignore)$/

/** Every text file of the project, by path. */
export function readTree(directory: string = root): readonly Source[] {
  return [...files(directory, '')].map((path) => source(path, readFileSync(join(directory, path), 'utf8')))
}

/** What ships: the product without its tests, benches and demo. */
export function isProduct(path: string): boolean {
  return (
    /^(core|keys|images|audio|device|hub|bootloader-sim|console|doctor|proof|bin)\//.test(path) ||
    path === 'everboot.ts'
  )
}

export function isCode(path: string): boolean {
  return /\.(ts|mjs|js)$/.test(path)
}

/** Where a file may touch the world: adapters, command line, composition root, programs inside an image. */
export function mayDoIo(path: string): boolean {
  return /(^|\/)(adapters|cli|files)\/|(^|\/)(cli(-[^/]+)?|main)\.ts$|^(everboot\.ts$|bin\/)/.test(path)
}

function* files(directory: string, below: string): Generator<string> {
  const entries = readdirSync(join(directory, below), { withFileTypes: true })
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (left.has(entry.name) || leftFiles.has(entry.name)) continue
    const path = below === '' ? entry.name : `${below}/${entry.name}`
    if (entry.isDirectory()) yield* files(directory, path)
    else if (entry.isFile() && texts.test(entry.name)) yield path
  }
}
