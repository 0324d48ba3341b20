/**
 * Runs in the page: what is shown of one operation, as a short tip beside its cell and as a panel that stays.
 * Promise: needs nothing but its parameters; texts are set as text, never as markup.
 */
import type { CellData, OperationData, PageData } from '../page-data.ts'
import type { Browser, Make, PageElement } from './browser.ts'

export interface Shown {
  readonly cell: PageElement
  readonly operation: OperationData
  readonly phase: { readonly name: string; readonly words: string }
  readonly story: string
}

export interface Detail {
  tip(shown: Shown): void
  /** The page has moved under the tip. */
  placeTip(): void
  hideTip(): void
  panel(shown: Shown): void
  hidePanel(): void
}

export function detail(browser: Browser, make: Make, data: PageData): Detail {
  const { document } = browser
  const find = (selector: string): PageElement => {
    const it = document.querySelector(selector)
    if (it === null) throw new Error(`the page has no ${selector}`)
    return it
  }
  const [tip, panel, body] = [find('#tip'), find('#panel'), find('#panel-body')]
  const [title, spoken] = [find('#panel-title'), find('#spoken')]
  let tipCell: PageElement | null = null
  const count = (n: number, one: string): string =>
    `${String(n).replace(/\B(?=(\d{3})+$)/g, ',')} ${one}${n === 1 ? '' : 's'}`
  const sum = (cells: readonly CellData[]): readonly number[] =>
    data.endings.map((_, index) => cells.reduce((all, cell) => all + (cell[3][index] ?? 0), 0))

  /** Drawing, name and count of each ending that happened. */
  const endingList = (counts: readonly number[]): PageElement => {
    const list = make('ul', { class: 'counts' })
    data.endings.forEach(({ key, name }, index) => {
      const n = counts[index] ?? 0
      const swatch = document.querySelector(`#legend .swatch-${key}`)?.cloneNode(true)
      if (n > 0 && swatch !== undefined)
        list.append(make('li', { class: `is-${key}` }, swatch, `${name} ${n}`))
    })
    return list
  }
  const phaseLine = ({ phase, operation }: Shown): PageElement =>
    make(
      'p',
      { class: 'phase' },
      make('b', {}, phase.name),
      phase.words === '' ? '' : `: ${phase.words}`,
      `. At ${(operation.atMs / 1000).toFixed(1)} s of simulated time.`,
    )
  const wayBlock = (shown: Shown, [way, states, distinct, counts, replay]: CellData): PageElement => {
    const { name = '', words = '' } = data.ways[way] ?? {}
    const { width, rowHeight, rowStep } = data.drawing
    const drawing = shown.cell.querySelector('svg')?.cloneNode(true)
    drawing?.setAttribute('viewBox', `0 ${way * rowStep} ${width} ${rowHeight}`)
    drawing?.setAttribute('aria-hidden', 'true')
    const usual = `${shown.story}/${shown.operation.n}.${name}.`
    const command = `${data.command} ${typeof replay === 'number' ? usual + replay : replay}`
    return make(
      'section',
      { class: 'way' },
      make('h3', {}, ...(drawing === undefined || states === 0 ? [] : [drawing]), `${name} `),
      make('p', { class: 'muted' }, `${words}; ${count(states, 'crash state')}, ${distinct} distinct`),
      endingList(counts),
      make('div', { class: 'command' }, make('code', {}, command), copyButton(command)),
    )
  }
  const copyButton = (text: string): PageElement =>
    make('button', { type: 'button', 'data-copy': text, 'aria-label': `Copy ${text}` }, 'Copy')
  const deeperLine = ({ deeper }: OperationData): readonly PageElement[] => {
    if (deeper === null) return []
    const [states, distinct, violations] = deeper
    const bad = violations === 0 ? 'no promise broken' : `${count(violations, 'broken promise')}`
    const text = `With a second cut while the board recovers from the first: ${count(states, 'state')}, ${distinct} distinct, ${bad}.`
    return [make('p', violations === 0 ? {} : { class: 'is-violation' }, text)]
  }

  const margin = 8
  /** Above the cell, or below it where there is no room. */
  const placeTip = (): void => {
    if (tipCell === null) return
    const at = tipCell.getBoundingClientRect()
    const width = tip.offsetWidth
    const left = Math.min(at.left + at.width / 2 - width / 2, browser.innerWidth - width - margin)
    const above = at.top - tip.offsetHeight - margin
    tip.style.setProperty('left', `${Math.max(margin, left)}px`)
    tip.style.setProperty('top', `${above < margin ? at.bottom + margin : above}px`)
  }

  return {
    tip(shown) {
      const { operation, phase, cell } = shown
      const counts = sum(operation.cells)
      tip.replaceChildren(
        make('b', {}, `${operation.n} · ${operation.name}`),
        make(
          'span',
          { class: 'muted' },
          `${phase.name} · ${count(
            counts.reduce((a, b) => a + b, 0),
            'cut',
          )}`,
        ),
        endingList(counts),
      )
      tip.hidden = false
      tipCell = cell
      placeTip()
    },
    placeTip,
    hideTip() {
      tip.hidden = true
      tipCell = null
    },
    panel(shown) {
      const { operation } = shown
      title.textContent = `Operation ${operation.n}`
      body.replaceChildren(
        make('p', { class: 'name' }, make('code', {}, operation.name)),
        ...(operation.words === '' ? [] : [make('p', {}, operation.words)]),
        phaseLine(shown),
        ...operation.cells.filter((it) => it[1] > 0).map((it) => wayBlock(shown, it)),
        ...deeperLine(operation),
      )
      panel.hidden = false
      spoken.textContent = `Operation ${operation.n} is shown after the map; Escape closes it.`
    },
    hidePanel() {
      panel.hidden = true
    },
  }
}
