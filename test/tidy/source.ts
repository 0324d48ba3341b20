/**
 * One file of the tree as the rules see it: text, syntax tree, comments, imports.
 * Promise: what stands in a string is never taken for a comment or for code, nor the other way round.
 * Leaves to others: where files come from (tree.ts), what is right and wrong (the rules).
 */
import { posix } from 'node:path'
import { parseAst } from 'vitest/node'

/** A node of the ESTree that the parser makes; TypeScript's own nodes begin with `TS`. */
export interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [key: string]: unknown
}

/** A node and the way to it: the nodes around it, nearest last, and the key it has in the nearest. */
export interface Visit {
  readonly node: Node
  readonly parents: readonly Node[]
  readonly key: string
}

export interface Import {
  /** As written: `./source.ts`, `node:fs`. */
  readonly from: string
  /** Names taken from the module; empty for `import()`, side effects and namespaces. */
  readonly names: readonly string[]
  /** Erased when the program runs. */
  readonly typeOnly: boolean
  /** The importing module is loaded before this one has been evaluated only when this is false. */
  readonly dynamic: boolean
  readonly start: number
}

export interface Comment {
  readonly text: string
  readonly start: number
}

export interface Source {
  /** Path from the root of the project, with `/`. */
  readonly path: string
  readonly text: string
  /** Every node, parents first. Empty for files that are not code. */
  readonly visits: readonly Visit[]
  readonly comments: readonly Comment[]
  readonly imports: readonly Import[]
}

const code = /\.(ts|mjs|js)$/

/** @throws Error when a code file does not parse */
export function source(path: string, text: string): Source {
  if (!code.test(path)) return { path, text, visits: [], comments: [], imports: [] }
  const lang = path.endsWith('.d.ts') ? 'dts' : path.endsWith('.ts') ? 'ts' : 'js'
  const program = parseAst(text, { lang, sourceType: 'module' }, path) as unknown as Node
  const visits = [...walk(program, [], '')]
  return { path, text, visits, comments: commentsOf(text, visits), imports: importsOf(visits) }
}

/** `path:line: message`, as editors understand it. */
export function at(file: Source, offset: number, message: string): string {
  return `${file.path}:${file.text.slice(0, offset).split('\n').length}: ${message}`
}

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as Node).type === 'string'
}

/** Of an identifier or a string literal; else undefined. */
export function nameOf(node: unknown): string | undefined {
  if (!isNode(node)) return undefined
  const name = node['name'] ?? node['value']
  return typeof name === 'string' ? name : undefined
}

/** `group.name` of a member as written, and the same of each name in `const { name } = group`. */
export function membersRead(node: Node): readonly string[] {
  if (node.type === 'MemberExpression') return [`${nameOf(node['object'])}.${nameOf(node['property'])}`]
  const { id, init } = node
  if (!isNode(id) || id.type !== 'ObjectPattern' || !isNode(init)) return []
  return (id['properties'] as readonly Node[]).map((it) => `${nameOf(init)}.${nameOf(it['key'])}`)
}

/** The path from the root that a relative import means; undefined for a package. */
export function target(file: Source, from: string): string | undefined {
  return from.startsWith('.') ? posix.join(posix.dirname(file.path), from) : undefined
}

function* walk(node: Node, parents: readonly Node[], key: string): Generator<Visit> {
  yield { node, parents, key }
  const around = [...parents, node]
  for (const [name, value] of Object.entries(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (isNode(child)) yield* walk(child, around, name)
    }
  }
}

/** The parser gives none: blank out what only looks like a comment, then look. */
function commentsOf(text: string, visits: readonly Visit[]): readonly Comment[] {
  const chars = text.split('')
  for (const { node } of visits) {
    if (node.type !== 'Literal' && node.type !== 'TemplateElement') continue
    for (let i = node.start; i < node.end; i += 1) if (chars[i] !== '\n') chars[i] = '_'
  }
  const found = chars.join('').matchAll(/\/\*[\s\S]*?\*\/|\/\/.*/g)
  return [...found].map((it) => ({ text: text.slice(it.index, it.index + it[0].length), start: it.index }))
}

function importsOf(visits: readonly Visit[]): readonly Import[] {
  const found: Import[] = []
  for (const { node } of visits) {
    const from = nameOf(node['source'])
    if (from === undefined) continue
    const specifiers = Array.isArray(node['specifiers']) ? node['specifiers'].filter(isNode) : []
    const erased = (it: Node): boolean => it['importKind'] === 'type' || it['exportKind'] === 'type'
    found.push({
      from,
      names: specifiers.flatMap((it) => nameOf(it['imported'] ?? it['local']) ?? []),
      typeOnly:
        node.type === 'TSImportType' || erased(node) || (specifiers.length > 0 && specifiers.every(erased)),
      dynamic: node.type === 'ImportExpression',
      start: node.start,
    })
  }
  return found
}
