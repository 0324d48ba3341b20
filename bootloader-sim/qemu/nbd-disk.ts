/**
 * The disk of a QEMU board: carries out the requests of its clients over a volatile cache, counts them, and
 * at a planned one the power goes: before it, inside it, after its effect but before its answer.
 * Promise: one request at a time, in the order they came; from the cut on no request takes effect and none is
 * answered, also none of the old clients when the power is back; memory stays within its limits.
 * Leaves to others: the protocol (nbd-session.ts), stopping the machine at a cut (adapters/power-cut.ts).
 */
import { assert } from '../../core/assert.ts'
import { diskServerLimits } from '../../core/limits.ts'
import type { Fate, Pending } from '../devices/fate.ts'
import { never } from '../devices/mortal.ts'
import type { CutTime } from '../devices/power.ts'
import {
  type ByteRange,
  changes,
  type DiskCounts,
  type DiskOperation,
  diskTally,
  touches,
} from './disk-tally.ts'
import { type NbdRequest, nbdSectorBytes } from './nbd-session.ts'
import type { NbdError } from './nbd-wire.ts'
import { type CachedWrite, type Medium, volatileCache } from './volatile-cache.ts'

/** When the power goes. */
export interface PlannedCut {
  /** `write` means whatever changes the disk: writes, zeroes, trims. */
  readonly at: 'write' | 'flush' | 'any'
  /** How many such operations pass first. */
  readonly skip: number
  /** Only operations that touch one of these bytes count. */
  readonly touching?: ByteRange
  /** Only operations that this is true of count. */
  readonly matching?: (operation: DiskOperation) => boolean
  /** `inside`: of a write, fate says what is there of it, also when it was to be durable at once. */
  readonly time: CutTime | 'inside'
}

export interface NbdAnswer {
  readonly error: NbdError | null
  /** Of a read that succeeded. */
  readonly bytes: Uint8Array | null
}

/** What one connection sees of the disk. */
export interface DiskClient {
  /** Never settles when the power goes first. */
  execute(request: NbdRequest): Promise<NbdAnswer>
}

export interface NbdDisk {
  readonly name: string
  readonly sizeBytes: number
  readonly sectorBytes: number
  client(): DiskClient
  /** Plans a cut at the operations from now on, or forgets the planned one. */
  plan(cut: PlannedCut | null): void
  /** The power goes between two operations. */
  cutNow(): Promise<void>
  hasPower(): boolean
  /** What the cut leaves to fate, and the writes themselves. */
  pending(): readonly Pending[]
  unflushed(): readonly CachedWrite[]
  /** The power is back: fate has decided on what was pending; only clients made from now on are served. */
  powerOn(fates: readonly Fate[]): Promise<void>
  /** Everything in the cache reaches the medium, as when the power stays. */
  settle(): Promise<void>
  counts(): DiskCounts
  /** Counts changes of a range under a name from now on. */
  watch(name: string, range: ByteRange): void
  touched(name: string): number
  /** The last operations, oldest first. */
  recent(): readonly DiskOperation[]
  /** An error that an operation is to be answered with instead of its effect, or null. */
  failing: (operation: DiskOperation) => NbdError | null
  /** Called once at each cut, with the operation at which it came; null between two. */
  onCut: (at: DiskOperation | null) => void
}

export interface DiskOptions {
  readonly name: string
  readonly medium: Medium
  /** Where writes tear: 512 or 4096. */
  readonly sectorBytes: number
  readonly cacheBytesMax?: number
}

export function nbdDisk({ name, medium, sectorBytes, cacheBytesMax }: DiskOptions): NbdDisk {
  assert(sectorBytes % nbdSectorBytes === 0, `${name}: sectors of ${sectorBytes} bytes`)
  const cache = volatileCache(name, medium, sectorBytes, {
    bytesMax: cacheBytesMax ?? diskServerLimits.cacheBytesMax,
    writesMax: diskServerLimits.cacheWritesMax,
  })
  const tally = diskTally()
  let life = 0
  let powered = true
  let planned: { readonly cut: PlannedCut; passed: number } | null = null
  let turn: Promise<unknown> = Promise.resolve()

  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = turn.then(work)
    turn = mine.catch(() => {})
    return mine
  }
  const cutHere = (operation: DiskOperation): PlannedCut | null => {
    if (planned === null || !counted(planned.cut, operation)) return null
    planned.passed += 1
    if (planned.passed <= planned.cut.skip) return null
    const { cut } = planned
    planned = null
    return cut
  }
  const lose = <T>(operation: DiskOperation | null): Promise<T> => {
    powered = false
    life += 1
    turn = Promise.resolve()
    it.onCut(operation)
    return never()
  }
  const effect = async (request: NbdRequest): Promise<Uint8Array | null> => {
    if (request.kind === 'read') {
      const into = Buffer.allocUnsafeSlow(request.length)
      await cache.read(request.offset, into)
      return into
    }
    if (request.kind === 'flush') await cache.flush()
    else await (request.fua ? cache.writeThrough(request) : cache.write(request))
    return null
  }
  const carryOut = async (request: NbdRequest): Promise<NbdAnswer> => {
    const operation = tally.note(request)
    const cut = cutHere(operation)
    if (cut?.time === 'before') return lose(operation)
    const error = it.failing(operation)
    if (error !== null) tally.noteFailure()
    else if (cut?.time === 'inside' && changes(operation)) cache.hold(request)
    else if (cut?.time !== 'inside') {
      const bytes = await effect(request)
      return cut === null ? { error: null, bytes } : lose(operation)
    }
    return cut === null ? { error, bytes: null } : lose(operation)
  }
  const it: NbdDisk = {
    name,
    sizeBytes: medium.sizeBytes,
    sectorBytes,
    client() {
      const born = life
      const alive = (): boolean => powered && life === born
      return {
        async execute(request) {
          if (!alive()) return never()
          return inTurn(() => (alive() ? carryOut(request) : never()))
        },
      }
    },
    plan(cut) {
      planned = cut === null ? null : { cut, passed: 0 }
    },
    cutNow: () =>
      inTurn(async () => {
        if (powered) void lose(null)
      }),
    hasPower: () => powered,
    pending: () => cache.pending(),
    unflushed: () => cache.unflushed(),
    async powerOn(fates) {
      assert(!powered, `${name} has power`)
      await cache.crash(fates)
      powered = true
    },
    settle: () => inTurn(() => cache.flush()),
    counts: () => tally.counts(cache.spilled()),
    watch: tally.watch,
    touched: tally.touched,
    recent: tally.recent,
    failing: () => null,
    onCut: () => {},
  }
  return it
}

function counted({ at, touching, matching }: PlannedCut, operation: DiskOperation): boolean {
  const kind = at === 'any' || (at === 'flush' ? operation.kind === 'flush' : changes(operation))
  if (!kind || (touching !== undefined && !touches(operation, touching))) return false
  return matching === undefined || matching(operation)
}
