/**
 * Facts about the board that this machine is, by the configuration of its agent.
 * Promise: devices are opened for reading only; the watchdog is not opened at all, since that would start it.
 */
import { type FileHandle, open, readFile, realpath, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { alignedMemory } from '../../core/aligned-memory.ts'
import { readRecord, readStamp } from '../../core/boot-partition.ts'
import { fault, orThrow, raise } from '../../core/errors.ts'
import { doctorLimits } from '../../core/limits.ts'
import { slotIds } from '../../core/units.ts'
import { type DevicePath, openBlockDevice } from '../../device/adapters/block-device.ts'
import { askAgent } from '../../device/adapters/control-socket.ts'
import { readHandOver } from '../../device/adapters/hand-over.ts'
import { decodeIdentity, decodeSystemConfig, type Identity, type SystemConfig } from '../../device/config.ts'
import type { BoardFacts, BoardParts, Found, SlotFacts } from '../facts.ts'
import { askBroker, askHub } from './hub-facts.ts'
import { look } from './look.ts'
import { spaceOf } from './machine-facts.ts'

/** @param asked whether somebody named the file. @returns null when there is none and nobody did */
export async function boardFacts(path: string, asked: boolean): Promise<BoardFacts | null> {
  const there = await stat(path).then(
    () => true,
    (caught: NodeJS.ErrnoException) => caught.code !== 'ENOENT',
  )
  if (!there && !asked) return null
  const config = await look(path, async () => orThrow(decodeSystemConfig(await readSmall(path), path)))
  return { path, config, parts: config.kind === 'found' ? await boardParts(config.value) : null }
}

async function boardParts(config: SystemConfig): Promise<BoardParts> {
  const { watchdog, data, socket, handOver } = config
  const whole = await look(config.identity, () => readIdentity(config.identity))
  return {
    handOver: await look(handOver, () => readHandOver(handOver)),
    record: await look('the boot partition', () => recordOf(config.boot)),
    slots: await slotFacts(config),
    watchdog: watchdog === null ? null : await look(watchdog, () => watchdogOf(watchdog)),
    data: await look(data, () => spaceOf(data)),
    agent: await agentFacts(socket),
    identity: map(whole, ({ identity, mode }) => ({ deviceId: identity.deviceId, mode })),
    hub: whole.kind === 'found' ? await hubFacts(whole.value.identity) : null,
  }
}

async function readSmall(path: string): Promise<Uint8Array> {
  const { size } = await stat(path)
  if (size > doctorLimits.fileBytesMax) raise('EB-CONFIG', `${path} has ${size} bytes, which is too long`)
  return readFile(path)
}

async function readIdentity(path: string): Promise<{ identity: Identity; mode: number }> {
  const { mode } = await stat(path)
  return { identity: orThrow(decodeIdentity(await readSmall(path), path)), mode: mode & 0o777 }
}

async function recordOf(path: DevicePath): Promise<BoardParts['record'] extends Found<infer T> ? T : never> {
  const device = await openBlockDevice(path, 'read', alignedMemory())
  try {
    return { copies: await readRecord(device), stamp: await readStamp(device) }
  } finally {
    await device.close()
  }
}

async function slotFacts({ slots }: SystemConfig): Promise<readonly SlotFacts[]> {
  const mounted = await mountedDevices()
  const all = slotIds.flatMap((slot) =>
    Object.entries(slots[slot]).map(async ([partition, path]): Promise<SlotFacts> => {
      const bytes = await look(path.device, async () => {
        const device = await openBlockDevice(path, 'read', alignedMemory())
        await device.close()
        return device.sizeBytes
      })
      const number = await stat(path.device).then(
        (it) => (it.isBlockDevice() ? it.rdev : null),
        () => null,
      )
      const isMounted = number !== null && mounted.has(majorMinor(number))
      return { slot, partition, device: path.device, bytes, mounted: isMounted }
    }),
  )
  return Promise.all(all)
}

function majorMinor(rdev: number): string {
  return `${(rdev >>> 8) & 0xfff}:${(rdev & 0xff) | ((rdev >>> 12) & 0xfff00)}`
}

/** `major:minor` of each mounted device. */
async function mountedDevices(): Promise<ReadonlySet<string>> {
  const text = await readFile('/proc/self/mountinfo', 'latin1').catch(() => '')
  return new Set(text.split('\n').map((line) => line.split(' ')[2] ?? ''))
}

async function watchdogOf(path: string): Promise<string> {
  await stat(path)
  const name = basename(await realpath(path))
  const place = join('/sys/class/watchdog', name === 'watchdog' ? 'watchdog0' : name)
  const about = async (what: string): Promise<string> =>
    (await readFile(join(place, what), 'latin1').catch(() => '')).trim()
  const [identity, timeout] = [await about('identity'), await about('timeout')]
  return identity === '' ? path : `${path}: ${identity}, ${timeout} s`
}

async function agentFacts(socket: string): Promise<Found<string>> {
  const it = await look('the agent', async () => {
    // A connection that is refused for want of rights looks like an agent that is away.
    await reachable(socket)
    const { status, hubConnected } = await askAgent(socket, { op: 'status' })
    return `${status.state} in slot ${status.slot}, hub ${hubConnected ? 'connected' : 'not connected'}`
  })
  if (it.kind !== 'failed' || it.fault.code !== 'EB-FILE') return it
  return { kind: 'failed', fault: fault('EB-NO-AGENT', `there is no socket ${socket}`) }
}

async function reachable(socket: string): Promise<void> {
  let handle: FileHandle | null = null
  try {
    handle = await open(socket, 'r')
  } catch (caught) {
    // What a socket answers to those who may use it.
    if ((caught as NodeJS.ErrnoException).code !== 'ENXIO') throw caught
  } finally {
    await handle?.close()
  }
}

async function hubFacts(identity: Identity): Promise<BoardParts['hub']> {
  const [http, mqtt] = await Promise.all([
    look(identity.http, () => askHub(identity)),
    look(identity.mqtt, () => askBroker(identity)),
  ])
  return { http, mqtt }
}

function map<T, U>(it: Found<T>, change: (value: T) => U): Found<U> {
  return it.kind === 'found' ? { kind: 'found', value: change(it.value) } : it
}
