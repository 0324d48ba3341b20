/**
 * Rules about docs/GLOSSARY.md: one term a line, sorted, each once.
 */

/** The terms in order. A line is `- **term**: meaning.` */
export function glossaryTerms(text: string): readonly string[] {
  return [...text.matchAll(/^- \*\*(.+?)\*\*/gm)].map((it) => it[1] ?? '')
}

export function glossaryFaults(text: string): readonly string[] {
  const terms = glossaryTerms(text)
  const sorted = [...terms].sort((a, b) => key(a).localeCompare(key(b), 'en'))
  const misplaced = terms.findIndex((it, index) => it !== sorted[index])
  const lines = text.split('\n').filter((it) => it.startsWith('- '))
  return [
    ...(misplaced < 0 ? [] : [`${terms[misplaced]} stands where ${sorted[misplaced]} should`]),
    ...terms
      .filter((it, index) => terms.findIndex((other) => key(other) === key(it)) !== index)
      .map((it) => `${it} twice`),
    ...lines.filter((it) => !/^- \*\*[^*]+\*\*: [A-Z].*\.$/.test(it)).map((it) => `not a definition: ${it}`),
  ]
}

function key(term: string): string {
  return term.toLowerCase().replace(/[^a-z0-9 ]/g, '')
}
