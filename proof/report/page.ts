/**
 * The report of a sweep as one HTML page that needs nothing else: no request, no library, works from a file.
 * Promise: pure; the same results give the same bytes; every text is escaped, and only the program and the
 * styles that are in the page may run (by their hashes); a broken promise stands before everything else.
 * Leaves to others: the map (scenario-section.ts), what a click does (browser/).
 */
import { createHash } from 'node:crypto'
import { endings, type SweepResult, ways } from '../sweep/result.ts'
import { alarmBanner, headline, lede } from './alarm.ts'
import { pageProgram } from './browser/program.ts'
import { cellSymbols, type Symbols } from './cell-art.ts'
import { allViolations, type Figures, figuresOf, sumEndings, sumFigures } from './figures.ts'
import { type Html, html, jsonForScript, raw } from './html.ts'
import { places } from './operation.ts'
import { pageData } from './page-data.ts'
import { promiseList } from './promises.ts'
import { scenarioSection, swatch } from './scenario-section.ts'
import { styleSheet } from './style.ts'
import { countText, endingWords, phaseWords, secondsText, wayWords } from './words.ts'

/** @returns the text of an HTML file */
export function reportPage(results: readonly SweepResult[]): string {
  const figures = results.map(figuresOf)
  const total = sumFigures(figures)
  const ids = sectionIds(results)
  const symbols = cellSymbols()
  const sections = results.map((it, index) =>
    scenarioSection(it, figures[index] ?? figuresOf(it), ids[index] ?? '', symbols),
  )
  const legend = legendOf(results, symbols)
  const title = headline(total)
  const style = styleSheet()
  const program = pageProgram()
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src ${hashSource(style)}; script-src ${hashSource(program)}; img-src data:">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>${total.violations > 0 ? '✕ ' : ''}Everboot: ${title}</title>
<link rel="icon" href="data:,">
<style>${raw(style)}</style>
</head>
<body>
<a class="skip" href="#stories">Skip to the map</a>
${symbols.definitions()}
<header>
<div class="top"><p class="brand">Everboot <span>· power-cut report</span></p><button type="button" class="button" id="theme" hidden>Theme</button></div>
<h1>${title}</h1>
<p class="lede">${lede(total, results)}</p>
</header>
${alarmBanner(results, total, ids)}
${tiles(total)}
<main id="stories">
${tabs(results, figures, ids)}
<div class="layout">
<div>
${sections}${promiseList(allViolations(results), total.states > 0)}
</div>
<div class="side">
<aside id="panel" aria-labelledby="panel-title" hidden><header><h2 id="panel-title">Operation</h2><button type="button" class="button" id="panel-close">Close</button></header><div id="panel-body"></div></aside>
${legend}
</div>
</div>
</main>
<footer>A simulated board with the real boot loader, the real agent and the real core of the hub, in virtual time; its disks forget what was not flushed, in any order, and tear what was under way. Everything follows from the seed: a replay command plays its crash state again, byte for byte.</footer>
<div id="tip" hidden></div>
<div id="spoken" class="unseen" role="status"></div>
<script type="application/json" id="data">${jsonForScript(pageData(results, ids))}</script>
<script>${raw(program)}</script>
</body>
</html>
`.html
}

function hashSource(text: string): Html {
  return raw(`'sha256-${createHash('sha256').update(text).digest('base64')}'`)
}

/** A name for the address of each story: its own where it has only safe characters. */
function sectionIds(results: readonly SweepResult[]): readonly string[] {
  const taken = new Set(['panel', 'legend', 'stories', 'tabs', 'tip', 'spoken', 'data', 'theme', 'none'])
  return results.map(({ scenario }, index) => {
    const plain = scenario.replace(/[^\w-]+/g, '-').slice(0, 64)
    const id = /^[A-Za-z]/.test(plain) && !taken.has(plain) ? plain : `story-${index}`
    taken.add(id)
    return id
  })
}

function tabs(results: readonly SweepResult[], figures: readonly Figures[], ids: readonly string[]): Html {
  if (results.length < 2) return html`<nav id="tabs" aria-label="Stories" hidden></nav>`
  const links = results.map(({ scenario }, index) => {
    const violations = figures[index]?.violations ?? 0
    const mark =
      violations === 0
        ? html``
        : html` ✕ ${countText(violations)}<span class="unseen"> broken promises</span>`
    return html`<a href="#${ids[index] ?? ''}"${violations === 0 ? null : raw(' class="broken"')}>${scenario}${mark}</a>
`
  })
  return html`<nav id="tabs" aria-label="Stories">${links}</nav>`
}

function tiles(total: Figures): Html {
  const { states, distinct, planned, fired, violations, seconds } = total
  const rate = seconds > 0 ? `${countText(Math.round((60 * states) / seconds))} a minute` : ''
  const all = planned === fired
  return html`<dl class="tiles">
${tile('Crash states', countText(states), 'each played to its end')}
${tile('Distinct', countText(distinct), 'different bytes on the disks')}
${tile('Planned cuts that came', `${all ? '✓ ' : '✕ '}${countText(fired)}`, `of ${countText(planned)} planned`, all ? 'good' : 'bad')}
${tile('Broken promises', `${violations === 0 ? '✓ ' : '✕ '}${countText(violations)}`, violations === 0 ? 'every invariant held' : 'see the list above', violations === 0 ? 'good' : 'bad')}
${tile('Time', secondsText(seconds), rate)}
</dl>`
}

function tile(name: string, value: string, below: string, className: string = ''): Html {
  return html`<div class="${className}"><dt>${name}</dt><dd><b>${value}</b><small>${below}</small></dd></div>
`
}

const noEndings = sumEndings([])
/** An operation at which the outcome tips, as an example. */
const samples = [
  { ...noEndings, old: 10 },
  { ...noEndings, old: 7, new: 3 },
  { ...noEndings, new: 10 },
  { ...noEndings, old: 5, new: 5 },
]

function legendOf(results: readonly SweepResult[], symbols: Symbols): Html {
  const colours = endings.map(
    (it) =>
      html`<li>${swatch(it, symbols)}<span><b>${endingWords[it].name}.</b> ${endingWords[it].means}</span></li>
`,
  )
  const rows = ways.map(
    (
      way,
      index,
    ) => html`<li>${symbols.bar(samples[index] ?? noEndings, 40, 'sample')}<span><b>${way}</b>: ${wayWords[way]}</span></li>
`,
  )
  return html`<section id="legend" aria-labelledby="legend-title">
<h2 id="legend-title">How to read the map</h2>
<p>The board has two slots: one holds the system that runs, the other takes the new one. An update is a row of operations: writing a piece, making it safe on the disk, noting what comes next. <b>Each box is one operation</b>, from left to right as they happen. The power was cut at each one, the board was switched on again, and the colour says what came of it.</p>
<p class="hint">Point at a box for its figures. Click it for everything and for the commands that play its cuts again; arrow keys and Enter do the same.</p>
<h3>The colours and patterns</h3>
<ul class="key">${colours}</ul>
<h3>The four rows of a box: when the power goes</h3>
<ul class="anatomy">${rows}</ul>
<p class="muted">A pale row is a cut that cannot be there: what is written whole cannot be torn.</p>
<h3>The letter under a box: where</h3>
<dl class="places">${Object.entries(places).map(([letter, words]) => html`<dt>${letter}</dt><dd>${words}</dd>`)}</dl>
${phaseKey(results)}
</section>`
}

function phaseKey(results: readonly SweepResult[]): Html {
  const used = [...new Set(results.flatMap((it) => it.operations.map(({ phase }) => phase)))]
  const known = used.flatMap((phase) => {
    const words = phaseWords(phase)
    return words === null
      ? []
      : [
          html`<li><b>${phase}</b> ${words}</li>
`,
        ]
  })
  return known.length === 0 ? html`` : html`<h3>The phases</h3><ul>${known}</ul>`
}
