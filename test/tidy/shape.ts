/**
 * Rules about a file as a whole: its header, its length, its name, its place, and what it says of other files.
 */
import { posix } from 'node:path'
import { at, type Source } from './source.ts'
import { isCode } from './tree.ts'

export const linesMax = 400
export const linesToWatch = 300
const headerLinesMax = 8

/** The first paragraph of the header, without stars; undefined when the file does not begin with one. */
export function headerLines(file: Source): readonly string[] | undefined {
  const text = file.text.replace(/^#!.*\n/, '')
  const block = /^\/\*\*([\s\S]*?)\*\//.exec(text)?.[1]
  // Plain JavaScript may begin with line comments.
  const lines = file.path.endsWith('.js') ? /^(\/\/.*\n)+/.exec(text)?.[0] : undefined
  const paragraph = (block ?? lines)?.trim().split(/\n\s*\*?\s*\n/)[0]
  return paragraph
    ?.split('\n')
    .map((it) => it.replace(/^\s*(\*|\/\/)?/, '').trim())
    .filter((it) => it !== '')
}

/** Every code file begins by saying what it is. Files of the product use a doc comment of 1 to 8 lines. */
export function headers(files: readonly Source[]): readonly string[] {
  return files
    .filter((file) => isCode(file.path))
    .flatMap((file) => {
      const lines = headerLines(file)
      if (lines === undefined || lines.length === 0) return [`${file.path}: does not begin with a header`]
      if (lines.length > headerLinesMax) return [`${file.path}: header of ${lines.length} lines`]
      return /[.!?:)`]$/.test(lines.at(-1) ?? '') ? [] : [`${file.path}: header does not end a sentence`]
    })
}

/** No room larger than one can look over. */
export function fileLength(files: readonly Source[]): readonly string[] {
  return longer(files, linesMax).map(([path, lines]) => `${path}: ${lines} lines, at most ${linesMax}`)
}

/** Code files over a number of lines, longest first. */
export function longer(files: readonly Source[], max: number): readonly (readonly [string, number])[] {
  return files
    .filter((file) => isCode(file.path))
    .map((file) => [file.path, file.text.trimEnd().split('\n').length] as const)
    .filter(([, lines]) => lines > max)
    .sort((a, b) => b[1] - a[1])
}

/** Folders and code files have lower-case names of words with dashes. */
export function kebabCase(files: readonly Source[]): readonly string[] {
  return files
    .filter((file) => isCode(file.path))
    .filter(
      (file) =>
        !file.path
          .split('/')
          .every((it) => /^[a-z0-9]+(-[a-z0-9]+)*(\.(test|config|d))?(\.(ts|mjs|js))?$/.test(it)),
    )
    .map((file) => `${file.path}: not kebab-case`)
}

const ownFolders = new Set(['canaries', 'doubles', 'live', 'scenarios', 'tidy', 'vectors'])

/** Tests in `test/a/b/` are for the folder `a/b`, unless it lies in one of the test tree's own folders. */
export function testsMirror(files: readonly Source[]): readonly string[] {
  const folders = new Set(
    files.flatMap((file) => {
      const parts = posix.dirname(file.path).split('/')
      return parts.map((_, index) => parts.slice(0, index + 1).join('/'))
    }),
  )
  return files
    .filter((file) => /^test\/.*\.test\.ts$/.test(file.path))
    .filter((file) => {
      const folder = posix.relative('test', posix.dirname(file.path))
      return folder !== '' && !ownFolders.has(folder.split('/')[0] ?? '') && !folders.has(folder)
    })
    .map((file) => `${file.path}: there is no folder ${posix.relative('test', posix.dirname(file.path))}`)
}

/** A code file or document that a comment or a document names exists. */
export function namedFilesExist(files: readonly Source[]): readonly string[] {
  const known = new Set(files.flatMap((file) => endsOf(file.path)))
  const paths = new Set(files.map((file) => file.path))
  return files.flatMap((file) => {
    const exists = (name: string): boolean =>
      name.startsWith('../') ? paths.has(posix.join(posix.dirname(file.path), name)) : known.has(name)
    const texts = file.path.endsWith('.md') ? [{ text: file.text, start: 0 }] : file.comments
    return texts.flatMap((it) =>
      [...it.text.matchAll(/(?<![\w/*.-])((?:\.\.\/)*[\w-][\w./-]*\.(ts|mjs|md))\b/g)]
        .filter(([, name = '']) => !exists(name) && !built.has(name))
        .map((hit) => at(file, it.start + hit.index, `names ${hit[1]}, which does not exist`)),
    )
  })
}

const built = new Set(['agent.mjs', 'dist/agent.mjs'])

/** The path, and the path less its first folders. */
function endsOf(path: string): readonly string[] {
  const parts = path.split('/')
  return parts.map((_, index) => parts.slice(index).join('/'))
}

/** Relative links of documents lead somewhere. */
export function linksLead(files: readonly Source[], exists: (path: string) => boolean): readonly string[] {
  return files
    .filter((file) => file.path.endsWith('.md'))
    .flatMap((file) =>
      [...file.text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)]
        .filter(([, to = '']) => !exists(posix.join(posix.dirname(file.path), to)))
        .map((hit) => at(file, hit.index, `link to ${hit[1]}, which does not exist`)),
    )
}
