/**
 * Facts about the machine.
 * Promise: nothing is written, made, opened for writing or loaded into the kernel.
 */
import { access, constants, readFile, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { BoardFacts, MachineFacts, PiFacts, Space } from '../facts.ts'
import { tools } from '../tools.ts'

/** Users' PATH often lacks these. */
const systemDirectories = ['/usr/local/sbin', '/usr/sbin', '/sbin']

export async function machineFacts(board: BoardFacts | null): Promise<MachineFacts> {
  const wallMs = Date.now()
  return {
    root: process.getuid?.() === 0,
    node: process.versions.node,
    system: `${process.platform} ${process.arch}`,
    loop: await loopFacts('/dev/loop-control'),
    tools: await toolsThere(),
    // A board's own place to be full is its data partition.
    space: board === null ? await spaceFacts([process.cwd(), tmpdir()]) : [],
    wallMs,
    wallText: new Date(wallMs).toISOString(),
    pi: await piFacts('/proc/device-tree'),
    board,
  }
}

/** @throws Error as the system says it */
export async function spaceOf(place: string): Promise<Space> {
  const { bavail, bsize } = await statfs(place)
  return { place, freeBytes: bavail * bsize }
}

async function spaceFacts(places: readonly string[]): Promise<readonly Space[]> {
  const found = await Promise.all([...new Set(places)].map((it) => spaceOf(it).catch(() => null)))
  return found.filter((it) => it !== null)
}

async function loopFacts(control: string): Promise<MachineFacts['loop']> {
  try {
    await access(control, constants.R_OK | constants.W_OK)
    return 'usable'
  } catch (caught) {
    return (caught as NodeJS.ErrnoException).code === 'ENOENT' ? 'absent' : 'denied'
  }
}

async function toolsThere(): Promise<readonly string[]> {
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((it) => it.startsWith('/'))
  const directories = [...path, ...systemDirectories]
  const found = await Promise.all(
    tools.map(async ({ name }) => {
      if (name.startsWith('/')) return isThere(name, constants.R_OK)
      const hits = await Promise.all(directories.map((it) => isThere(join(it, name), constants.X_OK)))
      return hits.includes(true)
    }),
  )
  return tools.flatMap(({ name }, index) => (found[index] === true ? [name] : []))
}

function isThere(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  )
}

/** @param tree `/proc/device-tree`. @returns null when this is no Raspberry Pi */
export async function piFacts(tree: string): Promise<PiFacts | null> {
  const model = (await property(tree, 'model'))?.toString('latin1').replace(/\0.*$/s, '')
  if (model === undefined || !model.startsWith('Raspberry Pi')) return null
  const place = join(tree, 'chosen', 'bootloader')
  const number = async (...names: readonly string[]): Promise<number | null> => {
    for (const name of names) {
      const bytes = await property(place, name)
      if (bytes !== null && bytes.length >= 4) return bytes.readUInt32BE(0)
    }
    return null
  }
  const built = await number('build-timestamp', 'build_timestamp')
  const capabilities = await number('capabilities')
  const partition = await number('partition')
  if (built === null && capabilities === null && partition === null) return { model, bootloader: null }
  const date = built === null ? null : new Date(built * 1000).toISOString().slice(0, 10)
  return { model, bootloader: { built: date, capabilities, tryboot: await number('tryboot'), partition } }
}

function property(place: string, name: string): Promise<Buffer | null> {
  return readFile(join(place, name)).catch(() => null)
}
