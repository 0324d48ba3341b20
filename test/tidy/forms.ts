/**
 * Rules about single forms: no way round the type checker or the linter, nothing left to do, no leftovers of
 * where or how the code was written, no focused or skipped tests.
 */
import { at, type Source } from './source.ts'

const bannedNodes: Readonly<Record<string, string>> = {
  TSAnyKeyword: 'any',
  TSNonNullExpression: 'a non-null assertion',
  TSEnumDeclaration: 'an enum',
  TSModuleDeclaration: 'a namespace',
  DebuggerStatement: 'a debugger statement',
}
/** Each is written so that it does not match itself. */
const bannedComments = /@ts-(ignore|nocheck|expect-error)|(biome|eslint|v8|c8)[-] ?ignore/
const unfinished = /\b(TO[D]O|FIX[M]E|XX[X]|HAC[K])\b/

/** No `any`, no `!`, no enum, and no comment that silences a checker. */
export function noLooseTypes(files: readonly Source[]): readonly string[] {
  return files.flatMap((file) => [
    ...file.visits.flatMap(({ node, parents }) => {
      const what = bannedNodes[node.type]
      const declared = file.path.endsWith('.d.ts') && node.type === 'TSModuleDeclaration'
      if (what !== undefined && !declared) return [at(file, node.start, `${what} is not used here`)]
      const definite = node['definite'] === true && parents.length > 0
      return definite ? [at(file, node.start, 'a non-null assertion is not used here')] : []
    }),
    ...file.comments
      .filter((it) => bannedComments.test(it.text))
      .map((it) => at(file, it.start, 'a checker is silenced')),
  ])
}

/** Nothing is left to be done later. */
export function nothingUnfinished(files: readonly Source[]): readonly string[] {
  return files.flatMap((file) => textHits(file, unfinished, 'left to do'))
}

const leftovers: readonly (readonly [string, RegExp])[] = [
  ['a path of one machine', /(?<![\w.$}])\/(home|Users|workspace|work)\/(?=[\w.])/],
  ['a host of a package registry', /\bregistry\.[a-z]|\b(npmjs|yarnpkg)\.[a-z]{2,}|\bdeb\.debia[n]\./],
  [
    'how the code was written',
    /\b(AI |chat)?assistan[t]s?\b|co-?authored-b[y]|\b(this|previous|next) sessio[n]\b/i,
  ],
]

/** Nothing tells of one developer's machine, of a registry, or of who typed it. */
export function noLeftovers(files: readonly Source[]): readonly string[] {
  return files.flatMap((file) => leftovers.flatMap(([what, form]) => textHits(file, form, what)))
}

/** Tests run: none focused, none skipped without a reason that is looked up at run time. */
export function noSkippedTests(files: readonly Source[]): readonly string[] {
  return files
    .filter((file) => file.path.endsWith('.test.ts'))
    .flatMap((file) =>
      file.visits.flatMap(({ node }) => {
        if (node.type !== 'MemberExpression') return []
        const written = file.text.slice(node.start, node.end)
        return /^(it|test|describe)\.(skip|only|todo|fails)$/.test(written)
          ? [at(file, node.start, `${written} hides tests`)]
          : []
      }),
    )
}

function textHits(file: Source, form: RegExp, what: string): readonly string[] {
  return [...file.text.matchAll(new RegExp(form, `g${form.flags}`))].map((it) =>
    at(file, it.index, `${what}: ${it[0]}`),
  )
}
