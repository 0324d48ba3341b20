/**
 * Runs in the page: the stories as tabs, the way through the map by mouse and keys, and which operation is
 * pinned. `#update` in the address shows a story, `#update:37` an operation of it.
 * Promise: needs nothing but its parameters; a map is one stop for the Tab key, arrows move inside it.
 */
import type { OperationData, PageData } from '../page-data.ts'
import type { Browser, PageElement } from './browser.ts'
import type { Detail, Shown } from './detail.ts'

export function explore(browser: Browser, data: PageData, detail: Detail): void {
  const { document, location } = browser
  const sections = [...document.querySelectorAll('.scenario')]
  const tabs = [...document.querySelectorAll('#tabs a')]
  const cells = sections.map((it) => [...it.querySelectorAll('.c')])
  let pinned: PageElement | null = null

  const shownOf = (cell: PageElement): Shown | null => {
    const scenario = cells.findIndex((all) => all.includes(cell))
    const story = data.scenarios[scenario]
    const tuple = story?.operations[cells[scenario]?.indexOf(cell) ?? -1]
    if (story === undefined || tuple === undefined) return null
    const [n, name, words, phase, atMs, ways, deeper] = tuple
    const operation: OperationData = { n, name, words, phase, atMs, cells: ways, deeper }
    return { cell, operation, phase: story.phases[phase] ?? { name: '', words: '' }, story: story.story }
  }
  const pin = (cell: PageElement): void => {
    const shown = shownOf(cell)
    if (shown === null) return
    pinned?.removeAttribute('aria-current')
    pinned = cell
    cell.setAttribute('aria-current', 'true')
    detail.hideTip()
    detail.panel(shown)
    cell.scrollIntoView({ block: 'nearest' })
    location.replace(`#${cell.closest('.scenario')?.id}:${shown.operation.n}`)
  }
  const unpin = (): PageElement | null => {
    const it = pinned
    it?.removeAttribute('aria-current')
    pinned = null
    detail.hidePanel()
    return it
  }
  const showStory = (index: number): void => {
    sections.forEach((it, at) => {
      it.hidden = at !== index
    })
    tabs.forEach((it, at) => {
      if (at === index) it.setAttribute('aria-current', 'page')
      else it.removeAttribute('aria-current')
    })
  }
  /** The nearest cell of the next row in that direction, or null at the edge. */
  const vertical = (all: readonly PageElement[], from: PageElement, step: 1 | -1): PageElement | null => {
    const here = from.getBoundingClientRect()
    let best: PageElement | null = null
    let bestFar = Number.POSITIVE_INFINITY
    for (const it of all) {
      const { left, top } = it.getBoundingClientRect()
      const down = step * (top - here.top)
      const far = down * 4 + Math.abs(left - here.left)
      if (down > 4 && far < bestFar) [best, bestFar] = [it, far]
    }
    return best
  }
  const target = (all: readonly PageElement[], from: PageElement, key: string): PageElement | null => {
    const at = all.indexOf(from)
    if (key === 'ArrowRight') return all[at + 1] ?? null
    if (key === 'ArrowLeft') return all[at - 1] ?? null
    if (key === 'ArrowDown') return vertical(all, from, 1)
    if (key === 'ArrowUp') return vertical(all, from, -1)
    if (key === 'Home') return all[0] ?? null
    return key === 'End' ? (all.at(-1) ?? null) : null
  }
  const focusOn = (all: readonly PageElement[], cell: PageElement): void => {
    for (const it of all) it.tabIndex = -1
    cell.tabIndex = 0
  }
  const move = (from: PageElement, key: string): boolean => {
    const all = cells.find((it) => it.includes(from)) ?? []
    const to = target(all, from, key)
    if (to === null) return false
    to.focus()
    return true
  }
  const followAddress = (): void => {
    const [id, n] = decodeURIComponent(location.hash.slice(1)).split(':')
    const index = data.scenarios.findIndex((it) => it.id === id)
    if (index < 0) return
    showStory(index)
    const at = data.scenarios[index]?.operations.findIndex((it) => String(it[0]) === n) ?? -1
    const cell = cells[index]?.[at]
    if (cell === undefined) {
      unpin()
    } else if (cell !== pinned) {
      pin(cell)
      cell.scrollIntoView({ block: 'center' })
    }
  }

  const withCell = (act: (cell: PageElement) => void) => (event: { readonly target: PageElement }) => {
    const cell = event.target.closest?.('.c') ?? null
    if (cell !== null) act(cell)
  }
  const showTip = withCell((cell) => {
    const shown = shownOf(cell)
    if (shown !== null && cell !== pinned) detail.tip(shown)
  })
  sections.forEach((section, index) => {
    const all = cells[index] ?? []
    const [first] = all
    if (first !== undefined) focusOn(all, first)
    section.addEventListener('mouseover', showTip)
    section.addEventListener('mouseout', withCell(detail.hideTip))
    section.addEventListener('focusin', (event) => {
      withCell((cell) => focusOn(all, cell))(event)
      showTip(event)
    })
    section.addEventListener('focusout', withCell(detail.hideTip))
    section.addEventListener('click', withCell(pin))
    section.addEventListener('keydown', (event) => {
      withCell((cell) => {
        if (move(cell, event.key)) event.preventDefault()
      })(event)
    })
  })
  document.addEventListener('keydown', ({ key }) => {
    if (key !== 'Escape') return
    detail.hideTip()
    unpin()?.focus()
  })
  document.querySelector('#panel-close')?.addEventListener('click', () => unpin()?.focus())
  browser.addEventListener('hashchange', followAddress)
  browser.addEventListener('scroll', detail.placeTip)
  browser.addEventListener('resize', detail.placeTip)
  const first = data.scenarios.findIndex(
    (it) => document.querySelector(`#tabs a[href="#${it.id}"].broken`) !== null,
  )
  showStory(Math.max(0, first))
  followAddress()
}
