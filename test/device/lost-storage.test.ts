/**
 * Storage that loses what it was given: a flush that fails and takes with it what was written, a data
 * partition that is gone.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { raise } from '../../core/errors.ts'
import { type Factory, holds, makeFactory, minute, name, reported, scene } from './fixtures.ts'

let factory: Factory
beforeAll(async () => {
  factory = await makeFactory({ pieces: 6 })
})

describe('a spare slot that loses what was written', () => {
  it('while readers go on seeing it is written anew by the next attempt, at any flush', async () => {
    for (const killed of [false, true]) {
      for (let n = 1; ; n += 1) {
        const at = await scene(factory, { quick: true })
        const { board, world } = at
        const v2 = await at.release('2', 'healthy', { pieces: 6 })
        let seen = 0
        board.slots.b.faults.flush = () => {
          seen += 1
          if (seen === n) raise('EB-SLOT-IO', 'planted')
        }
        const where = `flush ${n}${killed ? ', agent killed' : ''}`
        const first = await reported(at, await at.assign(v2))
        if (first.result === 'ok') {
          expect(n).toBeGreaterThan(3)
          break
        }
        expect(first.code, where).toBe('EB-SLOT-IO')
        if (killed) {
          board.killAgent()
          await world.time.pass(minute)
        }
        expect(await reported(at, await at.assign(v2)), where).toMatchObject({ result: 'ok' })
        expect(board.boots, where).toEqual(['a', 'b'])
        expect(holds(board, 'b', v2), where).toBe(true)
      }
    }
  }, 60_000)
})

describe('a data partition that is lost', () => {
  it('is a new life of the board to the hub, also when the power goes before its first word', async () => {
    for (let n = 0; n < 12; n += 1) {
      const at = await scene(factory, { quick: true })
      const { world, board } = at
      expect(await reported(at, await at.assign(await at.release('2', 'healthy')))).toMatchObject({
        result: 'ok',
      })
      board.powerOff()
      board.files.restore({ inodes: new Map(), names: new Map(), durable: new Map(), changes: [] })
      board.cutWhen(nthFileOrWord(n), 'after', 'kept')
      await board.powerOn()
      await world.time.pass(2 * minute)
      const device = world.hub().state().devices.get(name)
      expect(device?.reported, `cut ${n}`).toMatchObject({ bootId: board.bootId, state: 'IDLE', slot: 'b' })
      expect(device?.life.number, `cut ${n}`).toBe(2)
    }
  })

  /** Operations on files and messages to the hub. */
  function nthFileOrWord(n: number): (operation: string) => boolean {
    let seen = -1
    return (operation) => {
      if (/^(files|link) /.test(operation)) seen += 1
      return seen === n
    }
  }
})
