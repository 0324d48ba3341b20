/**
 * The kernel's record of a crash on its way: kept by the kernel until the hub has it.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { type Factory, makeFactory, minute, reported, scene } from './fixtures.ts'

let factory: Factory
beforeAll(async () => {
  factory = await makeFactory()
})

describe('what the kernel kept of a crash', () => {
  it('reaches the hub after a fallback, and is removed then', async () => {
    const at = await scene(factory)
    at.board.system.crash = 'Kernel panic'
    const seq = await at.assign(await at.release('2', 'hang'))
    expect(await reported(at, seq)).toMatchObject({ result: 'failed', evidence: { crash: 'Kernel panic' } })
    expect(at.board.system.crash).toBeNull()
  })

  it('stays while the hub is away', async () => {
    const at = await scene(factory)
    const seq = await at.assign(await at.release('2', 'hang'))
    await at.world.time.until(() => at.board.boots.length === 3, 60 * minute)
    at.board.system.crash = 'Kernel panic'
    at.world.net.broker.setUp(false)
    await at.world.time.pass(60 * minute)
    expect(at.board.boots.at(-1)).toBe('a')
    expect(at.board.system.crash).toBe('Kernel panic')
    await at.world.startHub()
    expect(await reported(at, seq)).toMatchObject({ result: 'failed', evidence: { crash: 'Kernel panic' } })
    expect(at.board.system.crash).toBeNull()
  })

  it('of a boot that was no update is left to the system', async () => {
    const at = await scene(factory)
    at.board.system.crash = 'Kernel panic'
    at.board.powerOff()
    await at.board.powerOn()
    await at.world.time.pass(60 * minute)
    expect(at.board.system.crash).toBe('Kernel panic')
  })
})
