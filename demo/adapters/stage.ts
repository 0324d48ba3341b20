/**
 * The stage of the demonstration: keys, hub, a line that can be cut, an emulated board; all real.
 * Promise: everything is done by the commands that a user would type; what is looked at is what hub and
 * board say themselves.
 * Leaves to others: the story (story.ts) and what is shown (cli.ts).
 */
import { createHash } from 'node:crypto'
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { askBoard } from '../../bootloader-sim/adapters/control.ts'
import { type BadLink, openLink } from '../../bootloader-sim/adapters/link.ts'
import { boardPaths, decodeBoard } from '../../bootloader-sim/board-file.ts'
import { present } from '../../core/assert.ts'
import { raise } from '../../core/errors.ts'
import { seededRandom } from '../../core/prng.ts'
import { MiB, type SlotId } from '../../core/units.ts'
import type { UpdateState } from '../../core/wire/messages.ts'
import type { HubClient } from '../../hub/adapters/api-client.ts'
import type { Sent } from '../chapter.ts'
import type { Children, Service } from './children.ts'
import { type DeviceView, openDesk, until } from './desk.ts'

export const deviceId = 'board-1'

/** How a version is made. */
export interface Recipe {
  readonly version: number
  readonly flags: readonly string[]
}

/** What the board says of itself. */
export interface BoardStatus {
  readonly boot: number
  readonly slot: SlotId
  readonly version: string | null
  readonly mode: string
  readonly why: string | null
  readonly processes: Readonly<Record<'agent' | 'service', ExecutableFacts | null>>
  readonly record: unknown
}

export interface ExecutableFacts {
  readonly pid: number
  readonly executable: string
  readonly device: string
  readonly sha256: string
  readonly inSlot: boolean
}

export interface Stage {
  readonly directory: string
  readonly hub: HubClient
  readonly link: BadLink
  /** Builds a release; asked again it gives the same one. @returns path of the `.ebr` */
  build(recipe: Recipe): Promise<string>
  /** @returns the release id */
  publish(file: string): Promise<string>
  rollOut(release: string): Promise<void>
  command(args: readonly string[]): Promise<Record<string, unknown>>
  board(): Promise<BoardStatus>
  /** Kills the agent (SIGKILL), as `everboot emulator kill` does. */
  killAgent(): Promise<void>
  /** Presses the reset button, as `everboot emulator reset` does. */
  reset(): Promise<void>
  device(): Promise<DeviceView>
  /** Requests of release files so far. */
  readonly sent: readonly Sent[]
  /** States and boots so far, from the board's console. */
  readonly states: readonly UpdateState[]
  readonly boots: readonly SlotId[]
  /** SHA-256 of a whole slot on the disk. */
  slotHash(slot: SlotId): Promise<string>
  close(): Promise<void>
}

export interface StageOptions {
  /** Empty. */
  readonly directory: string
  readonly children: Children
  /** Without loop devices. */
  readonly plain: boolean
  /** Bytes per second from the hub to the board; null: as fast as it goes. */
  readonly rate: number | null
  /** Given each line of the board's console. */
  readonly onConsole: (line: string) => void
  /** May change the root directory of a system before it becomes an image. */
  readonly prepareRoot?: (directory: string) => Promise<void>
}

export async function openStage(options: StageOptions): Promise<Stage> {
  const { directory, children } = options
  const everboot = (args: readonly string[]) => children.run(args)
  const at = (name: string): string => join(directory, name)
  const services: Service[] = []
  const log: { sent: Sent[]; states: UpdateState[]; boots: SlotId[] } = { sent: [], states: [], boots: [] }
  await everboot(['keys', 'init', '--out', at('keys'), '--device', deviceId])
  await everboot(['keys', 'init', '--out', at('stranger-keys'), '--device', deviceId])
  await writeFile(
    at('hub-trust.json'),
    await bothTrusts(at('keys/trust.json'), at('stranger-keys/trust.json')),
  )
  const build = builder(options)
  const factory = build({ version: 1, flags: [] })
  const desk = await openDesk({
    directory,
    children,
    trust: at('hub-trust.json'),
    onSent: (it) => log.sent.push(it),
  })
  const { hub } = desk
  const httpLink = await bendTo(hub.file.url, options.rate)
  const mqttLink = await bendTo(hub.file.mqtt, null)
  const links = [httpLink, mqttLink]
  await desk.addDevice(deviceId, at('device.json'))
  await throughLinks(at('device.json'), httpLink.port, mqttLink.port)
  const boardArgs = ['--release', await factory, '--keys', at('keys'), '--identity', at('device.json')]
  await everboot(['emulator', 'create', at('board'), ...boardArgs, '--watchdog-ms', '4000'])
  services.push(startBoard(options, log))
  const socket = at(join('board', boardPaths.socket))
  await until(
    'the board answers',
    async () => (await askBoard(socket, { do: 'status' }).catch(() => null)) !== null,
  )
  return {
    directory,
    hub,
    link: both(links),
    build,
    command: everboot,
    publish: desk.publish,
    rollOut: (release) => desk.rollOut(release, deviceId),
    board: async () => (await askBoard(socket, { do: 'status' })) as unknown as BoardStatus,
    async killAgent() {
      await askBoard(socket, { do: 'kill', program: 'agent' })
    },
    async reset() {
      await askBoard(socket, { do: 'reset' })
    },
    device: () => desk.device(deviceId),
    sent: log.sent,
    states: log.states,
    boots: log.boots,
    slotHash: (slot) => slotHash(at('board'), slot),
    async close() {
      for (const it of services.toReversed()) await it.stop()
      await desk.close()
      for (const it of links) await it.close()
    },
  }
}

/** Makes root directory and release of a version; each only once, one after the other. */
function builder({ directory, children, prepareRoot }: StageOptions): (recipe: Recipe) => Promise<string> {
  const made = new Map<number, Promise<string>>()
  let tail: Promise<unknown> = Promise.resolve()
  const make = async ({ version, flags }: Recipe): Promise<string> => {
    const root = join(directory, `root-${version}`)
    const file = join(directory, `v${version}.ebr`)
    const keys = join(directory, 'keys')
    const common = ['--board', 'sim', '--version', `${version}`, '--trust', join(keys, 'trust.json')]
    const timing = ['--health-ms', '6000', '--reboot-ms', '500']
    await children.run(['image', 'rootfs', '--out', root, ...common, ...timing, ...flags])
    await prepareRoot?.(root)
    const what = ['--product', 'demo', '--version', `${version}`, '--security-version', `${version}`]
    const device = ['--hardware', 'sim', '--device', deviceId]
    await children.run([
      'image',
      'build',
      root,
      '--out',
      file,
      '--keys',
      keys,
      '--level',
      '1',
      ...what,
      ...device,
    ])
    return file
  }
  return (recipe) => {
    const known = made.get(recipe.version)
    if (known !== undefined) return known
    const making = tail.then(() => make(recipe))
    tail = making.catch(() => {})
    made.set(recipe.version, making)
    return making
  }
}

function startBoard(
  { directory, children, plain, onConsole }: StageOptions,
  log: { states: UpdateState[]; boots: SlotId[] },
): Service {
  const args = ['emulator', 'run', join(directory, 'board'), '--tied', ...(plain ? ['--plain'] : [])]
  return children.service(args, (line) => {
    onConsole(line)
    const boot = /board: handover slot=([ab])/.exec(line)?.[1]
    if (boot === 'a' || boot === 'b') log.boots.push(boot)
    const state = /"event":"update","from":"[A-Z]+","on":"[^"]+","to":"([A-Z]+)"/.exec(line)?.[1]
    if (state !== undefined && state !== log.states.at(-1)) log.states.push(state as UpdateState)
  })
}

function bendTo(url: string, rate: number | null): Promise<BadLink> {
  const { hostname, port } = new URL(url)
  return openLink({
    listenPort: 0,
    to: { host: hostname, port: Number(port) },
    rate,
    latencyMs: 0,
    cutShare: 0,
    random: seededRandom(1),
  })
}

function both(links: readonly BadLink[]): BadLink {
  const [first] = links
  return {
    ...present(first, 'a link'),
    cut: () => links.forEach((it) => void it.cut()),
    restore: () => links.forEach((it) => void it.restore()),
  }
}

/** The device reaches the hub through the links. */
async function throughLinks(path: string, http: number, mqtt: number): Promise<void> {
  const identity = JSON.parse(await readFile(path, 'utf8')) as { http: string; mqtt: string }
  const changed = {
    ...identity,
    http: identity.http.replace(/:\d+$/, `:${http}`),
    mqtt: identity.mqtt.replace(/:\d+$/, `:${mqtt}`),
  }
  await writeFile(path, JSON.stringify(changed), { mode: 0o600 })
}

/** A hub that somebody has taken over takes releases of a stranger too; devices do not. */
async function bothTrusts(own: string, strangers: string): Promise<string> {
  const [mine, theirs] = [own, strangers].map((it) => JSON.parse(readFileSync(it, 'utf8')))
  const merged = { ...mine.release, keys: { ...mine.release.keys, ...theirs.release.keys } }
  const seal = { ...mine.seal, keys: { ...mine.seal.keys, ...theirs.seal.keys } }
  return JSON.stringify({ ...mine, release: merged, seal })
}

async function slotHash(board: string, slot: SlotId): Promise<string> {
  const decoded = decodeBoard(await readFile(join(board, boardPaths.board), 'utf8'), board)
  if (!decoded.ok) raise(decoded.error.code, decoded.error.what)
  const { offset, bytes } = decoded.value.partitions[slot]
  const disk = openSync(join(board, boardPaths.disk), 'r')
  const hash = createHash('sha256')
  const buffer = Buffer.alloc(MiB)
  for (let at = 0; at < bytes; at += buffer.length)
    hash.update(buffer.subarray(0, readSync(disk, buffer, 0, buffer.length, offset + at)))
  closeSync(disk)
  return hash.digest('hex')
}
