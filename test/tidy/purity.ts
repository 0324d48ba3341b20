/**
 * Rules about what code outside adapters may do: no clock, no chance, no network, no process, no state that
 * outlives a call, no work at import.
 * A name that the file itself declares is taken for the file's own throughout the file.
 */
import { at, isNode, membersRead, type Node, nameOf, type Source, type Visit } from './source.ts'
import { isProduct, mayDoIo } from './tree.ts'

const bannedGlobals = new Set([
  'Date',
  'EventSource',
  'WebSocket',
  'Worker',
  'clearInterval',
  'clearTimeout',
  'console',
  'crypto',
  'fetch',
  'global',
  'globalThis',
  'navigator',
  'performance',
  'process',
  'queueMicrotask',
  'setImmediate',
  'setInterval',
  'setTimeout',
])
const bannedMembers = new Set(['Math.random', 'AbortSignal.timeout', 'Atomics.wait', 'Atomics.waitAsync'])

/** Clock, chance, process and network come as ports. */
export function noAmbientWorld(files: readonly Source[]): readonly string[] {
  return files
    .filter((file) => isProduct(file.path) && !mayDoIo(file.path))
    .flatMap((file) => {
      const own = declaredNames(file)
      return file.visits.flatMap((it) => ambientUse(file, own, it))
    })
}

function ambientUse(file: Source, own: ReadonlySet<string>, it: Visit): readonly string[] {
  const { node } = it
  const member = membersRead(node).find((name) => bannedMembers.has(name))
  if (member !== undefined) return [at(file, node.start, `pure file uses ${member}`)]
  const name = node.type === 'Identifier' ? nameOf(node) : undefined
  if (name === undefined || !bannedGlobals.has(name) || own.has(name) || !isReference(it)) return []
  return [at(file, node.start, `pure file uses ${name}`)]
}

/** Not the name of a property, a member or a type. */
function isReference({ parents, key }: Visit): boolean {
  const parent = parents.at(-1)
  if (parent === undefined) return true
  if (parent.type === 'MemberExpression' && key === 'property') return parent['computed'] === true
  if (key === 'key') return parent['computed'] === true || parent['shorthand'] === true
  return !parent.type.startsWith('TS') || parent.type === 'TSTypeQuery' || /Expression$/.test(parent.type)
}

function declaredNames(file: Source): ReadonlySet<string> {
  return new Set(
    file.visits.flatMap(({ node, parents, key }) => {
      const parent = parents.at(-1)
      const declares =
        key === 'local' ||
        key === 'params' ||
        key === 'param' ||
        (key === 'id' && parent?.type !== 'ClassExpression') ||
        (parent?.type === 'Property' && key === 'value' && parents.at(-2)?.type === 'ObjectPattern') ||
        (parent?.type === 'AssignmentPattern' && key === 'left') ||
        (parent?.type === 'ArrayPattern' && key === 'elements')
      return declares ? (nameOf(node) ?? []) : []
    }),
  )
}

/** Modules hold no state: no `let` and no collection that is filled later. */
export function noModuleState(files: readonly Source[]): readonly string[] {
  const shared = topLevel(files).filter(([file]) => !isProgram(file))
  return shared.flatMap(([file, node]) => {
    const declaration = isNode(node['declaration']) ? node['declaration'] : node
    if (declaration.type !== 'VariableDeclaration') return []
    if (declaration['kind'] !== 'const') return [at(file, node.start, `module state: ${declaration['kind']}`)]
    const made = (declaration['declarations'] as readonly Node[]).map((it) => it['init'])
    return made.some(isEmptyCollection)
      ? [at(file, node.start, 'module state: an empty collection that can only be meant to be filled')]
      : []
  })
}

function isEmptyCollection(value: unknown): boolean {
  if (!isNode(value)) return false
  const parts = value['arguments'] ?? value['elements'] ?? value['properties']
  const collection =
    value.type === 'ArrayExpression' ||
    value.type === 'ObjectExpression' ||
    (value.type === 'NewExpression' && /^(Weak)?(Map|Set)$/.test(nameOf(value['callee']) ?? ''))
  return collection && Array.isArray(parts) && parts.length === 0
}

/** Importing a file only declares; programs run. */
export function noWorkAtImport(files: readonly Source[]): readonly string[] {
  return topLevel(files)
    .filter(([file]) => !isProgram(file))
    .filter(([, node]) => !/^(Import|Export|TS|Variable|Function|Class)/.test(node.type))
    .map(([file, node]) => at(file, node.start, 'work at import'))
}

/** `main.ts`, `everboot.ts`, `bin/` and the programs inside an image are started, not imported. */
function isProgram(file: Source): boolean {
  return /(^|\/)main\.ts$|^everboot\.ts$|^bin\/|\/files\//.test(file.path)
}

function topLevel(files: readonly Source[]): readonly (readonly [Source, Node])[] {
  return files
    .filter((file) => isProduct(file.path))
    .flatMap((file) =>
      file.visits
        .filter((it) => it.key === 'body' && it.parents.length === 1)
        .map((it) => [file, it.node] as const),
    )
}
