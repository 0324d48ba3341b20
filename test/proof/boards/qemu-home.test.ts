/** The directory of a QEMU board: what was there is left alone. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { faultOf } from '../../../core/errors.ts'
import { openQemuHome } from '../../../proof/boards/adapters/qemu-home.ts'

let room = ''
beforeEach(async () => {
  room = await mkdtemp(join(tmpdir(), 'everboot-home-'))
})
afterEach(() => rm(room, { recursive: true, force: true }))

const never = (): never => {
  throw new Error('nothing may be started')
}
const open = () =>
  openQemuHome(room, { run: never, service: never }, { say: () => {}, onLine: () => {} }).then(
    () => 'opened',
    (caught: unknown) => faultOf(caught).code,
  )

it.each(['keys', 'hub', 'board', 'v2.ebr'])('is not made around somebody’s %s', async (name) => {
  await mkdir(join(room, name))
  expect(await open()).toBe('EB-CONFLICT')
  expect(await readdir(room)).toEqual([name])
})

it('that says something else of itself is refused', async () => {
  for (const text of ['{', '{"v":2}', '{"v":1,"http":0,"mqtt":1,"slotBytes":1}']) {
    await writeFile(join(room, 'home.json'), text)
    expect(await open()).toBe('EB-CONFIG')
  }
})
