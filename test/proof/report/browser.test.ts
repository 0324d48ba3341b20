/** The page in a real browser, from a file, as people meet it. */
import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { reportPage } from '../../../proof/report/page.ts'
import { findChromium, type Pages, startChromium } from './chromium.ts'
import { contrast } from './colour.ts'
import { broken, sample, samples } from './sample.ts'
import { textsOnScreen } from './texts-on-screen.ts'

const { path, why } = await findChromium()
if (path === null) console.info(`skipped: the report in a browser: ${why}`)

const [update, rollback, ...others] = samples()
const stories = [update, rollback].filter((it) => it !== undefined)
const html = reportPage([...stories, broken()])
const good = reportPage(stories)
const many = reportPage([...stories, broken(), ...others])
const desktop = { viewport: { width: 1280, height: 800 } }
const phone = { viewport: { width: 390, height: 844 } }
const schemes = ['light', 'dark'] as const

describe.skipIf(path === null)('the page in Chromium', () => {
  let pages: Pages
  beforeAll(async () => {
    pages = await startChromium(path ?? '')
  })
  afterEach(() => pages?.closeAll())
  afterAll(() => pages?.close())

  const cell = (page: Page, story: string, at: number) => page.locator(`#${story} .c`).nth(at)
  const background = (page: Page): Promise<string> =>
    page.evaluate('getComputedStyle(document.body).backgroundColor')
  const clipboard = (page: Page): Promise<string> => page.evaluate('navigator.clipboard.readText()')
  const focused = (page: Page): Promise<string> =>
    page.evaluate('document.activeElement.getAttribute("aria-label") ?? document.activeElement.id')
  const overflow = (page: Page): Promise<number> =>
    page.evaluate('document.documentElement.scrollWidth - innerWidth')

  it('loads without a complaint and asks for nothing but itself', async () => {
    const { page, requests, complaints } = await pages.open(html)
    await cell(page, 'canary', 3).click()
    await page.locator('#theme').click()
    expect(requests.map((it) => it.split(':')[0])).toEqual(['file'])
    expect(complaints).toEqual([])
  })

  it('shows the story with the broken promise first, and others by their tabs', async () => {
    const { page } = await pages.open(html)
    expect(await page.locator('.scenario:visible').getAttribute('id')).toBe('canary')
    expect(await page.locator('.alarm').isVisible()).toBe(true)
    await page.locator('#tabs a', { hasText: 'rollback' }).click()
    expect(await page.locator('.scenario:visible').getAttribute('id')).toBe('rollback')
    expect(await page.locator('#tabs [aria-current]').textContent()).toBe('rollback')
  })

  it('shows name, phase and counts of an operation under the mouse and the focus', async () => {
    const { page } = await pages.open(good)
    await cell(page, 'update', 92).hover()
    const { name, phase } = update?.operations[92] ?? { name: '', phase: '' }
    expect(await page.locator('#tip').innerText()).toContain(`92 · ${name}\n${phase} · `)
    expect(await page.locator('#tip').innerText()).toMatch(/\nother system \d+$/)
    await page.locator('h1').hover()
    expect(await page.locator('#tip').isVisible()).toBe(false)
    await cell(page, 'update', 7).focus()
    expect(await page.locator('#tip').innerText()).toContain('7 · boot write 0+65536')
    const tipTop = async (): Promise<number> => (await page.locator('#tip').boundingBox())?.y ?? 0
    const before = await tipTop()
    await page.evaluate('scrollBy(0, 100)')
    await expect.poll(tipTop).toBe(before - 100)
    await page.keyboard.press('Escape')
    expect(await page.locator('#tip').isVisible()).toBe(false)
  })

  it('pins an operation with all its ways and replay commands', async () => {
    const { page } = await pages.open(good)
    await cell(page, 'update', 50).click()
    const operation = update?.operations[50]
    const text = await page.locator('#panel').innerText()
    expect(text).toContain('Operation 50')
    expect(text).toContain(operation?.name)
    expect(text).toContain(
      'With a second cut while the board recovers from the first: 41 states, 30 distinct, no promise broken',
    )
    expect(operation?.cells.length).toBe(4)
    for (const { way, replay } of operation?.cells ?? []) {
      expect(text).toContain(way)
      expect(text).toContain(`everboot emulator replay ${replay}`)
    }
    await page.locator('#panel-close').click()
    expect(await page.locator('#panel').isVisible()).toBe(false)
  })

  it('opens on the operation that its address names', async () => {
    const { page } = await pages.open(html)
    const link = page.locator('.alarm a').first()
    const address = await link.getAttribute('href')
    await link.click()
    expect(await page.locator('#panel-title').textContent()).toBe(`Operation ${address?.split(':')[1]}`)
    await page.goto(`${page.url().split('#')[0]}#rollback:9`)
    await page.reload()
    expect(await page.locator('.scenario:visible').getAttribute('id')).toBe('rollback')
    expect(await page.locator('#panel-title').textContent()).toBe('Operation 9')
  })

  it.each([
    ['the clipboard', 50, undefined],
    [
      'a selection where there is no clipboard',
      51,
      'Object.defineProperty(Navigator.prototype, "clipboard", {})',
    ],
  ] as const)('copies a replay command by %s', async (_, number, before) => {
    const permissions = ['clipboard-read', 'clipboard-write']
    const { page } = await pages.open(html, { permissions, ...(before === undefined ? {} : { before }) })
    await cell(page, 'canary', number).click()
    const button = page.locator('#panel [data-copy]').nth(1)
    await button.click()
    // Copying takes a moment, and the word stands for two seconds.
    const says = { hasText: /^Copied$/ }
    await Promise.all([
      page.locator('#spoken').filter(says).waitFor({ state: 'attached' }),
      button.filter(says).waitFor(),
    ])
    if (before === undefined) {
      expect(await clipboard(page)).toBe(`everboot emulator replay canary/${number}.torn.1`)
    } else {
      const reader = await pages.open(html, { permissions })
      await reader.page.bringToFront()
      expect(await clipboard(reader.page)).toBe(`everboot emulator replay canary/${number}.torn.1`)
    }
  })

  it('can be used by keys alone: one stop for the map, arrows in it, Enter, Escape', async () => {
    const { page } = await pages.open(good)
    const names = update?.operations.map((it) => it.name) ?? []
    let stops = 0
    while (!(await focused(page)).startsWith('0 ') && stops < 20) {
      await page.keyboard.press('Tab')
      stops += 1
    }
    expect(await focused(page)).toContain(`0 ${names[0]}`)
    await page.keyboard.press('ArrowRight')
    await page.keyboard.press('ArrowRight')
    expect(await focused(page)).toContain(`2 ${names[2]}`)
    await page.keyboard.press('ArrowDown')
    const below = Number.parseInt(await focused(page), 10)
    expect(below).toBeGreaterThan(2)
    await page.keyboard.press('ArrowUp')
    expect(Number.parseInt(await focused(page), 10)).toBeLessThan(below)
    await page.keyboard.press('End')
    expect(await focused(page)).toContain(`${names.length - 1} ${names.at(-1)}`)
    await page.keyboard.press('Home')
    await page.keyboard.press('Enter')
    expect(await page.locator('#panel-title').textContent()).toBe('Operation 0')
    expect(await page.locator('#spoken').textContent()).toContain('Operation 0')
    await page.keyboard.press('Tab')
    expect(await focused(page)).toBe('panel-close')
    await page.keyboard.press('Escape')
    expect(await page.locator('#panel').isVisible()).toBe(false)
    expect(await focused(page)).toContain(`0 ${names[0]}`)
  })

  it.each(schemes)('follows a system that is %s, and the button changes it', async (colorScheme) => {
    const { page } = await pages.open(good, { ...desktop, colorScheme })
    const before = { ground: await background(page), picture: await page.screenshot() }
    await page.locator('#theme').click()
    const after = { ground: await background(page), picture: await page.screenshot() }
    expect(after.ground).not.toBe(before.ground)
    expect(after.picture.equals(before.picture)).toBe(false)
    await page.reload()
    expect(await background(page)).toBe(after.ground)
  })

  it.each(schemes)('every text can be read in the %s theme', async (colorScheme) => {
    for (const size of [desktop, phone]) {
      const { page } = await pages.open(html, { ...size, colorScheme })
      await cell(page, 'canary', 82).click()
      await cell(page, 'canary', 60).hover()
      const texts = await page.evaluate(textsOnScreen)
      expect(texts.length).toBeGreaterThan(200)
      const low = texts.flatMap(({ text, colour, ground }) => {
        const ratio = contrast(unit(colour), unit(ground))
        return ratio < 4.5 ? [`${text}: ${ratio.toFixed(2)}`] : []
      })
      expect(low).toEqual([])
    }
  })

  it.each([desktop, phone, { viewport: { width: 320, height: 640 } }])(
    'needs no sideways scrolling in %j',
    async (size) => {
      const { page } = await pages.open(many, size)
      expect(await overflow(page)).toBeLessThanOrEqual(0)
      await cell(page, 'canary', 82).click()
      expect(await overflow(page)).toBeLessThanOrEqual(0)
      expect(await cell(page, 'canary', 82).isVisible()).toBe(true)
    },
  )

  it('covers on a phone neither the pinned operation nor the rest for good', async () => {
    const { page } = await pages.open(html, { ...phone, hasTouch: true })
    const it = cell(page, 'canary', 84)
    await it.tap()
    const [sheet, box] = [await page.locator('#panel').boundingBox(), await it.boundingBox()]
    expect((box?.y ?? 0) + (box?.height ?? 0)).toBeLessThanOrEqual(sheet?.y ?? 0)
  })

  it('shows everything but the panel where scripts may not run', async () => {
    const { page } = await pages.open(html, { javaScriptEnabled: false })
    expect(await page.locator('.scenario:visible').count()).toBe(stories.length + 1)
    expect(await cell(page, 'update', 3).isVisible()).toBe(true)
    expect(await page.locator('#theme').isVisible()).toBe(false)
  })

  it('stays quick with ten stories of 400 operations', async () => {
    const big = Array.from({ length: 10 }, (_, at) =>
      sample({ scenario: `story-${at}`, pieces: 346, depth: 2 }),
    )
    const { page, complaints } = await pages.open(reportPage(big))
    await cell(page, 'story-0', 399).click()
    expect(await page.locator('#panel-title').textContent()).toBe('Operation 399')
    await page.locator('#tabs a').nth(9).click()
    await cell(page, 'story-9', 200).click()
    expect(await page.locator('#panel-title').textContent()).toBe('Operation 200')
    expect(complaints).toEqual([])
  })

  it('shows hostile texts as texts', async () => {
    const evil = '</script><img src=x onerror="alert(1)">'
    const it = sample({ pieces: 1 })
    const operations = it.operations.map((one) => ({ ...one, name: evil, phase: evil }))
    const { page, complaints, requests } = await pages.open(
      reportPage([{ ...it, scenario: evil, about: evil, operations }]),
    )
    await page.locator('.c').first().click()
    expect(await page.locator('#panel .name').textContent()).toBe(evil)
    expect(await page.locator('h2').first().textContent()).toBe(evil)
    expect(await page.locator('img').count()).toBe(0)
    expect({ complaints, requests: requests.length }).toEqual({ complaints: [], requests: 1 })
  })
})

function unit([r = 0, g = 0, b = 0]: readonly number[]): readonly [number, number, number] {
  return [r / 255, g / 255, b / 255]
}
