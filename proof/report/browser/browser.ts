/**
 * What the program in the page needs of a browser: a port, as everything else that Everboot asks of its world.
 * Promise: names and meanings are those of the DOM standard; a real `window` fits.
 */

export interface PageElement {
  readonly dataset: Record<string, string | undefined>
  readonly style: { setProperty(name: string, value: string): void }
  readonly classList: { toggle(name: string, on: boolean): void }
  readonly children: ArrayLike<PageElement>
  readonly offsetWidth: number
  readonly offsetHeight: number
  textContent: string | null
  hidden: boolean
  tabIndex: number
  id: string
  value: string
  getAttribute(name: string): string | null
  setAttribute(name: string, value: string): void
  removeAttribute(name: string): void
  querySelector(selector: string): PageElement | null
  querySelectorAll(selector: string): Iterable<PageElement>
  closest(selector: string): PageElement | null
  append(...children: readonly (PageElement | string)[]): void
  replaceChildren(...children: readonly (PageElement | string)[]): void
  cloneNode(deep: boolean): PageElement
  remove(): void
  focus(options?: { readonly preventScroll?: boolean }): void
  select(): void
  scrollIntoView(options: { readonly block: string }): void
  getBoundingClientRect(): Box
  addEventListener(type: string, listener: (event: PageEvent) => void): void
}

export interface Box {
  readonly left: number
  readonly top: number
  readonly bottom: number
  readonly width: number
}

export interface PageEvent {
  readonly target: PageElement
  readonly key: string
  preventDefault(): void
}

export interface Browser {
  readonly document: {
    readonly documentElement: PageElement
    readonly body: PageElement
    readonly activeElement: PageElement | null
    createElement(tag: string): PageElement
    querySelector(selector: string): PageElement | null
    querySelectorAll(selector: string): Iterable<PageElement>
    addEventListener(type: string, listener: (event: PageEvent) => void): void
    execCommand(name: string): boolean
  }
  readonly location: { readonly hash: string; replace(url: string): void }
  readonly navigator: {
    readonly clipboard?: { writeText(text: string): Promise<void> }
  }
  readonly localStorage: { getItem(key: string): string | null; setItem(key: string, value: string): void }
  readonly innerWidth: number
  readonly innerHeight: number
  matchMedia(query: string): { readonly matches: boolean }
  setTimeout(callback: () => void, delayMs: number): unknown
  addEventListener(type: string, listener: () => void): void
}

/** Makes an element with attributes and children. */
export type Make = (
  tag: string,
  attributes: Readonly<Record<string, string>>,
  ...children: readonly (PageElement | string)[]
) => PageElement
