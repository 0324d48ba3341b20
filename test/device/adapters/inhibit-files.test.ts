/**
 * Those who say "not now" as files: anybody's and ours.
 */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LogEvent } from '../../../core/ports.ts'
import { inhibitLimits } from '../../../core/service-limits.ts'
import { inhibitFiles } from '../../../device/adapters/inhibit-files.ts'
import { codeOf, type Workshop, workshop } from './real.ts'

let shop: Workshop
let log: LogEvent[]
let nowMs = 0
beforeEach(() => {
  shop = workshop()
  log = []
  nowMs = 0
})
afterEach(() => shop.close())
const files = (fallback: 'start' | 'activate' = 'activate') =>
  inhibitFiles(shop.path('inhibit'), fallback, { emit: (event) => void log.push(event) }, () => nowMs)

describe('the directory of inhibitors', () => {
  it('that is not there holds nothing; one that cannot be read is logged', async () => {
    expect(await files().list()).toEqual([])
    expect(log).toEqual([])
    writeFileSync(shop.path('inhibit'), '')
    expect(await files().list()).toEqual([])
    expect(log).toMatchObject([{ event: 'inhibitors not read' }])
  })

  it('holds by any file, whatever it says', async () => {
    mkdirSync(shop.path('inhibit/directory'), { recursive: true })
    writeFileSync(shop.path('inhibit/empty'), '')
    writeFileSync(shop.path('inhibit/text'), 'a film \u001b[1mruns\nmore')
    writeFileSync(shop.path('inhibit/json'), '{"why":7}')
    writeFileSync(shop.path('inhibit/.hidden'), '')
    const found = await files('start').list()
    expect(found.map((it) => [it.who, it.why]).sort()).toEqual([
      ['directory', 'it does not say why'],
      ['empty', 'it does not say why'],
      ['json', '{"why":7}'],
      ['text', 'a film ?[1mruns'],
    ])
    expect(found.every((it) => it.step === 'start' && it.untilMs === null)).toBe(true)
  })

  it('takes a lease and gives it back, also after a restart', async () => {
    const lease = { who: 'player', why: 'a film', step: 'start', untilMs: 5_000 } as const
    await files().hold(lease)
    expect(await files().list()).toEqual([lease])
    await files().hold({ ...lease, untilMs: 9_000 })
    expect(await files().list()).toEqual([{ ...lease, untilMs: 9_000 }])
    expect(await files().release('player')).toBe(true)
    expect(await files().release('player')).toBe(false)
    expect(await files().list()).toEqual([])
  })

  it('has room for so many, and gives the room of those that are over', async () => {
    for (let count = 0; count < inhibitLimits.holdersMax; count += 1) {
      await files().hold({ who: `p${count}`, why: '', step: 'activate', untilMs: 1_000 })
    }
    const one = { who: 'one-more', why: '', step: 'activate', untilMs: null } as const
    expect(await codeOf(() => files().hold(one))).toBe('EB-LIMIT')
    nowMs = 1_000
    expect(await codeOf(() => files().hold(one))).toBe('done')
    expect(readdirSync(shop.path('inhibit'))).toEqual(['one-more'])
  })

  it('takes no name that leads elsewhere', async () => {
    for (const who of ['', '..', '../x', 'a/b', 'x'.repeat(65)]) {
      expect(await codeOf(() => files().hold({ who, why: '', step: 'start', untilMs: null })), who).toBe(
        'EB-USAGE',
      )
      expect(await codeOf(() => files().release(who)), who).toBe('EB-USAGE')
    }
  })
})
