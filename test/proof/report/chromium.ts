/**
 * Debian's Chromium for tests that look at a page as people do.
 * Promise: every page comes from a file, with a record of what it asked for and what it complained about.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { faultOf } from '../../../core/errors.ts'
import { ensureHostTools } from '../../../images/build/adapters/host-tools.ts'

/** Path of the browser, or why there is none. */
export async function findChromium(): Promise<{ readonly path: string | null; readonly why: string }> {
  try {
    const root = process.getuid?.() === 0
    const tools = await ensureHostTools(['chromium'], { install: root })
    return { path: tools.path('chromium'), why: '' }
  } catch (caught) {
    return { path: null, why: faultOf(caught).what }
  }
}

export interface OpenPage {
  readonly page: Page
  /** What the page asked for, itself included. */
  readonly requests: string[]
  /** Errors and warnings, and dialogs that it opened. */
  readonly complaints: string[]
}

export interface Pages {
  open(html: string, options?: BrowserContextOptions & { readonly before?: string }): Promise<OpenPage>
  /** Closes what was opened so far. */
  closeAll(): Promise<void>
  close(): Promise<void>
}

export async function startChromium(path: string): Promise<Pages> {
  const browser: Browser = await chromium.launch({
    executablePath: path,
    args: ['--no-sandbox', '--disable-gpu'],
  })
  const room = await mkdtemp(join(tmpdir(), 'everboot-report-'))
  let count = 0
  return {
    async open(html, { before, ...options } = {}) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options })
      if (before !== undefined) await context.addInitScript(before)
      const page = await context.newPage()
      const requests: string[] = []
      const complaints: string[] = []
      page.on('request', (it) => requests.push(it.url()))
      page.on('pageerror', (it) => complaints.push(it.message))
      page.on('console', (it) => {
        if (it.type() === 'error' || it.type() === 'warning') complaints.push(it.text())
      })
      page.on('dialog', (it) => {
        complaints.push(`dialog: ${it.message()}`)
        void it.dismiss()
      })
      count += 1
      const file = join(room, `report-${count}.html`)
      await writeFile(file, html)
      await page.goto(pathToFileURL(file).href)
      return { page, requests, complaints }
    },
    async closeAll() {
      await Promise.all(browser.contexts().map((it) => it.close()))
    },
    async close() {
      await browser.close()
      await rm(room, { recursive: true, force: true })
    },
  }
}
