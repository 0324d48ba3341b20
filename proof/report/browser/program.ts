/**
 * The program of the page as text: the functions of this folder, put together by their own source text, so that
 * what is checked and formatted as TypeScript is what runs.
 * Promise: pure; each function stands alone, so nothing is missing in the page.
 */
import type { Browser, PageElement } from './browser.ts'
import { copyButtons } from './copy-buttons.ts'
import { detail } from './detail.ts'
import { explore } from './explore.ts'
import { themeSwitch } from './theme-switch.ts'

export function pageProgram(): string {
  return `'use strict';
(${start})(window, { maker: ${maker}, themeSwitch: ${themeSwitch}, copyButtons: ${copyButtons}, detail: ${detail}, explore: ${explore} });
`
}

interface Parts {
  readonly maker: typeof maker
  readonly themeSwitch: typeof themeSwitch
  readonly copyButtons: typeof copyButtons
  readonly detail: typeof detail
  readonly explore: typeof explore
}

/** Runs in the page. */
function start(window: Browser, parts: Parts): void {
  const { document } = window
  const browser: Browser = {
    document,
    location: window.location,
    navigator: window.navigator,
    get localStorage() {
      return window.localStorage
    },
    get innerWidth() {
      return window.innerWidth
    },
    get innerHeight() {
      return window.innerHeight
    },
    matchMedia: (query) => window.matchMedia(query),
    setTimeout: (callback, delayMs) => window.setTimeout(callback, delayMs),
    addEventListener: (type, listener) => window.addEventListener(type, listener),
  }
  document.documentElement.classList.toggle('scripted', true)
  parts.themeSwitch(browser)
  parts.copyButtons(browser)
  const data = JSON.parse(document.querySelector('#data')?.textContent ?? '')
  parts.explore(browser, data, parts.detail(browser, parts.maker(browser), data))
}

/** Runs in the page. */
function maker({ document }: Browser) {
  return (
    tag: string,
    attributes: Readonly<Record<string, string>>,
    ...children: readonly (PageElement | string)[]
  ): PageElement => {
    const element = document.createElement(tag)
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
    element.append(...children)
    return element
  }
}
