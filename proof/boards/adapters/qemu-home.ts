/**
 * A directory with everything of one board in QEMU: keys, hub, two releases, disk and flash.
 * Promise: made once, and whole or not at all; started again it goes on where it was, with the same ports.
 * Leaves to others: showing it (../cli.ts).
 */
import { access, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import * as v from 'valibot'
import { raise } from '../../../core/errors.ts'
import { sceneLimits } from '../../../core/limits.ts'
import type { Children } from '../../../demo/adapters/children.ts'
import { type Desk, openDesk } from '../../../demo/adapters/desk.ts'
import { buildQemuBoard } from '../../../images/boards/qemu-arm64/adapters/board.ts'
import { buildQemuRelease } from '../../../images/boards/qemu-arm64/adapters/release.ts'
import { layOutDisk } from '../../../images/boards/qemu-arm64/layout.ts'
import { createKeyDirectory } from '../../../keys/adapters/key-directory.ts'
import type { RealBoard } from '../real-board.ts'
import { openQemuBoard } from './qemu-board.ts'
import { readIdentity } from './workshop.ts'

export interface QemuHome {
  readonly desk: Desk
  readonly board: RealBoard
  /** True when it was there already. */
  readonly again: boolean
  close(): Promise<void>
}

export const homeDevice = 'board-1'

const port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535))
const noteForm = v.strictObject({
  v: v.literal(1),
  http: port,
  mqtt: port,
  slotBytes: v.pipe(v.number(), v.safeInteger()),
})
type Note = v.InferOutput<typeof noteForm>

/** @throws EverbootError */
export async function openQemuHome(
  directory: string,
  children: Children,
  to: { readonly say: (line: string) => void; readonly onLine: (line: string) => void },
): Promise<QemuHome> {
  const home = resolve(directory)
  await mkdir(home, { recursive: true })
  const at = (name: string): string => join(home, name)
  const old = await readNote(at('home.json'))
  const { http, mqtt, slotBytes } = old ?? (await makeHome(home, children, to.say))
  const desk = await openDesk({
    ...{ directory: home, children, trust: at('keys/trust.json') },
    ports: { http, mqtt },
  })
  try {
    const made = at('board')
    const board = await openQemuBoard({
      board: {
        directory: made,
        disk: join(made, 'disk.img'),
        flash0: join(made, 'flash0.img'),
        flash1: join(made, 'flash1.img'),
        layout: layOutDisk(slotBytes),
      },
      clock: 'wall',
      onLine: to.onLine,
      lifeMs: sceneLimits.homeLifeMs,
    })
    const close = async (): Promise<void> => {
      await board.close()
      await desk.close()
    }
    return { desk, board, again: old !== null, close }
  } catch (caught) {
    await desk.close()
    throw caught
  }
}

/** Everything that is made below the directory. */
const parts = ['keys', 'v1.ebr', 'v2.ebr', 'hub', 'device.json', 'board', 'home.json']

async function makeHome(home: string, children: Children, say: (line: string) => void): Promise<Note> {
  const at = (name: string): string => join(home, name)
  for (const name of parts) {
    if (await there(at(name)))
      raise('EB-CONFLICT', `${home} holds ${name}, but no whole board`, { todo: 'choose another directory' })
  }
  say('making keys and two releases')
  try {
    const keys = at('keys')
    await createKeyDirectory(keys, [homeDevice])
    for (const version of [1, 2]) {
      const out = at(`v${version}.ebr`)
      await buildQemuRelease({ out, keys, version: `${version}`, securityVersion: version })
    }
    const desk = await openDesk({ directory: home, children, trust: join(keys, 'trust.json') })
    try {
      return await makeBoard(home, desk)
    } finally {
      await desk.close()
    }
  } catch (caught) {
    // Half of it would be in the way of the next time.
    for (const name of parts) await rm(at(name), { recursive: true, force: true })
    throw caught
  }
}

async function makeBoard(home: string, desk: Desk): Promise<Note> {
  const at = (name: string): string => join(home, name)
  await desk.addDevice(homeDevice, at('device.json'))
  const board = await buildQemuBoard({
    directory: at('board'),
    release: at('v1.ebr'),
    keys: at('keys'),
    identity: await readIdentity(at('device.json')),
  })
  const { url, mqtt } = desk.hub.file
  const note: Note = {
    ...{ v: 1, http: Number(new URL(url).port), mqtt: Number(new URL(mqtt).port) },
    slotBytes: board.layout.partitions.a.bytes,
  }
  await writeFile(at('home.json'), `${JSON.stringify(note, null, 2)}\n`)
  return note
}

async function readNote(path: string): Promise<Note | null> {
  if (!(await there(path))) return null
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), noteForm), await readFile(path, 'utf8'))
  return parsed.success ? parsed.output : raise('EB-CONFIG', `${path} is not what qemu up wrote`)
}

async function there(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
