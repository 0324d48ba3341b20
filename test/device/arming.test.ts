/**
 * The write that arms the new system, on a boot partition that fails just then: the verdict of the hub must be
 * what the board does afterwards.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { raise } from '../../core/errors.ts'
import { type Factory, makeFactory, minute, reported, type Scene, scene } from './fixtures.ts'

let factory: Factory
beforeAll(async () => {
  factory = await makeFactory({ pieces: 6 })
})

/** From the arming write on, `fails` says which reads of the boot partition fail. */
function failReads({ board }: Scene, fails: (reads: number) => boolean): void {
  let armed = false
  let reads = 0
  board.power.onBegin = (name) => {
    const applying = board.log.some((it) => it.event === 'update' && it['to'] === 'APPLYING')
    if (applying && name.startsWith('boot write')) armed = true
  }
  board.bootDisk.faults.read = () => {
    if (!armed) return undefined
    reads += 1
    return fails(reads) ? raise('EB-SLOT-IO', 'planted') : undefined
  }
}

describe('the arming write', () => {
  it('that is on the medium but cannot be read back is taken back, so that "failed" stays true', async () => {
    const at = await scene(factory, { quick: true })
    failReads(at, (reads) => reads <= 3)
    const seq = await at.assign(await at.release('2', 'healthy'))
    expect(await reported(at, seq)).toMatchObject({ result: 'failed' })
    expect(await at.board.record()).toMatchObject({ priority: 'a', b: { ok: false, tries: 0 } })
    at.board.powerOff()
    await at.board.powerOn()
    await at.world.time.pass(5 * minute)
    expect(at.board.boots).toEqual(['a', 'a'])
  })

  it('that cannot be taken back either leaves the attempt open: the next start reads the record and decides', async () => {
    const at = await scene(factory, { quick: true })
    let restarted = false
    failReads(at, () => !restarted)
    at.board.onLog = (event) => {
      if (event.event === 'agent ended') restarted = true
    }
    const seq = await at.assign(await at.release('2', 'healthy'))
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
    expect(at.board.boots.at(-1)).toBe('b')
    expect(await at.board.record()).toMatchObject({ priority: 'b', b: { ok: true } })
  })

  it('after which another release is wished: its slot is cleared whatever memory says', async () => {
    const at = await scene(factory, { quick: true })
    failReads(at, (reads) => reads <= 3)
    const first = await at.assign(await at.release('2', 'healthy'))
    expect(await reported(at, first)).toMatchObject({ result: 'failed' })
    const second = await at.assign(await at.release('3', 'healthy'))
    expect(await reported(at, second)).toMatchObject({ result: 'ok' })
    expect(at.board.boots).toEqual(['a', 'b'])
  })
})
