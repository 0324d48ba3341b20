/**
 * The promises that a sweep checks, in one sentence each: the invariants of the checkers, and the two that the
 * sweep itself adds.
 * Promise: pure; the sentences are those of the checkers that run.
 */
import { allCheckers } from '../checkers/all.ts'
import type { Found } from './figures.ts'
import { type Html, html } from './html.ts'
import { countOf, countText } from './words.ts'

interface PromiseWords {
  readonly id: string
  readonly says: string
}

const own: readonly PromiseWords[] = [
  { id: 'story', says: 'the story ends as it may end after a cut' },
  { id: 'assertion', says: 'no program is ended by an assertion of its own' },
]

export function allPromises(): readonly PromiseWords[] {
  return [...allCheckers.map(({ id, says }) => ({ id, says })), ...own]
}

/** What an invariant says; null for one that is not known here. */
export function promiseWords(id: string): string | null {
  return allPromises().find((it) => it.id === id)?.says ?? null
}

/** All promises, the broken ones marked. @param checked whether anything was swept */
export function promiseList(found: readonly Found[], checked: boolean): Html {
  const known = allPromises()
  const others = new Set(found.map((it) => it.violation.invariant))
  for (const { id } of known) others.delete(id)
  const all = [...known, ...[...others].map((id) => ({ id, says: 'a promise without a sentence here' }))]
  const items = all.map(({ id, says }) => {
    const broken = found.filter((it) => it.violation.invariant === id).length
    return broken === 0
      ? html`<li><b>${checked ? '✓ ' : ''}${id}</b><span>${says}</span></li>
`
      : html`<li class="is-violation"><b>✕ ${id}</b><span>broken ${countOf(broken, 'time')}: ${says}</span></li>
`
  })
  return html`<section class="promises" aria-labelledby="promises-title">
<h2 id="promises-title">What must hold: ${countText(all.length)} promises</h2>
<p>Each is checked in every crash state, while the board starts, recovers and goes on to the end of the story.</p>
<ul>
${items}</ul>
</section>`
}
