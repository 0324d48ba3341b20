/**
 * Every text that a page shows, with the colours it has and stands on as the browser computes them.
 * Promise: runs in the page and needs nothing from outside its function.
 */

export interface ShownText {
  readonly text: string
  /** Red, green, blue from 0 to 255. */
  readonly colour: readonly number[]
  readonly ground: readonly number[]
}

interface Element {
  readonly parentElement: Element | null
  readonly classList: { contains(name: string): boolean }
  getClientRects(): { readonly length: number }
}
interface TextNode {
  readonly parentElement: Element | null
  readonly textContent: string | null
}
interface Window {
  readonly document: {
    readonly body: Element
    createTreeWalker(root: Element, what: number): { nextNode(): TextNode | null }
  }
  getComputedStyle(element: Element): { readonly color: string; readonly backgroundColor: string }
}

export function textsOnScreen(): readonly ShownText[] {
  const window = globalThis as unknown as Window
  const numbers = (colour: string): readonly number[] => (colour.match(/[\d.]+/g) ?? []).map(Number)
  const groundOf = (element: Element | null): readonly number[] => {
    if (element === null) return [255, 255, 255]
    const colour = numbers(window.getComputedStyle(element).backgroundColor)
    return (colour[3] ?? 1) === 0 ? groundOf(element.parentElement) : colour
  }
  const found: ShownText[] = []
  const textNodes = 4
  const walker = window.document.createTreeWalker(window.document.body, textNodes)
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const text = (node.textContent ?? '').trim()
    const element = node.parentElement
    const seen =
      element !== null && element.getClientRects().length > 0 && !element.classList.contains('unseen')
    if (text === '' || !seen) continue
    const { color } = window.getComputedStyle(element)
    found.push({ text, colour: numbers(color), ground: groundOf(element) })
  }
  return found
}
