/**
 * One agent on a board, between real processes.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { lockInstance } from '../../../device/adapters/instance-lock.ts'
import { codeOf, type Workshop, workshop } from './real.ts'

let shop: Workshop
beforeEach(() => {
  shop = workshop()
})
afterEach(() => shop.close())

const module = new URL('../../../device/adapters/instance-lock.ts', import.meta.url)

/** Another process that holds the lock of a directory. */
async function holder(directory: string) {
  const program = `
    const { lockInstance } = await import(${JSON.stringify(module.href)})
    await lockInstance(${JSON.stringify(directory)})
    console.log('locked')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  return child
}

describe('the lock of a data directory', () => {
  it('refuses a second process, and goes with the first however it ends', async () => {
    const child = await holder(shop.directory)
    expect(await codeOf(() => lockInstance(shop.directory))).toBe('EB-AGENT-RUNNING')
    child.kill('SIGKILL')
    await once(child, 'exit')
    const unlock = await lockInstance(shop.directory)
    unlock()
  })

  it('refuses the same directory under another name, not another directory', async () => {
    mkdirSync(shop.path('a'))
    mkdirSync(shop.path('b'))
    shop.tool('ln', '-s', shop.path('a'), shop.path('link'))
    const unlock = await lockInstance(shop.path('a'))
    expect(await codeOf(() => lockInstance(shop.path('link')))).toBe('EB-AGENT-RUNNING')
    const other = await lockInstance(shop.path('b'))
    other()
    unlock()
  })

  it('can be taken again after it was let go', async () => {
    for (let times = 0; times < 3; times += 1) {
      const unlock = await lockInstance(shop.directory)
      unlock()
      await new Promise((resolve) => setImmediate(resolve))
    }
  })
})
