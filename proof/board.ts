/**
 * Makes a simulated board: the real bootloader and the real agent (by its factory) over strict devices, in
 * virtual time.
 * Promise: a reset or a kill leaves every port of the old graph unanswered for ever; a boot is a new graph
 * over the bytes that are left; a loss of power leaves to fate what was not flushed.
 * Leaves to others: hub and network (world.ts), what is on the disks (board-storage.ts), its life (board-life.ts).
 */
import { createHash } from 'node:crypto'
import { createPower } from '../bootloader-sim/devices/power.ts'
import type { AgentSettings } from '../device/settings.ts'
import {
  type BoardImage,
  type BoardOptions,
  type BoardWorld,
  type SimBoard,
  trybootPartitions,
} from './board-facts.ts'
import { Board } from './board-life.ts'
import { createStorage, writeFactory } from './board-storage.ts'
import type { MadeRelease } from './publisher.ts'

/** @param from the release that the factory wrote, or what another board left behind */
export async function createBoard(
  id: string,
  from: { readonly factory: MadeRelease } | { readonly image: BoardImage },
  world: BoardWorld,
  options: BoardOptions = {},
): Promise<SimBoard> {
  const power = createPower()
  const settings = settingsOf(id, world, options)
  const storage = createStorage(
    {
      partitions: settings.partitions,
      slotBytes: options.slotBytes ?? 256 * 1024,
      sectorBytes: options.sectorBytes ?? 4096,
      allocate: world.allocate,
      tryboot: options.loader === 'tryboot',
    },
    power,
  )
  if ('image' in from) storage.restore(from.image.storage)
  else await writeFactory(storage, from.factory)
  return new Board(
    id,
    world,
    settings,
    storage,
    power,
    'image' in from ? from.image : null,
    options.loader ?? 'verifying',
  )
}

function settingsOf(
  id: string,
  { publisher, agentVerify }: BoardWorld,
  options: BoardOptions,
): AgentSettings {
  return {
    deviceId: id,
    product: 'demo',
    hubUrl: 'https://hub',
    trust: publisher.trust,
    verify: agentVerify,
    wrappingKey: createHash('sha256').update(`key of ${id}`).digest(),
    partitions: ['rootfs'],
    health: {
      checks: [{ name: 'service', probe: 'unix:/run/service.sock:/health' }],
      deadlineMs: 30_000,
      networkDeadlineMs: 900_000,
    },
    rebootDelayMs: 5_000,
    tryboot: options.loader === 'tryboot' ? { partitions: trybootPartitions } : undefined,
    ...options.settings,
  }
}
