/**
 * The planted bugs: each of the lists is there, hits its place, takes effect, and leaves the update without
 * faults as it is. Only then does it count that the proof finds it.
 */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bug, type Ended, eachOf, endChildren, here, node, planting, root } from './children.ts'
import { notPlanted } from './planting.ts'
import { filesOf, type Plant, planted } from './plants/planted.ts'
import { listed, notYet, plantNamed, plants } from './plants.ts'

const textOf = (file: string): string => readFileSync(new URL(file, root), 'utf8')
afterAll(endChildren)

describe('the planted bugs', () => {
  it('have names of their own', () => {
    expect(new Set(plants.map((it) => it.name)).size).toBe(plants.length)
  })

  it.each(Object.entries(listed))(
    'are all of the list "%s", or stand among those not planted yet',
    (from, names) => {
      const own = plants.filter((it) => it.from === from).map((it) => it.name)
      const later = Object.keys(notYet).filter((it) => names.includes(it))
      expect([...own, ...later].sort()).toEqual([...names].sort())
    },
  )

  it('that are not planted yet are listed, with a reason', () => {
    const all = Object.values(listed).flat()
    for (const [name, reason] of Object.entries(notYet)) {
      expect(all).toContain(name)
      expect(reason.length).toBeGreaterThan(10)
    }
  })

  it.each(plants)('$name: each text stands once in its file, and says how it shows', (plant) => {
    for (const { file, find } of plant.edits) expect(textOf(file).split(find), find).toHaveLength(2)
    for (const file of filesOf(plant)) expect(planted(plant, file, textOf(file))).not.toBe(textOf(file))
    expect(plant.how).toMatch(/^[A-Z].{40,}\.$/)
  })

  it.each([
    { file: 'a.ts', find: 'no such text', replace: '' },
    { file: 'a.ts', find: 'twice', replace: 'once' },
    { file: 'a.ts', find: 'same', replace: 'same' },
  ])('whose text is not there exactly once, or stays, is refused: %j', (edit) => {
    expect(() => planted(bug(edit), 'a.ts', 'twice twice same')).toThrow('a bug of this test')
    expect(() => planted(bug(edit), 'b.ts', 'twice twice same')).not.toThrow()
  })

  it('are found by their names only', () => {
    expect(plantNamed('single record copy').from).toBe('faults')
    expect(() => plantNamed('no such bug')).toThrow('no such bug')
  })
})

describe('planting', () => {
  const units = new URL('core/units.ts', root).href
  const small = bug({
    file: 'core/units.ts',
    find: 'export const KiB = 1024',
    replace: 'export const KiB = 7',
  })
  const show = `console.log('KiB is', (await import(${JSON.stringify(units)})).KiB)`
  const inWorker = (options: string): string =>
    `const { Worker } = await import('node:worker_threads')
    const code = 'data:text/javascript,' + encodeURIComponent(${JSON.stringify(show)})
    new Worker(new URL(code), ${options})`
  const run = (plant: Plant, code: string): Promise<Ended> =>
    node(['--import', planting(plant), '--input-type=module', '--eval', code])

  it('changes the file as it is loaded', async () => {
    expect(await run(small, show)).toEqual({ status: 0, output: 'KiB is 7\n' })
  })

  it('works in worker threads, which inherit it, also when nothing else loads the file', async () => {
    expect(await run(small, inWorker('{}'))).toEqual({ status: 0, output: 'KiB is 7\n' })
  })

  it('that a worker does not inherit is a failure', async () => {
    const { status, output } = await run(small, inWorker('{ execArgv: [] }'))
    expect(output).toContain('KiB is 1024')
    expect(output).toContain('core/units.ts was not loaded')
    expect(status).toBe(notPlanted)
  })

  it('in a file that is never loaded is a failure, also when the program says that all is well', async () => {
    const { status, output } = await run(small, 'process.exit(0)')
    expect(output).toContain('core/units.ts was not loaded')
    expect(status).toBe(notPlanted)
  })

  it('of a text that is not there is a failure, also when the program catches it', async () => {
    const wrong = bug({ file: 'core/units.ts', find: 'no such text', replace: '' })
    const loud = await run(wrong, show)
    expect(loud.status).toBe(notPlanted)
    expect(loud.output).toContain('0 places in core/units.ts, not 1')
    expect((await run(wrong, `try { ${show} } catch {}`)).status).toBe(notPlanted)
  })

  it('of an unknown name ends the program before it begins', async () => {
    const { status, output } = await node(
      ['--import', here('plant.ts'), '--input-type=module', '--eval', 'console.log("begun")'],
      'no such bug',
    )
    expect(status).not.toBe(0)
    expect(output).toContain('there is no planted bug "no such bug"')
    expect(output).not.toContain('begun\n')
  })
})

describe('an update without faults', () => {
  let ends: ReadonlyMap<string, Ended>
  beforeAll(async () => {
    const names = ['', 'on tryboot', ...plants.map((it) => it.name)]
    const tryboot = ['on tryboot', ...plants.filter((it) => it.from === 'tryboot').map((it) => it.name)]
    ends = await eachOf(names, (name) => {
      const board = tryboot.includes(name) ? ['tryboot'] : []
      const plant = name === 'on tryboot' ? '' : name
      return node(['--import', here('plant.ts'), here('fault-free.ts'), ...board], plant)
    })
  }, 300_000)

  it.each(['', 'on tryboot'])('succeeds %s', (name) => {
    expect(ends.get(name)).toEqual({ status: 0, output: '' })
  })

  it.each(plants)('succeeds with the bug "$name" too', ({ name }) => {
    expect(ends.get(name)).toEqual({ status: 0, output: '' })
  })

  it.each([
    bug({ file: 'device/update/installer.ts', find: '  await boot.write(next)\n', replace: '' }),
    bug({ file: 'core/boot-partition.ts', find: '  await device.flush()\n', replace: '' }),
  ])('does not succeed with a bug that breaks it: %j', async (plant) => {
    const { status } = await node(['--import', planting(plant), here('fault-free.ts')])
    expect(status).not.toBe(0)
  })
})
