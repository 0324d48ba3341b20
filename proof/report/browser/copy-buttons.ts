/**
 * Runs in the page: each button with `data-copy` puts that text on the clipboard and says so, to eyes and to
 * screen readers.
 * Promise: needs nothing but its parameter; works also where a page has no right to the modern clipboard.
 */
import type { Browser, PageElement } from './browser.ts'

export function copyButtons({ document, navigator, setTimeout }: Browser): void {
  const spoken = document.querySelector('#spoken')
  const shownMs = 2_000

  /** The old way, through a selection. */
  const copyBySelection = (text: string): boolean => {
    const field = document.createElement('textarea')
    const focused = document.activeElement
    field.value = text
    field.setAttribute('readonly', '')
    field.setAttribute('class', 'unseen')
    document.body.append(field)
    field.select()
    const done = document.execCommand('copy')
    field.remove()
    focused?.focus({ preventScroll: true })
    return done
  }
  const copy = async (text: string): Promise<boolean> => {
    try {
      if (navigator.clipboard === undefined) return copyBySelection(text)
      await navigator.clipboard.writeText(text)
      return true
    } catch {
      return copyBySelection(text)
    }
  }
  const answer = (button: PageElement, done: boolean): void => {
    const text = done ? 'Copied' : 'Select it by hand'
    button.textContent = text
    if (spoken !== null) spoken.textContent = text
    setTimeout(() => {
      button.textContent = 'Copy'
      if (spoken !== null) spoken.textContent = ''
    }, shownMs)
  }
  document.addEventListener('click', ({ target }) => {
    const button = target.closest('[data-copy]')
    const text = button?.dataset['copy']
    if (button !== null && text !== undefined) void copy(text).then((done) => answer(button, done))
  })
}
