/**
 * What the kernel kept of crashes, in a directory that stands for /sys/fs/pstore.
 */
import { existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { wireLimits } from '../../../core/limits.ts'
import { crashLimits } from '../../../core/service-limits.ts'
import { pstore } from '../../../device/adapters/pstore.ts'
import { type Workshop, workshop } from './real.ts'

let shop: Workshop
beforeEach(() => {
  shop = workshop()
})
afterEach(() => shop.close())

function entry(name: string, text: string, atSeconds: number): string {
  const path = shop.path(name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  utimesSync(path, atSeconds, atSeconds)
  return path
}

describe('the records of crashes', () => {
  it('are read newest first, also where systemd has moved them, and the unreadable left out', async () => {
    entry('pstore/dmesg-ramoops-0', 'Kernel panic\u0000 - not syncing', 100)
    entry('pstore/console-ramoops-0', 'console', 200)
    entry('pstore/dmesg-ramoops-1.enc.z', 'packed', 300)
    entry('moved/1700000000/001/dmesg.txt', 'older panic', 50)
    const text = await pstore([shop.path('pstore'), shop.path('moved'), shop.path('none')]).read()
    expect(text).toBe(
      [
        `--- ${shop.path('pstore/console-ramoops-0')} (7 bytes, 200000) ---`,
        'console',
        `--- ${shop.path('pstore/dmesg-ramoops-0')} (27 bytes, 100000) ---`,
        'Kernel panic? - not syncing',
        `--- ${shop.path('moved/1700000000/001/dmesg.txt')} (11 bytes, 50000) ---`,
        'older panic',
        '',
      ].join('\n'),
    )
  })

  it('are nothing where there are none', async () => {
    expect(await pstore([]).read()).toBeNull()
    expect(await pstore([shop.path('none')]).read()).toBeNull()
    mkdirSync(shop.path('pstore'))
    expect(await pstore([shop.path('pstore')]).read()).toBeNull()
  })

  it('are bounded: the end of each, the newest of many, all within the limit of the wire', async () => {
    for (let count = 0; count < 40; count += 1)
      entry(`pstore/dmesg-${count}`, `${'x'.repeat(20_000)}end ${count}`, count)
    const store = pstore([shop.path('pstore')])
    const text = (await store.read()) ?? ''
    expect(text.length).toBeLessThanOrEqual(wireLimits.evidenceBytesMax)
    expect(text.length).toBeGreaterThan(wireLimits.evidenceBytesMax - 2 * crashLimits.entryBytesMax)
    expect(text).toContain('end 39\n')
    expect(text).toContain('end 38\n')
    expect(text).not.toContain('end 30\n')
  })

  it('are removed when the hub has them, and only those that it has', async () => {
    const old = entry('pstore/dmesg-0', 'old', 1)
    const other = entry('pstore/dmesg-1', 'other', 2)
    const outside = entry('outside', 'x', 3)
    const store = pstore([shop.path('pstore')])
    const text = `${(await store.read()) ?? ''}--- ${outside} (1 bytes, 3000) ---\n--- ../outside (1 bytes, 3000) ---\n`
    // A crash of a later boot under the same name, of which the hub knows nothing.
    entry('pstore/dmesg-1', 'later', 9)
    const later = entry('pstore/dmesg-2', 'later', 9)
    await store.forget(text)
    expect([old, other, later, outside].map((it) => existsSync(it))).toEqual([false, true, true, true])
    await store.forget('')
    expect(existsSync(other)).toBe(true)
  })
})
