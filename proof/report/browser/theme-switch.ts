/**
 * Runs in the page: the button that changes between light and dark, and remembers it where the browser lets it.
 * Promise: needs nothing but its parameter, since the page gets the text of this function.
 */
import type { Browser } from './browser.ts'

export function themeSwitch(browser: Browser): void {
  const { document, matchMedia } = browser
  const root = document.documentElement
  const button = document.querySelector('#theme')
  if (button === null) return
  const key = 'everboot-report-theme'
  const isDark = (): boolean => {
    const chosen = root.dataset['theme']
    return chosen === undefined ? matchMedia('(prefers-color-scheme: dark)').matches : chosen === 'dark'
  }
  const show = (): void => {
    button.textContent = isDark() ? '☀ Light theme' : '☾ Dark theme'
  }
  try {
    const kept = browser.localStorage.getItem(key)
    if (kept === 'dark' || kept === 'light') root.dataset['theme'] = kept
  } catch {
    // A browser that keeps nothing for files begins with the theme of the system each time.
  }
  button.hidden = false
  show()
  button.addEventListener('click', () => {
    const next = isDark() ? 'light' : 'dark'
    root.dataset['theme'] = next
    show()
    try {
      browser.localStorage.setItem(key, next)
    } catch {
      // As above.
    }
  })
}
