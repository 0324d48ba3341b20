/**
 * Prints the class diagram and the reference of docs/guides/audio-clips.md from the sources of the clip cache:
 * `node test/tidy/print-clip-reference.ts` writes them between their marks.
 * Promise: signatures and comments stand there as in the source; a type that is not found ends it.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { isNode, type Node, nameOf, type Source, source } from './source.ts'

/** What people who use the cache meet, in this order. */
const referenced: readonly (readonly [file: string, names: readonly string[]])[] = [
  ['device/clips/clip-service.ts', ['ClipService', 'Playable', 'NewClip']],
  ['device/clips/store-types.ts', ['StoredClip', 'Placed']],
  ['device/clips/cache-types.ts', ['ClipCache', 'CacheLimits', 'CacheListener', 'Departure', 'PutResult']],
  ['core/wire/skills.ts', ['Audio', 'ListedClip', 'ClipStats']],
]

/** What the diagram shows: each class or interface, and what it works with. */
const drawn: readonly (readonly [file: string, name: string, uses: readonly string[]])[] = [
  [
    'device/clips/clip-service.ts',
    'ClipService',
    ['ClipStore', 'MemoryTier', 'ClipFetcher', 'SkillSync', 'Catalog'],
  ],
  ['device/clips/clip-store.ts', 'ClipStore', ['ClipCache', 'Contents', 'IndexLog', 'DeviceAge']],
  ['device/clips/cache-types.ts', 'ClipCache', ['CacheListener']],
  ['device/clips/cache-types.ts', 'CacheListener', []],
  ['device/clips/contents.ts', 'Contents', []],
  ['device/clips/index-log.ts', 'IndexLog', []],
  ['device/clips/device-age.ts', 'DeviceAge', []],
  ['device/clips/memory-tier.ts', 'MemoryTier', []],
  ['device/clips/catalog.ts', 'Catalog', []],
  ['device/clips/skill-sync.ts', 'SkillSync', ['ClipStore', 'Catalog']],
  ['device/clips/clip-fetcher.ts', 'ClipFetcher', ['ClipDownload', 'Breaker', 'Negatives']],
  ['device/clips/clip-download.ts', 'ClipDownload', ['ClipStore']],
  ['device/clips/breaker.ts', 'Breaker', []],
  ['device/clips/breaker.ts', 'Negatives', []],
]

export const clipGuide = new URL('../../docs/guides/audio-clips.md', import.meta.url)
const root = new URL('../../', import.meta.url)

/** @returns the guide with both parts as the sources have them now. @throws Error when a mark or a type is missing */
export function withClipReference(guide: string): string {
  return between(between(guide, 'class diagram', diagram()), 'reference', reference())
}

function between(text: string, name: string, content: string): string {
  const [begin, end] = [`<!-- ${name} -->\n`, `<!-- end of ${name} -->`]
  const from = text.indexOf(begin)
  const to = text.indexOf(end)
  if (from < 0 || to < from) throw new Error(`the guide has lost the marks of its ${name}`)
  return `${text.slice(0, from + begin.length)}\n${content}\n${text.slice(to)}`
}

function reference(): string {
  const parts = referenced.flatMap(([path, names]) => {
    const file = open(path)
    const blocks = names.map((name) => textOf(file, declarationOf(file, name)))
    return [`From \`${path}\`:\n\n\`\`\`ts\n${blocks.join('\n\n')}\n\`\`\`\n`]
  })
  return parts.join('\n')
}

function diagram(): string {
  const classes = drawn.map(([path, name]) => {
    const file = open(path)
    const node = declarationOf(file, name)
    const kind = node.type === 'TSInterfaceDeclaration' ? ['    <<interface>>'] : []
    const members = membersOf(file, node).map((it) => `    ${it}`)
    return [`  class ${name} {`, ...kind, ...members, '  }'].join('\n')
  })
  const arrows = drawn.flatMap(([, name, uses]) => uses.map((it) => `  ${name} --> ${it}`))
  return `\`\`\`mermaid\nclassDiagram\n${[...classes, ...arrows].join('\n')}\n\`\`\`\n`
}

/** Public methods, as `+name(parameters) result` without types that would make the picture too wide. */
function membersOf(file: Source, node: Node): readonly string[] {
  const body = node['body'] as Node
  const members = (body['body'] as readonly Node[]).filter(
    (it) =>
      isNode(it['key']) && (it['key'] as Node).type === 'Identifier' && nameOf(it['key']) !== 'constructor',
  )
  return members.flatMap((it) => {
    const name = nameOf(it['key'])
    const value = isNode(it['value']) ? it['value'] : it
    const parameters = value['params']
    if (it['kind'] === 'get' || it.type === 'PropertyDefinition') return []
    if (!Array.isArray(parameters)) return []
    const names = parameters.filter(isNode).map((one) => parameterName(file, one))
    return [`+${name}(${names.join(', ')})`]
  })
}

function parameterName(file: Source, node: Node): string {
  const inner = node.type === 'AssignmentPattern' && isNode(node['left']) ? node['left'] : node
  return nameOf(inner) ?? file.text.slice(inner.start, inner.end)
}

function open(path: string): Source {
  return source(path, readFileSync(new URL(path, root), 'utf8'))
}

const declarations = new Set(['TSInterfaceDeclaration', 'TSTypeAliasDeclaration', 'ClassDeclaration'])

function declarationOf(file: Source, name: string): Node {
  const found = file.visits.find(({ node }) => declarations.has(node.type) && nameOf(node['id']) === name)
  if (found === undefined) throw new Error(`${file.path} declares no ${name}`)
  const { node } = found
  // A type that is made from a schema says nothing: the schema does.
  const schema = /InferOutput<typeof (\w+)>/.exec(file.text.slice(node.start, node.end))?.[1]
  if (schema === undefined) return node
  const made = file.visits.find(({ node: it }) => it.type === 'VariableDeclaration' && declares(it, schema))
  if (made === undefined) throw new Error(`${file.path} declares no ${schema}`)
  return made.node
}

function declares(node: Node, name: string): boolean {
  return (node['declarations'] as readonly Node[]).some((it) => nameOf(it['id']) === name)
}

/** With the comment before it. */
function textOf(file: Source, node: Node): string {
  const before = file.text.slice(0, node.start).replace(/export $/, '')
  const comment = /(\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)$/.exec(before)?.[1] ?? ''
  return comment + file.text.slice(node.start, node.end)
}

if (import.meta.main) writeFileSync(clipGuide, withClipReference(readFileSync(clipGuide, 'utf8')))
