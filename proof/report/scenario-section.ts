/**
 * One story in the page: its figures, the map of its operations by phase, and how many cuts each kind met.
 * Leaves to others: the drawings (cell-art.ts), what a click shows (browser/).
 */
import { type Ending, endings, type SweepResult, type SweptOperation } from '../sweep/result.ts'
import type { Symbols } from './cell-art.ts'
import {
  barText,
  cutsOf,
  type Figures,
  histogram,
  kindsOf,
  type PhaseRun,
  phaseRuns,
  sumEndings,
  violationsOf,
} from './figures.ts'
import { type Html, html, raw } from './html.ts'
import { operationOf } from './operation.ts'
import { countOf, countText, endingWords, secondsText, shareText } from './words.ts'

export function scenarioSection(result: SweepResult, figures: Figures, id: string, symbols: Symbols): Html {
  const { scenario, about, operations } = result
  return html`<section class="scenario" id="${id}" aria-labelledby="${id}--title">
<h2 id="${id}--title">${scenario}</h2>
<p class="about">${about} <a class="how" href="#legend">How to read the map</a></p>
<p class="facts">${factsLine(result, figures)}</p>
${endingsBar(figures.endings, symbols)}
<div class="map" role="group" aria-label="Map of ${scenario}: ${countOf(operations.length, 'operation')} in order. Arrow keys move, Enter shows one.">
${phaseRuns(operations).map((it) => runOf(it, symbols))}
</div>
<div class="figures">
${histogramFigure(operations)}
${kindsFigure(operations)}
</div>
</section>
`
}

function factsLine({ depth, seed, sectorBytes }: SweepResult, figures: Figures): string {
  const { states, distinct, planned, fired, seconds } = figures
  return [
    countOf(figures.operations, 'operation'),
    `${countOf(states, 'crash state')}, ${countText(distinct)} distinct`,
    `${countText(fired)} of ${countOf(planned, 'planned cut')} came`,
    depth === 1 ? 'one cut' : 'one cut, and a second while recovering',
    `sectors of ${countOf(sectorBytes, 'byte')}`,
    `seed ${seed}`,
    secondsText(seconds),
  ].join(' · ')
}

const barWidth = 600

function endingsBar(counts: Readonly<Record<Ending, number>>, symbols: Symbols): Html {
  const total = endings.reduce((sum, it) => sum + counts[it], 0)
  if (total === 0) return html``
  const chips = endings.map((it) => {
    const count = counts[it]
    const className = count === 0 ? 'muted' : `is-${it}`
    const share = count === 0 ? '' : ` (${shareText(count, total)})`
    return html`<li class="${className}">${swatch(it, symbols)}<span>${endingWords[it].name} <b>${countText(count)}</b>${share}</span></li>`
  })
  return html`<div class="ends">${symbols.bar(counts, barWidth, 'whole')}<ul>${chips}</ul></div>`
}

/** A small box in colour and pattern of an ending. */
export function swatch(ending: Ending, symbols: Symbols): Html {
  return symbols.bar({ ...sumEndings([]), [ending]: 1 }, 20, `swatch swatch-${ending}`)
}

function runOf({ phase, operations }: PhaseRun, symbols: Symbols): Html {
  return html`<section class="run"><h3>${phase}<span>${operations.length}</span></h3><ol>
${operations.map((it) => cellOf(it, symbols))}</ol></section>
`
}

function cellOf(it: SweptOperation, symbols: Symbols): Html {
  const { letter, durable } = operationOf(it.name)
  const bad = violationsOf(it) > 0
  const uncut = durable && cutsOf(it) === 0
  const className = `c${bad ? ' bad' : ''}${uncut ? ' uncut' : ''}`
  const counts = sumEndings(it.cells.map((cell) => cell.endings))
  const label = endings
    .filter((ending) => counts[ending] > 0)
    .map((ending) => `${endingWords[ending].name} ${counts[ending]}`)
  const deeper = it.deeper === null || it.deeper.violations === 0 ? [] : ['broken promise after a second cut']
  const text = [...label, ...deeper].join(', ') || 'no cut'
  return html`<li><button class="${className}" aria-label="${it.number} ${it.name}: ${text}">${symbols.cell(it)}${bad ? '✕' : letter}</button>`
}

function histogramFigure(operations: readonly SweptOperation[]): Html {
  const bars = histogram(operations)
  const most = Math.max(1, ...bars.map((it) => it.operations))
  const rows = bars.map((bar) => {
    const width = (100 * bar.operations) / most
    const drawing = raw(
      `<svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect width="${width.toFixed(1)}" height="10"/></svg>`,
    )
    return html`<tr><td>${barText(bar)}</td><td>${drawing}</td><td>${countText(bar.operations)}</td></tr>
`
  })
  return html`<figure class="histogram"><figcaption>How often each operation was cut<span>Operations that change storage, by the number of cuts each met. None may have 0.</span></figcaption>
<table><thead><tr><th scope="col">cuts</th><th scope="col"><span class="unseen">bar</span></th><th scope="col">operations</th></tr></thead><tbody>
${rows}</tbody></table></figure>`
}

function kindsFigure(operations: readonly SweptOperation[]): Html {
  const rows = kindsOf(operations).map(
    (
      it,
    ) => html`<tr><td>${it.kind}</td><td>${countText(it.operations)}</td><td>${countText(it.cuts)}</td><td>${countText(it.fewest)}</td>${
      it.violations === 0
        ? html`<td>0</td>`
        : html`<td class="is-violation">✕ ${countText(it.violations)}</td>`
    }</tr>
`,
  )
  return html`<figure><figcaption>Where the cuts fell<span>Operations by place and kind, in the order of the story.</span></figcaption>
<table><thead><tr><th scope="col">kind</th><th scope="col">operations</th><th scope="col">cuts</th><th scope="col">fewest</th><th scope="col">broken</th></tr></thead><tbody>
${rows}</tbody></table></figure>`
}
