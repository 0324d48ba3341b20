/**
 * A clip cache that is closed while clips come.
 */
import { afterEach, beforeEach, expect, it } from 'vitest'
import { servingLimits } from '../../../core/clip-limits.ts'
import { faultOf } from '../../../core/errors.ts'
import { type Workshop, workshop } from '../adapters/real.ts'
import { openCache, wav } from './serving.ts'

let shop: Workshop
beforeEach(() => {
  shop = workshop()
})
afterEach(() => shop.close())

it('gives up what it fetches and what waits, tells who listens, and leaves a store that opens again', async () => {
  const cache = await openCache(shop.path('clips'))
  const names = Array.from({ length: 3 * servingLimits.fetchesMax }, (_, n) => `clip${n}`)
  cache.hub.bend = (_, answer) => {
    answer.stallAfter = answer.body.length > 90_000 ? 70_000 : null
  }
  await cache.publish('weather', Object.fromEntries(names.map((name) => [name, wav(name, 100_000)])))
  const listened = names.map(async (name) => {
    const playable = await cache.service.get(name)
    const parts = []
    for await (const part of playable.read(0, playable.bytes)) parts.push(part)
    return Buffer.concat(parts).length
  })
  const outcomes = Promise.allSettled(listened)
  await new Promise((resolve) => setTimeout(resolve, 100))
  await cache.close()
  for (const it of await outcomes) {
    expect(it.status === 'rejected' ? faultOf(it.reason).code : it.value).toBe('EB-CANCELLED')
  }
  const again = await openCache(shop.path('clips'))
  expect([...again.service.list()]).toEqual([])
  await again.close()
})
