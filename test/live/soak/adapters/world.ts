/**
 * Everything that a soak strikes, real and in processes of its own: keys, releases, hub, line, ear, board.
 * Promise: when it is closed nothing of it runs, and its directory is gone unless it is to be kept.
 */
import { mkdtempSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BadLink, openLink } from '../../../../bootloader-sim/adapters/link.ts'
import { seededRandom } from '../../../../core/prng.ts'
import { children } from '../../../../demo/adapters/children.ts'
import { remains } from '../../../bootloader-sim/real-board.ts'
import type { Violation } from '../facts.ts'
import { soakLimits } from '../limits.ts'
import type { Sighting } from '../phases.ts'
import { releasePlans } from '../plan.ts'
import { SoakBoard } from './board.ts'
import { SoakHub } from './hub.ts'
import { entry } from './programs.ts'
import { type MadeRelease, makeRelease } from './releases.ts'
import { openTap, type Tap } from './tap.ts'
import type { Patience } from './wait.ts'

export const deviceId = 'board-1'

export interface WorldHost {
  readonly patience: Patience
  onSighting(it: Sighting): void
  /** Hub or board ended, and nobody had asked for it. */
  onLost(what: string): void
  /** What is being made. */
  onStep(what: string): void
}

export interface World {
  readonly directory: string
  readonly hub: SoakHub
  readonly board: SoakBoard
  readonly tap: Tap
  /** Those made so far, by id. */
  readonly releases: ReadonlyMap<string, MadeRelease>
  /** Makes and publishes a version when it is wanted for the first time; the hub must be there. */
  release(version: number): Promise<MadeRelease>
  /** Breaks every connection of the device, to hub and release server. */
  cutLink(): void
  restoreLink(): void
  /** Bytes over the line so far. */
  bytes(): number
  /** @returns what is wrong with the end */
  close(keep: boolean): Promise<readonly Violation[]>
}

/** The board is made, and off. @throws EverbootError, Interrupted */
export async function openWorld(host: WorldHost): Promise<World> {
  const directory = mkdtempSync(join(tmpdir(), 'everboot-soak-'))
  const undo: (() => Promise<void>)[] = [() => rm(directory, { recursive: true, force: true })]
  try {
    return await build(directory, host, undo)
  } catch (caught) {
    for (const step of undo.reverse()) await step()
    throw caught
  }
}

async function build(directory: string, host: WorldHost, undo: (() => Promise<void>)[]): Promise<World> {
  const at = (name: string): string => join(directory, name)
  const { run } = children(entry)
  host.onStep(`keys and hub in ${directory}`)
  await run(['keys', 'init', '--out', at('keys'), '--device', deviceId])
  const hub = new SoakHub({
    data: at('hub'),
    trust: at('keys/trust.json'),
    log: at('hub.log'),
    patience: host.patience,
    onLost: (how) => host.onLost(`the hub ended by itself: ${how}`),
  })
  undo.push(async () => void (await hub.end('SIGKILL')))
  await hub.start()
  const releases = new Map<string, MadeRelease>()
  const release = publisher(directory, host, releases)
  const factory = await release(releasePlans[0].version)
  const tap = await openTap(hub.data, hub.ports.mqtt)
  undo.push(() => tap.close())
  const links = [await lineTo(hub.ports.http), await lineTo(tap.port)] as const
  undo.push(async () => void (await Promise.all(links.map((it) => it.close()))))
  host.onStep('board')
  await run(['devices', 'add', deviceId, '--out', at('device.json'), '--hub', hub.data])
  await throughLinks(at('device.json'), links[0].port, links[1].port)
  const sources = ['--release', factory.file, '--keys', at('keys'), '--identity', at('device.json')]
  await run(['emulator', 'create', at('board'), ...sources, '--watchdog-ms', `${soakLimits.watchdogMs}`])
  const board = new SoakBoard({
    directory: at('board'),
    log: at('board.log'),
    patience: host.patience,
    onSighting: (it) => host.onSighting(it),
    onLost: (how) => host.onLost(`the board's program ended by itself: ${how}`),
  })
  return {
    ...{ directory, hub, board, tap, releases, release },
    cutLink: () => links.forEach((it) => void it.cut()),
    restoreLink: () => links.forEach((it) => void it.restore()),
    bytes: () => links.reduce((sum, it) => sum + it.counters().up + it.counters().down, 0),
    close: (keep) => close({ directory, hub, board, tap, links }, keep),
  }
}

/** @param made gets what is made, by id */
function publisher(
  directory: string,
  { onStep }: WorldHost,
  made: Map<string, MadeRelease>,
): World['release'] {
  const programs = children(entry)
  return async (version) => {
    const known = [...made.values()].find((it) => it.version === version)
    if (known !== undefined) return known
    const plan = releasePlans.find((it) => it.version === version)
    if (plan === undefined) throw new Error(`no plan of version ${version}`)
    onStep(`release ${version} (${plan.kind})`)
    const release = await makeRelease(programs, directory, deviceId, plan)
    await programs.run(['publish', release.file, '--hub', join(directory, 'hub')])
    made.set(release.id, release)
    return release
  }
}

function lineTo(port: number): Promise<BadLink> {
  return openLink({
    listenPort: 0,
    to: { host: '127.0.0.1', port },
    rate: soakLimits.linkBytesPerSecond,
    latencyMs: 0,
    cutShare: 0,
    random: seededRandom(1),
  })
}

/** The device reaches the hub through the lines. */
async function throughLinks(path: string, http: number, mqtt: number): Promise<void> {
  const identity = JSON.parse(await readFile(path, 'utf8')) as { http: string; mqtt: string }
  const bent = {
    http: identity.http.replace(/:\d+$/, `:${http}`),
    mqtt: identity.mqtt.replace(/:\d+$/, `:${mqtt}`),
  }
  await writeFile(path, JSON.stringify({ ...identity, ...bent }), { mode: 0o600 })
}

type Parts = Pick<World, 'directory' | 'hub' | 'board' | 'tap'> & { readonly links: readonly BadLink[] }

async function close(parts: Parts, keep: boolean): Promise<readonly Violation[]> {
  const { directory, hub, board, tap, links } = parts
  const faults: Violation[] = []
  await board.off('switch')
  const left = await board.left()
  const how = await hub.end('SIGTERM')
  if (!['status 0', 'did not run'].includes(how))
    faults.push({ rule: 'programs', what: `the hub ended with ${how}` })
  hub.close()
  for (const it of links) await it.close()
  await tap.close()
  for (const it of [...left, ...(await remains(directory))])
    faults.push({ rule: 'leak', what: `left at the end: ${it}` })
  if (!keep && faults.length === 0) await rm(directory, { recursive: true, force: true })
  return faults
}
