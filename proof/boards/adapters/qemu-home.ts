/**
 * A directory with everything of one board in QEMU: keys, hub, two releases, disk and flash.
 * Promise: made once, and whole or not at all; started again it goes on where it was, with the same ports.
 * Leaves to others: showing it (../cli.ts).
 */
import { access, mkdir, readFile, writeFile } from 'node:fs/promises'
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

/** @throws EverbootError */
export async function openQemuHome(
  directory: string,
  children: Children,
  to: { readonly say: (line: string) => void; readonly onLine: (line: string) => void },
): Promise<QemuHome> {
  const home = resolve(directory)
  await mkdir(home, { recursive: true })
  const at = (name: string): string => join(home, name)
  const note = await readNote(at('home.json'))
  const keys = at('keys')
  if (note === null) {
    if (await there(keys))
      raise('EB-CONFLICT', `${home} holds keys, but no whole board`, { todo: 'choose another directory' })
    to.say('making keys and two releases')
    await createKeyDirectory(keys, [homeDevice])
    for (const version of [1, 2]) {
      const out = at(`v${version}.ebr`)
      await buildQemuRelease({ out, keys, version: `${version}`, securityVersion: version })
    }
  }
  const ports = note ?? { http: 0, mqtt: 0 }
  const desk = await openDesk({ directory: home, children, trust: join(keys, 'trust.json'), ports })
  try {
    const slotBytes = note?.slotBytes ?? (await makeBoard(home, desk))
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
    return { desk, board, again: note !== null, close }
  } catch (caught) {
    await desk.close()
    throw caught
  }
}

/** @returns bytes of a slot */
async function makeBoard(home: string, desk: Desk): Promise<number> {
  const at = (name: string): string => join(home, name)
  await desk.addDevice(homeDevice, at('device.json'))
  const board = await buildQemuBoard({
    directory: at('board'),
    release: at('v1.ebr'),
    keys: at('keys'),
    identity: await readIdentity(at('device.json')),
  })
  const slotBytes = board.layout.partitions.a.bytes
  const { url, mqtt } = desk.hub.file
  const note = { v: 1, http: Number(new URL(url).port), mqtt: Number(new URL(mqtt).port), slotBytes }
  await writeFile(at('home.json'), `${JSON.stringify(note, null, 2)}\n`)
  return slotBytes
}

async function readNote(path: string): Promise<v.InferOutput<typeof noteForm> | null> {
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
