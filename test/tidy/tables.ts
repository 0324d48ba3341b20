/**
 * Rules about tables: each limit is used, each error code is raised somewhere, each code that is named exists.
 */
import { at, membersRead, type Node, nameOf, type Source } from './source.ts'
import { isCode, isProduct } from './tree.ts'

const codes = /EB-[A-Z]+(?:-[A-Z]+)*(?![\w-])/g

/** Every named limit bounds something: a limit that nothing reads is no limit. */
export function limitsAreUsed(files: readonly Source[], table: string = 'core/limits.ts'): readonly string[] {
  const used = new Set(
    files
      .filter((it) => isProduct(it.path) || /^(demo|proof)\//.test(it.path))
      .flatMap((file) => file.visits.flatMap(({ node }) => membersRead(node))),
  )
  return limitsOf(files.filter((file) => file.path === table))
    .filter((name) => !used.has(name))
    .map((name) => `${table}: ${name} is never read`)
}

/** `group.name` of every limit. */
function limitsOf(tables: readonly Source[]): readonly string[] {
  return tables.flatMap((file) =>
    file.visits.flatMap(({ node, parents }) => {
      if (node.type !== 'Property' || parents.length < 3) return []
      const declarator = parents.find((it) => it.type === 'VariableDeclarator')
      const depth = parents.filter((it) => it.type === 'ObjectExpression').length
      return depth === 1 && declarator !== undefined
        ? [`${nameOf(declarator['id'])}.${nameOf(node['key'])}`]
        : []
    }),
  )
}

/** Codes of the table that no code of the product names. */
export function unusedCodes(
  files: readonly Source[],
  table: readonly string[],
  path: string = 'core/errors.ts',
): readonly string[] {
  const used = new Set(
    files
      .filter((file) => isProduct(file.path) && isCode(file.path) && file.path !== path)
      .flatMap((file) => file.visits.flatMap(({ node }) => codeText(node))),
  )
  return table.filter((code) => !used.has(code)).map((code) => `${path}: nothing uses ${code}`)
}

function codeText(node: Node): readonly string[] {
  if (node.type === 'TemplateElement') {
    const { raw } = node['value'] as { raw: string }
    return raw.match(codes) ?? []
  }
  return node.type === 'Literal' ? (String(node['value']).match(codes) ?? []) : []
}

/** Whatever code the product or a document names stands in the table. */
export function namedCodesExist(files: readonly Source[], table: readonly string[]): readonly string[] {
  return files
    .filter((file) => isProduct(file.path) || /^(demo|bench|docs)\/|^README/.test(file.path))
    .flatMap((file) =>
      [...file.text.matchAll(codes)]
        .filter(([code]) => !table.includes(code))
        .map((hit) => at(file, hit.index, `${hit[0]} is not in the table of codes`)),
    )
}
