/**
 * A board whose slots hold whole Debian systems. The real boot decision chooses the slot; systemd-nspawn is the machine
 * that starts it, read-only, with loop devices for slots and record and with `/data`. And a hub, as its own process.
 * Promise: slots, record and data partition outlive every boot; nothing else does, and nothing outlives `close`.
 * Leaves to others: releases and the factory (debian-factory.ts), what is in them (the test).
 */
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openFileDevice } from '../../bootloader-sim/adapters/file-device.ts'
import { attachLoop, type Loop } from '../../bootloader-sim/adapters/loop.ts'
import { boot } from '../../bootloader-sim/bootloader.ts'
import type { Firmware } from '../../bootloader-sim/verified-slot.ts'
import { currentRecord, readRecord, recordText } from '../../core/boot-partition.ts'
import { bootPartition } from '../../core/boot-record.ts'
import type { BlockDevice, Disks } from '../../core/ports.ts'
import { MiB, roundUp, type SlotId } from '../../core/units.ts'
import { children } from '../../demo/adapters/children.ts'
import { type Desk, openDesk } from '../../demo/adapters/desk.ts'
import { systemEntropy } from '../../device/adapters/chance.ts'
import type { BuiltRelease } from '../../images/build/adapters/build-release.ts'
import { createKeyDirectory, keyDirectory } from '../../keys/adapters/key-directory.ts'
import { verifyEd25519 } from '../../keys/verify-node.ts'
import { entry } from '../hub/hub-process.ts'
import { deviceId, hardware, imageName, product, slotBytesOf, writeFactory } from './debian-factory.ts'
import { type RunningSystem, startSystem, tool } from './debian-system.ts'

/** Where the hand-over lies for the agent: the kernel command line is the host's. */
export const handOverPath = '/boot/hand-over'

/** How much larger than the factory's image a later one may be. */
const spareBytes = 4 * MiB

const names = ['boot', 'a', 'b'] as const
type Name = (typeof names)[number]
/** The partitions as the agent knows them. */
const nodes: Readonly<Record<Name, string>> = {
  boot: '/dev/everboot/boot',
  a: '/dev/everboot/slot-a',
  b: '/dev/everboot/slot-b',
}

/** The part of the agent's configuration that is about the board. */
export const boardSettings = {
  product,
  hardware: [hardware],
  handOver: handOverPath,
  boot: { device: nodes.boot },
  slots: { a: { [imageName]: { device: nodes.a } }, b: { [imageName]: { device: nodes.b } } },
}

export interface DebianBoard {
  readonly desk: Desk
  /** Directory of the publisher's keys. */
  readonly keys: string
  /** Slots that were booted, in their order. */
  readonly boots: readonly SlotId[]
  /** Gives it its partitions and its identity; slot a holds the release. */
  leaveFactory(release: BuiltRelease): Promise<void>
  /** What the bootloader does. The system may still be starting. */
  powerOn(): Promise<RunningSystem>
  /** Waits until the boot is over, and all of it is gone. @returns status of systemd-nspawn */
  ended(): Promise<number | null>
  record(): Promise<string>
  close(): Promise<void>
}

/** @param room directory for everything of it */
export async function openDebianBoard(room: string): Promise<DebianBoard> {
  const keys = join(room, 'keys')
  await createKeyDirectory(keys, [deviceId])
  for (const it of ['partitions', 'booted', 'data/everboot']) mkdirSync(join(room, it), { recursive: true })
  const trust = await keyDirectory(keys).trust()
  const firmware = {
    looks: 'verify',
    sealKeys: trust.seal,
    verify: verifyEd25519,
    sealImage: imageName,
  } as const
  const desk = await openDesk({ directory: room, children: children(entry), trust: join(keys, 'trust.json') })
  return new Board(room, keys, firmware, desk)
}

class Board implements DebianBoard {
  readonly desk: Desk
  readonly keys: string
  readonly boots: SlotId[] = []
  readonly #room: string
  readonly #firmware: Firmware
  #running: RunningSystem | null = null
  #over: Promise<number | null> = Promise.resolve(null)
  readonly #loops: Loop[] = []
  #mounted = false

  constructor(room: string, keys: string, firmware: Firmware, desk: Desk) {
    this.#room = room
    this.keys = keys
    this.#firmware = firmware
    this.desk = desk
  }

  async leaveFactory(release: BuiltRelease): Promise<void> {
    const slotBytes = roundUp(slotBytesOf(release), MiB) + spareBytes
    for (const name of names) {
      await writeFile(this.#file(name), '')
      await truncate(this.#file(name), name === 'boot' ? bootPartition.bytesMin : slotBytes)
    }
    const [slot, record] = [await this.#open('a', 'write'), await this.#open('boot', 'write')]
    await writeFactory(release, this.keys, slot, record)
    await slot.close()
    await record.close()
    await this.desk.addDevice(deviceId, this.#at('device.json'))
    const identity = JSON.parse(await readFile(this.#at('device.json'), 'utf8'))
    const wrappingKey = Buffer.from(await keyDirectory(this.keys).wrappingKey(deviceId)).toString('hex')
    const whole = JSON.stringify({ ...identity, wrappingKey })
    await writeFile(this.#at('data/everboot/device.json'), whole, { mode: 0o600 })
  }

  async powerOn(): Promise<RunningSystem> {
    const disks: Disks = {
      openBoot: () => this.#open('boot', 'write'),
      openSlot: (slot, _, mode) => this.#open(slot, mode === 'read' ? 'read' : 'write'),
    }
    const outcome = await boot({ disks, entropy: systemEntropy }, this.#firmware)
    if (outcome.kind === 'none') throw new Error(`nothing boots: ${outcome.fault.what}`)
    this.boots.push(outcome.slot)
    // The clock of the container is the host's and does not start with the boot.
    const start = `everboot.start=${process.hrtime.bigint() / 1_000_000n}`
    writeFileSync(this.#at('hand-over'), `${outcome.commandLine} ${start}\n`)
    try {
      const system = await this.#start(outcome.slot)
      this.#running = system
      this.#over = system.ended.finally(() => this.#powerOff())
      return system
    } catch (caught) {
      await this.#powerOff()
      throw caught
    }
  }

  ended(): Promise<number | null> {
    return this.#over
  }

  async record(): Promise<string> {
    const device = await this.#open('boot', 'read')
    const record = currentRecord(await readRecord(device))
    await device.close()
    return record === null ? 'none' : recordText(record)
  }

  async close(): Promise<void> {
    try {
      await this.#running?.stop('at once')
      await this.#over
    } finally {
      await this.desk.close()
    }
  }

  async #start(slot: SlotId): Promise<RunningSystem> {
    const binds = [`--bind=${this.#at('data')}:/data`, `--bind-ro=${this.#at('hand-over')}:${handOverPath}`]
    for (const name of names) {
      const loop = await attachLoop(this.#part(name), name === slot)
      this.#loops.push(loop)
      if (name === slot) this.#mount(loop)
      binds.push(`--bind=${loop.path}:${nodes[name]}`)
    }
    const options = ['--read-only', ...binds, '--tmpfs=/tmp']
    return startSystem(this.#at('booted'), options, ['/usr/lib/everboot/init'])
  }

  async #powerOff(): Promise<void> {
    this.#running = null
    if (this.#mounted) tool('sh', '-c', 'umount "$1" 2>/dev/null || umount -l "$1"', 'sh', this.#at('booted'))
    this.#mounted = false
    for (const loop of this.#loops.splice(0)) await loop.release()
  }

  #mount(loop: Loop): void {
    // Through the cache, which holds what was written and verified a moment ago.
    tool('losetup', '--direct-io=off', loop.path)
    tool('mount', '-t', 'squashfs', '-o', 'ro', loop.path, this.#at('booted'))
    this.#mounted = true
  }

  #at(path: string): string {
    return join(this.#room, path)
  }

  #file(name: Name): string {
    return this.#at(`partitions/${name}`)
  }

  #part(name: Name): { readonly path: string; readonly offset: number; readonly bytes: number } {
    return { path: this.#file(name), offset: 0, bytes: statSync(this.#file(name)).size }
  }

  #open(name: Name, mode: 'read' | 'write'): Promise<BlockDevice> {
    return openFileDevice(this.#part(name), mode)
  }
}
