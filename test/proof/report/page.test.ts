/** The page as text: what stands in it, that texts stay texts, how large it grows. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../../core/prng.ts'
import { reportPage } from '../../../proof/report/page.ts'
import { endings, type SweepResult, ways } from '../../../proof/sweep/result.ts'
import { broken, sample, samples } from './sample.ts'

const page = reportPage(samples())
const count = (text: string, part: string | RegExp): number => text.split(part).length - 1
const dataOf = (html: string) =>
  JSON.parse(/<script type="application\/json" id="data">(.*)<\/script>/.exec(html)?.[1] ?? 'null')

describe('the page', () => {
  it('is the same for the same results', () => {
    expect(reportPage(samples())).toBe(page)
  })

  it('has a section for each story and a cell for each operation', () => {
    expect(count(page, '<section class="scenario"')).toBe(samples().length)
    expect(count(page, '<button class="c')).toBe(samples().reduce((sum, it) => sum + it.operations.length, 0))
    for (const { scenario, about } of samples()) {
      expect(page).toContain(`id="${scenario}"`)
      expect(page).toContain(about)
    }
  })

  it('says in one sentence what was done and found', () => {
    const lede = /<p class="lede">(.*)<\/p>/.exec(page)?.[1]?.replace(/<[^>]+>/g, '')
    expect(lede).toBe(
      'In 6 stories a simulated board lost its power at 636 operations, and again while it recovered: before, ' +
        'inside and after each, with many a mix of what had not reached the disk. Of 12,228 crash states 11,292 ' +
        'were distinct, all 12,228 planned cuts came, the agent was killed 702 times besides, and no promise was broken, in 11 s.',
    )
  })

  it('explains every colour, every way to cut and every phase', () => {
    const legend = /<section id="legend".*?<\/section>/s.exec(page)?.[0] ?? ''
    for (const ending of endings) expect(legend).toContain(`swatch-${ending}`)
    for (const way of ways) expect(legend).toContain(`<b>${way}</b>`)
    for (const phase of ['boot', 'IDLE', 'DOWNLOADING', 'VERIFYING', 'APPLYING', 'REBOOTING', 'COMPLETE']) {
      expect(legend).toContain(`<b>${phase}</b>`)
    }
  })

  it('refers only to drawings that it has', () => {
    const references = new Set([...page.matchAll(/(?:href="|url\()#([\w-]+)/g)].map((it) => it[1]))
    expect(references.size).toBeGreaterThan(20)
    for (const id of references) expect(page).toContain(`id="${id}"`)
    const ids = [...page.matchAll(/ id="([^"]+)"/g)].map((it) => it[1])
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('has no address of anything outside, and lets only its own program and styles run', () => {
    expect(page).not.toMatch(/https?:|\/\/[a-z]|@import|\ssrc=|url\((?!#)/i)
    expect(page).not.toMatch(/\sstyle=|\son[a-z]+=/)
    expect(count(page, '<link')).toBe(1)
    const policy = /Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1] ?? ''
    expect(policy).toMatch(/^default-src 'none';/)
    for (const tag of ['style', 'script']) {
      const text = new RegExp(`<${tag}>(.*?)</${tag}>`, 's').exec(page)?.[1] ?? ''
      expect(text.length).toBeGreaterThan(100)
      const hash = createHash('sha256').update(text).digest('base64')
      expect(policy).toContain(`${tag}-src 'sha256-${hash}'`)
    }
  })
})

describe('a broken promise', () => {
  const bad = broken()
  const html = reportPage([...samples(), bad])

  it('stands in title, headline, banner, figures, tab, map and table', () => {
    const [first] = bad.violations
    const n = bad.violations.length
    expect(html).toMatch(new RegExp(`<title>✕ Everboot: ${n} broken promises in`))
    expect(html).toMatch(new RegExp(`<h1>${n} broken promises in [0-9,]+ power cuts</h1>`))
    expect(html).toContain('this must never happen')
    expect(html).toContain(`<b class="invariant">${first?.invariant}</b>${first?.what}`)
    expect(html).toContain(`data-copy="everboot emulator replay ${first?.replay}"`)
    expect(html).toContain(`<a href="#canary" class="broken">canary ✕ ${n}`)
    expect(count(html, '<button class="c bad"')).toBe(3)
    expect(html).toMatch(/<td class="is-violation">✕ 4<\/td>/)
    expect(html.indexOf('class="alarm"')).toBeLessThan(html.indexOf('class="tiles"'))
  })

  it('leads to its operation on the map', () => {
    const at = bad.operations.find((it) => it.cells.some((cell) => cell.endings.violation > 0))
    expect(html).toContain(`<a href="#canary:${at?.number}">cut at operation ${at?.number}, ${at?.name}</a>`)
  })

  it('is counted even when the list is too long to show', () => {
    const [first] = bad.violations
    const many = Array.from({ length: 1_234 }, () => first).filter((it) => it !== undefined)
    const long = reportPage([{ ...bad, violations: many }])
    expect(count(long, 'class="invariant"')).toBe(100)
    expect(long).toContain('and 1,134 more; the map marks where')
    expect(long).toContain('1,234 broken promises')
  })

  it('does not appear in a good page', () => {
    expect(page).not.toMatch(/class="alarm"|class="c bad|✕ /)
    expect(page).toContain('The power was cut 12,228 times. The board always came back.')
  })
})

describe('a page that proves less than it should', () => {
  it.each<readonly [string, readonly SweepResult[], RegExp]>([
    ['nothing was swept', [], /The power was never cut: nothing is shown/],
    [
      'a planned cut did not come',
      [{ ...sample(), fired: 7 }],
      /7 of 2,542 planned power cuts came: not everything/,
    ],
    [
      'an operation was never cut',
      [
        {
          ...sample(),
          operations: sample().operations.map((it, at) => (at === 3 ? { ...it, cells: [] } : it)),
        },
      ],
      /1 operation without a power cut: not everything/,
    ],
  ])('says so when %s', (_, results, words) => {
    const html = reportPage(results)
    expect(html).toMatch(words)
    expect(html).toContain('class="alarm"')
    expect(html).not.toContain('always came back')
  })
})

describe('texts', () => {
  const nasty = `</script><img src=x onerror="alert(1)"><!-- ' & \u2028 \u0000`
  const named = (text: string): SweepResult => {
    const { operations, ...rest } = sample({ pieces: 1 })
    const cells = (operations[0]?.cells ?? []).map((it) => ({ ...it, replay: text }))
    const violation = { invariant: text, what: text, atMs: 0, operation: 0, replay: text }
    return {
      ...rest,
      scenario: text,
      about: text,
      violations: [violation],
      operations: [{ number: 0, name: text, phase: text, atMs: 0, cells, deeper: null }],
    }
  }
  /** The page without its data, and the data. */
  const parts = (html: string): readonly [string, string] => {
    const [before = '', rest = ''] = html.split('<script type="application/json" id="data">')
    const end = rest.indexOf('</script>')
    return [before + rest.slice(end), rest.slice(0, end)]
  }
  const marks = (html: string): readonly number[] => [count(html, '<'), count(html, '>'), count(html, '"')]

  it('never become markup, whatever they are', () => {
    const [plain] = parts(reportPage([named('x'), named('x')]))
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string(),
      fc.constant(nasty),
      fc.constant('__proto__'),
    )
    fc.assert(
      fc.property(texts, (text) => {
        const [markup, data] = parts(reportPage([named(text), named(text)]))
        expect(marks(markup)).toEqual(marks(plain))
        expect(data).not.toContain('<')
      }),
      { numRuns: 50 },
    )
  })

  it('arrive whole where they are shown', () => {
    const html = reportPage([named(nasty)])
    expect(html).toContain(
      '&lt;/script&gt;&lt;img src=x onerror=&quot;alert(1)&quot;&gt;&lt;!-- &#39; &amp; \u2028 \ufffd',
    )
    expect(dataOf(html).scenarios[0].operations[0][1]).toBe(nasty)
  })
})

describe('ten stories of 400 operations', () => {
  const bytes = (html: string): number => Buffer.byteLength(html)

  it('fit in 2 MB', () => {
    const big = Array.from({ length: 10 }, (_, at) =>
      sample({ scenario: `story-${at}`, pieces: 346, depth: 2 }),
    )
    expect(big[0]?.operations.length).toBeGreaterThanOrEqual(400)
    expect(bytes(reportPage(big))).toBeLessThan(2_000_000)
  })

  it('fit in 2 MB also when no two operations look the same', () => {
    const random = seededRandom(1)
    const wild = Array.from({ length: 10 }, (_, at) => {
      const story = sample({ scenario: `story-${at}`, pieces: 344, depth: 2 })
      const operations = story.operations.map((it) => ({
        ...it,
        cells: ways.map((way) => ({
          way,
          states: 400,
          distinct: 300,
          endings: {
            old: random.below(100),
            new: random.below(100),
            otherwise: random.below(100),
            violation: it.number % 10 === 0 ? random.below(100) : 0,
          },
          replay: `story-${at}/${it.number}.${way}.1`,
        })),
      }))
      return { ...story, operations }
    })
    expect(bytes(reportPage(wild))).toBeLessThan(2_000_000)
  })
})
