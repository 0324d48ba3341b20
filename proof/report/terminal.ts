/**
 * The report of a sweep for a terminal of 80 columns, at most 40 lines: totals, one line for each story, how
 * many cuts the operations met, and the broken promises with the commands that play them again.
 * Promise: pure; without `colour` there is no escape character, also not from a name; what does not fit is
 * counted, never left out silently.
 */
import { reportLimits } from '../../core/limits.ts'
import type { SweepResult } from '../sweep/result.ts'
import { headline } from './alarm.ts'
import {
  allViolations,
  barText,
  type Figures,
  type Found,
  figuresOf,
  histogram,
  sumFigures,
  verdictOf,
} from './figures.ts'
import { countOf, countText, replayCommand, secondsText } from './words.ts'

const { terminalColumns: columns, terminalLines: linesMax } = reportLimits
/** Stories shown one by one; of more, the last line counts the rest. */
const storiesMax = 10
const blocks = ' ▏▎▍▌▋▊▉'

type Style = 'bold' | 'good' | 'bad'
const codes: Readonly<Record<Style, string>> = { bold: '1', good: '32', bad: '1;31' }

/** @param colour whether the terminal shows colours; false for files and pipes */
export function reportLines(
  results: readonly SweepResult[],
  { colour }: { readonly colour: boolean },
): readonly string[] {
  const paint = (style: Style, text: string): string =>
    colour ? `\u001b[${codes[style]}m${text}\u001b[0m` : text
  const figures = results.map(figuresOf)
  const total = sumFigures(figures)
  const lines = [
    ...headLines(total, paint),
    '',
    ...storyLines(results, figures, paint),
    '',
    ...histogramLines(results),
  ]
  const found = allViolations(results)
  return found.length === 0
    ? lines
    : [...lines, '', ...violationLines(found, total.violations, results, linesMax - lines.length - 1, paint)]
}

type Paint = (style: Style, text: string) => string

function headLines(total: Figures, paint: Paint): readonly string[] {
  const { states, distinct, planned, fired, kills, violations, uncut, seconds } = total
  const good = verdictOf(total) === 'good'
  const rate = seconds > 0 ? `, ${countText(Math.round((60 * states) / seconds))} a minute` : ''
  return [
    paint(good ? 'good' : 'bad', clipped(`${good ? '✓' : '✕'} ${headline(total)}`, columns)),
    `  ${countOf(states, 'crash state')}, ${countText(distinct)} distinct, in ${secondsText(seconds)}${rate}`,
    `  planned cuts that came: ${countText(fired)} of ${countText(planned)}; kills of the agent: ${countText(kills)}`,
    `  operations without a cut: ${countText(uncut)}, broken promises: ${countText(violations)}`,
  ]
}

const widths = [5, 9, 9, 9, 9, 7] as const
const nameWidth = columns - widths.reduce((sum, it) => sum + it + 1, 0)

function storyLines(
  results: readonly SweepResult[],
  figures: readonly Figures[],
  paint: Paint,
): readonly string[] {
  const row = (name: string, cells: readonly string[]): string =>
    [
      clipped(name, nameWidth).padEnd(nameWidth),
      ...cells.map((it, index) => it.padStart(widths[index] ?? 0)),
    ].join(' ')
  const shown = results.slice(0, storiesMax).map(({ scenario }, index) => {
    const { operations, states, distinct, endings, violations } = figures[index] ?? sumFigures([])
    const numbers = [operations, states, distinct, endings.new, endings.otherwise, violations]
    const line = row(scenario, numbers.map(countText))
    return violations === 0 ? line : paint('bad', line)
  })
  const rest = results.length - shown.length
  return [
    paint('bold', row('STORY', ['OPS', 'STATES', 'DISTINCT', 'SWITCHED', 'OTHER END', 'BROKEN'])),
    ...shown,
    ...(rest > 0 ? [`and ${countOf(rest, 'more story', 'more stories')}, in the totals above`] : []),
  ]
}

/** Bars for the powers of two; more of them than fit are one bar. */
const barsMax = 10
const barWidth = 44

function histogramLines(results: readonly SweepResult[]): readonly string[] {
  const all = histogram(results.flatMap((it) => it.operations))
  const shown = all.slice(0, barsMax)
  const rest = all.slice(barsMax - 1)
  const [first] = rest
  if (all.length > barsMax && first !== undefined) {
    const max = rest.at(-1)?.max ?? first.max
    const operations = rest.reduce((sum, it) => sum + it.operations, 0)
    shown[barsMax - 1] = { min: first.min, max, operations }
  }
  const most = Math.max(1, ...shown.map((it) => it.operations))
  return [
    'Operations that change storage, by the number of cuts each met',
    ...shown.map((it) => {
      const numbers = `${barText(it).padStart(11)} cuts ${countText(it.operations).padStart(7)} `
      return `${numbers}${bar(it.operations / most)}`.trimEnd()
    }),
  ]
}

/** Never empty for what is not zero. */
function bar(share: number): string {
  const eighths = share === 0 ? 0 : Math.max(1, Math.round(share * barWidth * 8))
  return `${'█'.repeat(eighths >> 3)}${blocks[eighths & 7] ?? ''}`.trimEnd()
}

function violationLines(
  found: readonly Found[],
  count: number,
  results: readonly SweepResult[],
  room: number,
  paint: Paint,
): readonly string[] {
  const linesEach = 2
  const fit = Math.floor((room - 1) / linesEach)
  const shown = found.slice(0, count <= fit ? fit : Math.floor((room - 2) / linesEach))
  const items = shown.flatMap(({ scenario, violation: { invariant, what, replay } }) => [
    paint('bad', clipped(`✕ ${invariant} ${results[scenario]?.scenario ?? ''}: ${what}`, columns)),
    `  ${printable(replayCommand(replay))}`,
  ])
  const rest = count - shown.length
  return [
    paint('bad', `${countOf(count, 'broken promise')}: this must never happen`),
    ...items,
    ...(rest > 0 ? [`and ${countText(rest)} more; --report FILE.html shows where`] : []),
  ]
}

/** One line of at most `width` characters. */
function clipped(text: string, width: number): string {
  const line = printable(text)
  return line.length <= width ? line : `${line.slice(0, width - 1)}…`
}

/** Without line breaks and escape characters. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '\ufffd')
}
