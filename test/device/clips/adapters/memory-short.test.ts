/**
 * What is read to know whether memory is short: a tree of files like the kernel's, and the kernel's own.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { memoryShort } from '../../../../device/clips/adapters/memory-short.ts'
import { type Workshop, workshop } from '../../adapters/real.ts'

let shop: Workshop
beforeEach(() => {
  shop = workshop()
})
afterEach(() => shop.close())

function write(name: string, text: string): void {
  mkdirSync(dirname(shop.path(name)), { recursive: true })
  writeFileSync(shop.path(name), text)
}

const calm = 'some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n'

it('finds the files of its own group, each time anew', async () => {
  write('proc/self/cgroup', '0::/system.slice/everboot.service\n')
  write('proc/pressure/memory', 'some avg10=90.00 avg60=0.00 avg300=0.00 total=0\n')
  write('proc/meminfo', 'MemTotal: 100 kB\nMemAvailable: 1 kB\n')
  const short = memoryShort({ proc: shop.path('proc'), groups: shop.path('cg') })
  expect(await short()).toBe(true)
  const own = 'cg/system.slice/everboot.service'
  write(`${own}/memory.pressure`, calm)
  expect(await short()).toBe(true)
  write(`${own}/memory.max`, '1000\n')
  write(`${own}/memory.current`, '500\n')
  expect(await short()).toBe(false)
  write(`${own}/memory.current`, '950\n')
  expect(await short()).toBe(true)
  write(`${own}/memory.stat`, 'inactive_file 100\n')
  expect(await short()).toBe(false)
  write(`${own}/memory.pressure`, 'some avg10=11.00 avg60=0.00 avg300=0.00 total=0\n')
  expect(await short()).toBe(true)
})

it('says no where nothing can be read, and answers on this machine', async () => {
  expect(await memoryShort({ proc: shop.path('none'), groups: shop.path('none') })()).toBe(false)
  expect(typeof (await memoryShort()())).toBe('boolean')
})
