/**
 * Rule 7: the order of the durable steps of an installation, as the storage sees them.
 */
import { describe, expect, it } from 'vitest'
import { slotLimits } from '../../core/limits.ts'
import { decodeJournal } from '../../device/update/journal.ts'
import { sealOffset } from '../../images/release/slot-layout.ts'
import { makeFactory, reported, scene } from './fixtures.ts'

describe('an installation over a former release', () => {
  it('goes flush, record, seal wiped, pieces, tree, seal, journal, record; each flushed before the next', async () => {
    const at = await scene(await makeFactory())
    const { board } = at
    expect(await reported(at, await at.assign(await at.release('2', 'healthy')))).toMatchObject({
      result: 'ok',
    })
    const v3 = await at.release('3', 'healthy')
    const first = board.operations.length
    let last = 0
    board.onLog = ({ event }) => {
      if (event === 'reboot' && last === 0) last = board.operations.length
    }
    expect(await reported(at, await at.assign(v3))).toMatchObject({ result: 'ok' })
    const operations = board.operations.slice(first, last)
    const seal = sealOffset(board.slots.a.sizeBytes)
    const kinds: readonly (readonly [string, RegExp])[] = [
      ['record', /^boot write/],
      ['seal', new RegExp(`^slot a write ${seal}\\+`)],
      ['tree', new RegExp(`^slot a write ${v3.image.length}\\+`)],
      ['piece', /^slot a write/],
      ['slot flush', /^slot a flush/],
      ['record flush', /^boot flush/],
      ['journal', /^files syncDir/],
    ]
    const steps = operations.flatMap((name) => kinds.find(([, form]) => form.test(name))?.[0] ?? [])
    // Several pieces and marks in a row are one thing here.
    const order = steps.filter((it, index) => it !== steps[index - 1])
    const wanted =
      /^journal,slot flush,record,record flush,record,record flush,seal,slot flush,(piece,)+slot flush,journal,(piece,|slot flush,|journal,)*tree,slot flush,seal,slot flush,journal,record,record flush(,journal)?$/
    expect(order.join(',')).toMatch(wanted)
    expect(order.indexOf('tree')).toBeGreaterThan(order.lastIndexOf('piece'))
  })

  it('leaves no seal over bytes that are not those it vouches for, at any write', async () => {
    const at = await scene(await makeFactory())
    const { board } = at
    expect(await reported(at, await at.assign(await at.release('2', 'healthy')))).toMatchObject({
      result: 'ok',
    })
    const v3 = await at.release('3', 'healthy')
    const seal = sealOffset(board.slots.a.sizeBytes)
    let pieces = 0
    let sealed = 0
    board.slots.a.faults.write = (offset) => {
      if (offset < seal) {
        pieces += 1
        const area = board.slots.a.medium(seal, slotLimits.sealAreaBytes)
        expect(
          area.every((it) => it === 0),
          `write at ${offset}`,
        ).toBe(true)
      } else if (pieces > 0) {
        sealed += 1
        // The whole image is on the medium, not only in a cache, and the journal does not say "arming" yet.
        expect(Buffer.compare(board.slots.a.medium(0, v3.image.length), v3.image)).toBe(0)
        const journal = decodeJournal(board.files.content('journal') ?? new Uint8Array(0))
        expect(journal?.attempt?.phase).toBe('opened')
      }
    }
    expect(await reported(at, await at.assign(v3))).toMatchObject({ result: 'ok' })
    expect(pieces).toBeGreaterThan(10)
    expect(sealed).toBe(1)
  })
})
