/**
 * The drawing of an operation: one row for each way to cut, divided by how the crash states ended. Each ending
 * has a colour and a pattern, so that nobody needs the colour.
 * Promise: pure; what happened is never too small to be seen: each ending has some width, a violation a lot.
 * Equal drawings are one symbol, however many cells show them.
 */
import { type Ending, endings, type SweptOperation, ways } from '../sweep/result.ts'
import { type Html, html, raw } from './html.ts'

/** Pixels. The endings of a row share `units` parts of its width. */
export const art = { width: 20, rowHeight: 7, gap: 1, units: 10 } as const
const unit = art.width / art.units
const height = ways.length * (art.rowHeight + art.gap) - art.gap
const unitsMin: Readonly<Record<Ending, number>> = { old: 1, new: 1, otherwise: 1, violation: 4 }

export interface Symbols {
  /** Reference to the drawing of an operation. */
  cell(operation: SweptOperation): Html
  /** A drawing of one row, for keys and bars: `width` pixels wide. */
  bar(counts: Readonly<Record<Ending, number>>, width: number, className: string): Html
  /** All symbols that were asked for; goes into the page once. */
  definitions(): Html
}

export function cellSymbols(): Symbols {
  const rows = new Map<string, string>()
  const cells = new Map<string, string>()
  return {
    cell(operation) {
      const row = ways.map((way) => {
        const counts = operation.cells.find((it) => it.way === way && it.states > 0)?.endings
        if (counts === undefined) return 'none'
        const drawing = rowOf(shares(counts, art.units), unit)
        const id = rows.get(drawing) ?? `r${rows.size}`
        rows.set(drawing, id)
        return id
      })
      const key = row.join(' ')
      const id = cells.get(key) ?? `k${cells.size}`
      cells.set(key, id)
      return raw(`<svg><use href="#${id}"/></svg>`)
    },
    bar(counts, width, className) {
      const parts = shares(counts, width / unit)
      return html`<svg class="${className}" viewBox="0 0 ${width} ${art.rowHeight}" preserveAspectRatio="none" aria-hidden="true">${raw(rowOf(parts, unit))}</svg>`
    },
    definitions: () =>
      raw(
        `<svg class="definitions" width="0" height="0" aria-hidden="true"><defs>${patterns}` +
          `<g id="none">${rectangle('none', 0, art.width)}</g>` +
          [...rows].map(([drawing, id]) => `<g id="${id}">${drawing}</g>`).join('') +
          [...cells].map(([key, id]) => `<g id="${id}">${cellOf(key.split(' '))}</g>`).join('') +
          '</defs></svg>',
      ),
  }
}

/**
 * Divides `units` by counts, the largest remainders first; an ending that happened gets its smallest width.
 * @returns units by ending; their sum is `units`, or 0 when nothing happened
 */
export function shares(counts: Readonly<Record<Ending, number>>, units: number): readonly number[] {
  const total = endings.reduce((sum, it) => sum + counts[it], 0)
  if (total === 0) return endings.map(() => 0)
  const exact = endings.map((it) => (counts[it] * units) / total)
  const parts = endings.map((it, index) =>
    counts[it] === 0 ? 0 : Math.max(unitsMin[it], Math.floor(exact[index] ?? 0)),
  )
  const missing = (index: number): number => (exact[index] ?? 0) - (parts[index] ?? 0)
  const happened = endings.map((_, index) => index).filter((index) => (parts[index] ?? 0) > 0)
  const change = (step: 1 | -1): void => {
    const room = happened.filter((index) => {
      const least = unitsMin[endings[index] ?? 'old']
      return step === 1 || (parts[index] ?? 0) > least
    })
    const [best] = room.sort((one, other) => step * (missing(other) - missing(one)))
    if (best !== undefined) parts[best] = (parts[best] ?? 0) + step
  }
  const sum = (): number => parts.reduce((total, it) => total + it, 0)
  for (let left = units - sum(); left !== 0; left -= Math.sign(left)) change(left > 0 ? 1 : -1)
  return parts
}

function rowOf(parts: readonly number[], width: number): string {
  let at = 0
  return endings
    .map((ending, index) => {
      const wide = (parts[index] ?? 0) * width
      at += wide
      return wide === 0 ? '' : rectangle(ending, at - wide, wide)
    })
    .join('')
}

function rectangle(className: string, x: number, width: number): string {
  return `<rect class="e-${className}" x="${x}" width="${width}" height="${art.rowHeight}"/>`
}

function cellOf(rows: readonly string[]): string {
  return rows
    .map(
      (id, index) => `<use href="#${id}"${index === 0 ? '' : ` y="${index * (art.rowHeight + art.gap)}"`}/>`,
    )
    .join('')
}

export const cellHeight = height

/** Old: plain; new: stripes; otherwise: dots; violation: crosses. */
const patterns =
  '<pattern id="p-new" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">' +
  '<rect class="f-new" width="5" height="5"/><rect class="f-new-mark" width="1.6" height="5"/></pattern>' +
  '<pattern id="p-otherwise" width="4" height="3.5" patternUnits="userSpaceOnUse">' +
  '<rect class="f-otherwise" width="4" height="3.5"/><circle class="f-otherwise-mark" cx="2" cy="1.75" r="0.95"/></pattern>' +
  '<pattern id="p-violation" width="8" height="7" patternUnits="userSpaceOnUse">' +
  '<rect class="f-violation" width="8" height="7"/><path class="s-violation-mark" d="M1.8 1.3 6.2 5.7M6.2 1.3 1.8 5.7"/></pattern>'
