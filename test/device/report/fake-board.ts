/**
 * A board with nothing behind it but a journal in memory and a link that tests look into.
 */

import { type VirtualTime, virtualTime } from '../../../bootloader-sim/devices/clock.ts'
import { type SimFiles, simFiles } from '../../../bootloader-sim/devices/file-store.ts'
import type { BootRecord } from '../../../core/boot-record.ts'
import { type Fault, raise } from '../../../core/errors.ts'
import type { Link, LinkListener, LinkMessage, LogEvent } from '../../../core/ports.ts'
import { seededRandom } from '../../../core/prng.ts'
import type { SlotId } from '../../../core/units.ts'
import { decodeStatus, type Status } from '../../../core/wire/messages.ts'
import { inlineCodec } from '../../../device/adapters/codec.ts'
import type { Board } from '../../../device/board.ts'
import { recordLoader } from '../../../device/boot/loader.ts'
import { openJournal } from '../../../device/update/journal.ts'
import { verifyEd25519 } from '../../../keys/verify-node.ts'
import { newTurn } from '../../../proof/adapters/turn.ts'

export interface FakeLink extends Link {
  readonly published: LinkMessage[]
  readonly subscribed: string[][]
  /** What `publish` and `subscribe` do: settle, fail, or neither. */
  answer: 'yes' | 'no' | 'never'
  listener: LinkListener | null
  /** Wills asked for, one for each connection. */
  readonly wills: LinkMessage[]
  connect(): void
  disconnect(reason: Fault): void
}

export interface Fake {
  readonly board: Board
  readonly link: FakeLink
  readonly time: VirtualTime
  readonly files: SimFiles
  readonly log: LogEvent[]
  /** The statuses that were published, in order. */
  statuses(): readonly Status[]
}

const record: BootRecord = {
  a: { ok: true, sv: 1, tries: 8 },
  b: { ok: false, sv: 0, tries: 0 },
  floor: 1,
  priority: 'a',
  sequence: 3,
  others: new Map(),
}

export async function fakeBoard(files: SimFiles = simFiles()): Promise<Fake> {
  const time = virtualTime(newTurn(), Date.parse('2026-06-01T00:00:00Z'))
  const link = fakeLink()
  const log: LogEvent[] = []
  const unused = (): never => raise('EB-INTERNAL', 'not to be called')
  const { journal } = await openJournal(files, 0)
  const none = { keys: new Map<string, Uint8Array>(), threshold: 1 }
  const board: Board = {
    ports: {
      clock: time.clock,
      random: seededRandom(1),
      entropy: { bytes: (count) => new Uint8Array(count) },
      disks: { openSlot: unused, openBoot: unused },
      files,
      link,
      fetch: { get: unused },
      machine: {
        handOver: unused,
        reboot: unused,
        pet: unused,
        run: unused,
        hook: unused,
        probe: unused,
        hardware: () => ['sim'],
        lastWords: unused,
      },
      codec: inlineCodec,
      events: { emit: (event) => void log.push(event) },
      openReleaseFile: unused,
    },
    settings: {
      deviceId: 'board-1',
      product: 'demo',
      hubUrl: 'https://hub',
      trust: { release: none, seal: none, skill: none, rsa: new Map() },
      verify: verifyEd25519,
      wrappingKey: new Uint8Array(32),
      partitions: ['rootfs'],
      health: { checks: [], deadlineMs: 1, networkDeadlineMs: 1 },
      rebootDelayMs: 1,
    },
    handOver: { slot: 'a', bootId: 'boot-1', bootMs: 0 },
    own: 'a',
    spare: 'b',
    boot: {
      record,
      stamp: null,
      floor: 1,
      promisesMore: unused,
      write: unused,
      writeBoth: unused,
      stampCommit: unused,
    },
    loader: recordLoader,
    journal,
    journalLost: null,
    seal: (_: SlotId) => null,
    refreshSeal: unused,
    spareDoubted: false,
    doubtSpare: unused,
  }
  const statuses = (): readonly Status[] =>
    link.published
      .filter((it) => it.topic === 'eb/1/d/board-1/status')
      .map((it) => {
        const decoded = decodeStatus(it.payload)
        return decoded.ok ? decoded.value : raise('EB-MESSAGE', decoded.error.what)
      })
  return { board, link, time, files, log, statuses }
}

function fakeLink(): FakeLink {
  let nextWill = (): LinkMessage => raise('EB-INTERNAL', 'not opened')
  const settle = (): Promise<void> => {
    if (link.answer === 'never') return new Promise(() => {})
    return link.answer === 'yes' ? Promise.resolve() : Promise.reject(new Error('refused'))
  }
  const link: FakeLink = {
    published: [],
    subscribed: [],
    wills: [],
    answer: 'yes',
    listener: null,
    open(listener, will) {
      link.listener = listener
      nextWill = will
    },
    publish(message) {
      link.published.push(message)
      return settle()
    },
    subscribe(topics) {
      link.subscribed.push([...topics])
      return settle()
    },
    close: async () => {},
    connect() {
      link.wills.push(nextWill())
      link.listener?.up()
    },
    disconnect(reason) {
      link.listener?.down(reason)
    },
  }
  return link
}
