/**
 * What a reader of the page sees first: in one line and one sentence what was done and found, and every broken
 * promise by name, with the command that plays it again.
 * Promise: the words claim nothing that the figures do not show.
 */
import { reportLimits } from '../../core/limits.ts'
import type { SweepResult } from '../sweep/result.ts'
import { allViolations, type Figures, type Found, verdictOf } from './figures.ts'
import { type Html, html } from './html.ts'
import { promiseWords } from './promises.ts'
import { countOf, countText, replayCommand, secondsText } from './words.ts'

export function headline(total: Figures): string {
  const { states, violations, planned, fired, uncut } = total
  switch (verdictOf(total)) {
    case 'broken':
      return `${countOf(violations, 'broken promise')} in ${countOf(states, 'power cut')}`
    case 'nothing':
      return 'The power was never cut: nothing is shown'
    case 'incomplete':
      return planned === fired
        ? `${countOf(uncut, 'operation')} without a power cut: not everything is shown`
        : `${countText(fired)} of ${countOf(planned, 'planned power cut')} came: not everything is shown`
    case 'good':
      return `The power was cut ${countText(states)} times. The board always came back.`
  }
}

/** One sentence: what was done and found. */
export function lede(total: Figures, results: readonly SweepResult[]): Html {
  const { operations, states, distinct, planned, fired, kills, violations, seconds } = total
  const twice = results.some((it) => it.depth === 2) ? ', and again while it recovered' : ''
  const came =
    planned === fired
      ? `all ${countOf(planned, 'planned cut')} came`
      : `${countText(fired)} of ${countOf(planned, 'planned cut')} came`
  const held =
    violations === 0
      ? 'no promise was broken'
      : `${countOf(violations, 'promise')} ${violations === 1 ? 'was' : 'were'} broken`
  return html`In ${countOf(results.length, 'story', 'stories')} a simulated board lost its power at <b>${countOf(operations, 'operation')}</b>${twice}: before, inside and after each, with many a mix of what had not reached the disk. Of <b>${countOf(states, 'crash state')}</b> ${countText(distinct)} were distinct, ${came}, the agent was killed ${countOf(kills, 'time')} besides, and <b>${held}</b>, in ${secondsText(seconds)}.`
}

/** Nothing when all is well. */
export function alarmBanner(results: readonly SweepResult[], total: Figures, ids: readonly string[]): Html {
  const verdict = verdictOf(total)
  if (verdict === 'good') return html``
  const found = allViolations(results)
  const shown = found.slice(0, reportLimits.violationsShown)
  return html`<section class="alarm" role="alert" aria-labelledby="alarm-title">
<h2 id="alarm-title"><span aria-hidden="true">✕</span>${verdict === 'broken' ? `${countOf(total.violations, 'broken promise')}: this must never happen` : 'This run proves less than it should'}</h2>
${notes(total)}
${found.length === 0 ? null : html`<ol>${shown.map((it) => violationItem(it, results, ids))}</ol>`}
${shown.length > 0 && total.violations > shown.length ? html`<p>and ${countText(total.violations - shown.length)} more; the map marks where</p>` : null}
</section>`
}

function notes({ states, planned, fired, uncut }: Figures): readonly Html[] {
  return [
    ...(states === 0 ? [html`<p>No crash state was looked at.</p>`] : []),
    ...(planned === fired
      ? []
      : [html`<p>${countText(fired)} of ${countOf(planned, 'planned cut')} came.</p>`]),
    ...(uncut === 0 ? [] : [html`<p>${countOf(uncut, 'operation')} that change storage met no cut.</p>`]),
  ]
}

function violationItem(
  { scenario, violation }: Found,
  results: readonly SweepResult[],
  ids: readonly string[],
): Html {
  const { invariant, what, atMs, operation, replay } = violation
  const result = results[scenario]
  const command = replayCommand(replay)
  const number = result === undefined ? null : cutOperation(replay, result.scenario)
  const cut = result?.operations.find((it) => it.number === number) ?? null
  const link =
    cut === null
      ? null
      : html` · <a href="#${ids[scenario] ?? ''}:${cut.number}">cut at operation ${cut.number}, ${cut.name}</a>`
  const says = promiseWords(invariant)
  const promise = says === null ? null : html`<p class="muted">The promise: ${says}.</p>`
  return html`<li><p><b class="invariant">${invariant}</b>${what}</p>
${promise}
<p class="muted">${result?.scenario ?? ''}${link} · seen after ${countOf(operation, 'operation')}, at ${(atMs / 1000).toFixed(1)} s of simulated time</p>
<div class="command"><code>${command}</code><button type="button" data-copy="${command}" aria-label="Copy ${command}">Copy</button></div></li>
`
}

/** `update/37.torn.1` and what it leads to in a second cut: operation 37; null for other forms. */
function cutOperation(replay: string, scenario: string): number | null {
  const rest = replay.startsWith(`${scenario}/`) ? replay.slice(scenario.length + 1) : ''
  const [, number] = /^(\d{1,9})\./.exec(rest) ?? []
  return number === undefined ? null : Number(number)
}
