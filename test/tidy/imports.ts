/**
 * Rules about imports: which part of the house may know which, no cycles, no barrel files, no I/O in pure files.
 * Promise: who may know whom holds for types too; cycles and I/O are about what is there when code runs.
 */
import { at, type Import, type Source, target } from './source.ts'
import { isProduct, mayDoIo } from './tree.ts'

/** What each part may import besides itself. Parts that are not named may import everything. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  core: [],
  keys: ['core'],
  images: ['keys', 'core'],
  audio: ['core'],
  device: ['audio', 'images', 'keys', 'core'],
  hub: ['audio', 'images', 'keys', 'core'],
  'bootloader-sim': ['images', 'keys', 'core'],
  console: ['core'],
  doctor: ['device', 'images', 'keys', 'core'],
  bin: [],
}
/** `images/build` and `images/boards` are tools; programs that run elsewhere know the format only. */
const formatOnly = new Set(['device', 'hub', 'bootloader-sim'])

/** Modules without I/O, clock or chance, for files outside `adapters/`. */
const pureModules = new Set([
  'node:assert',
  'node:buffer',
  'node:crypto',
  'node:path',
  'node:util',
  'node:zlib',
])
const corePackages = new Set(['node:crypto', 'node:zlib', 'node:util', 'valibot'])
/** Of music-metadata only what reads from memory: `impureNames` has the rest. */
const purePackages = /^(valibot|fflate|music-metadata|@tufjs\/canonical-json|@noble\/[a-z]+\/.*)$/
/** Names of pure modules that bring in chance or the thread pool. */
const impureNames =
  /^(random|generate|getRandom|webcrypto|subtle|create(Gzip|Gunzip|Zstd|Brotli|Inflate|Deflate|Unzip)|parse(File|Stream|Blob|WebStream))/

/** Parts import downwards only, and nothing of the house imports tests, benches or the demo. */
export function importDirection(files: readonly Source[]): readonly string[] {
  return files.flatMap((file) => file.imports.flatMap((it) => directionFault(file, it)))
}

function directionFault(file: Source, it: Import): readonly string[] {
  const to = target(file, it.from)
  const [own = ''] = file.path.split('/')
  const allowed = mayImport[own]
  if (to === undefined || allowed === undefined) return []
  const [part = ''] = to.split('/')
  if (part === own) return []
  if (!allowed.includes(part)) return [at(file, it.start, `${own} must not import ${to}`)]
  if (part === 'images' && formatOnly.has(own) && !to.startsWith('images/release/')) {
    return [at(file, it.start, `${own} may import images/release only, not ${to}`)]
  }
  return []
}

/** `core` takes nothing but pure built-ins and the schema library. */
export function coreStandsAlone(files: readonly Source[]): readonly string[] {
  return files
    .filter((file) => file.path.startsWith('core/'))
    .flatMap((file) =>
      file.imports
        .filter((it) => target(file, it.from) === undefined && !corePackages.has(it.from))
        .map((it) => at(file, it.start, `core must not import ${it.from}`)),
    )
}

/** Files outside `adapters/`, `cli` and `main.ts` import neither I/O modules nor adapters. */
export function pureImports(files: readonly Source[]): readonly string[] {
  return files
    .filter((file) => isProduct(file.path) && !mayDoIo(file.path))
    .flatMap((file) => file.imports.flatMap((it) => impureImport(file, it)))
}

function impureImport(file: Source, it: Import): readonly string[] {
  if (it.typeOnly) return []
  const to = target(file, it.from)
  if (to !== undefined) {
    return mayDoIo(to) ? [at(file, it.start, `pure file imports ${to}, which does I/O`)] : []
  }
  if (!pureModules.has(it.from) && !purePackages.test(it.from)) {
    return [at(file, it.start, `pure file imports ${it.from}`)]
  }
  return it.names
    .filter((name) => impureNames.test(name))
    .map((name) => at(file, it.start, `pure file takes ${name} from ${it.from}`))
}

/** No file needs itself, over any number of others, to be loaded. */
export function noCycles(files: readonly Source[]): readonly string[] {
  const edges = new Map(files.map((file) => [file.path, staticTargets(file)]))
  const done = new Set<string>()
  const found: string[] = []
  const visit = (path: string, way: readonly string[]): void => {
    const seen = way.indexOf(path)
    if (seen >= 0) found.push(`cycle: ${[...way.slice(seen), path].join(' → ')}`)
    if (seen >= 0 || done.has(path)) return
    for (const next of edges.get(path) ?? []) visit(next, [...way, path])
    done.add(path)
  }
  for (const file of files) visit(file.path, [])
  return found
}

function staticTargets(file: Source): readonly string[] {
  return file.imports.filter((it) => !it.typeOnly && !it.dynamic).flatMap((it) => target(file, it.from) ?? [])
}

/** No file that only passes on what others export. */
export function noBarrels(files: readonly Source[]): readonly string[] {
  const passesOn = new Set(['ExportAllDeclaration', 'ImportDeclaration', 'ExportNamedDeclaration'])
  return files
    .filter((file) => {
      const body = file.visits
        .filter((it) => it.key === 'body' && it.parents.length === 1)
        .map((it) => it.node)
      const exported = body.filter((it) => it.type.startsWith('Export'))
      return (
        exported.length > 0 &&
        body.every((it) => passesOn.has(it.type)) &&
        exported.every((it) => it['declaration'] === null || it['declaration'] === undefined)
      )
    })
    .map((file) => `${file.path}: only passes on exports of other files; import them directly`)
}
