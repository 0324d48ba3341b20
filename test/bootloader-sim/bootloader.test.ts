/** The boot loop over disks in memory: what it starts, refuses, writes and says, also through power cuts. */
import { describe, expect, it } from 'vitest'
import { type BootOutcome, boot, traceText } from '../../bootloader-sim/bootloader.ts'
import { hasKernel } from '../../bootloader-sim/claimed-slot.ts'
import { sealVerdict, verifySlot } from '../../bootloader-sim/verified-slot.ts'
import { currentRecord, readRecord } from '../../core/boot-partition.ts'
import { bootPartition } from '../../core/boot-record.ts'
import { raise } from '../../core/errors.ts'
import { slotLimits } from '../../core/limits.ts'
import { blockBytes, type SlotId, safeName } from '../../core/units.ts'
import { sealOffset } from '../../images/release/slot-layout.ts'
import { memoryDevice } from '../core/memory-device.ts'
import {
  boardWith,
  countingEntropy,
  disksOf,
  firmware,
  type MemoryBoard,
  record,
  sealedSlot,
  slotBytes,
  testKey,
  withRecord,
} from './memory-board.ts'

const bootBoard = (board: MemoryBoard, missing: readonly string[] = []): Promise<BootOutcome> =>
  boot({ disks: disksOf(board, missing), entropy: countingEntropy() }, firmware)

const words = (outcome: BootOutcome): string => traceText(outcome.trace)

function started(outcome: BootOutcome): SlotId | null {
  return outcome.kind === 'start' ? outcome.slot : null
}

async function nowOf(board: MemoryBoard) {
  return currentRecord(await readRecord(board.boot))
}

describe('boot loop', () => {
  it('starts the committed slot, takes a try first and hands the slot over on the command line', async () => {
    const board = await withRecord(boardWith(sealedSlot({ sv: 1 }), null), record('1/1/8', '0/0/0', 'a'))
    const outcome = await bootBoard(board)
    expect(outcome).toMatchObject({ kind: 'start', slot: 'a', seal: { version: '1.0' } })
    if (outcome.kind !== 'start') return
    expect(outcome.commandLine).toBe(`everboot.slot=a everboot.boot=${outcome.bootId}`)
    expect(outcome.bootId).toMatch(safeName)
    expect(await nowOf(board)).toMatchObject({ a: { tries: 7 }, sequence: 3 })
    expect(outcome.trace.map((line) => line.row)).toEqual([null, null, 'take-try', 'look', 'start'])
  })

  it('gives way in the same boot to the other slot, and says why', async () => {
    const damaged = sealedSlot({ sv: 2 })
    damaged[3 * blockBytes] = 0xee
    const board = await withRecord(boardWith(sealedSlot({ sv: 1 }), damaged), record('1/1/8', '0/2/3', 'b'))
    const outcome = await bootBoard(board)
    expect(started(outcome)).toBe('a')
    expect(words(outcome)).toMatch(/\[look\] slot b is refused: image rootfs is damaged/)
    expect(await nowOf(board)).toMatchObject({ a: { tries: 7 }, b: { tries: 2 } })
  })

  it('refuses every slot with one changed byte in image or seal', async () => {
    const good = sealedSlot({ sv: 1, bytes: blockBytes })
    const sealBytes = 168 + 80 + 96
    const places = [
      0,
      77,
      blockBytes - 1,
      ...Array.from({ length: sealBytes }, (_, at) => sealOffset(slotBytes) + at),
    ]
    const board = boardWith(good, null)
    for (const place of places) {
      const bad = good.slice()
      bad[place] = (bad[place] ?? 0) ^ 0x10
      const slots = { ...board.slots, a: memoryDevice(slotBytes, 512, bad) }
      const verdict = await verifySlot(disksOf({ ...board, slots }), firmware, 'a', 0)
      if (verdict.verified) expect({ place, verdict }).toBe('refused')
    }
    expect(await verifySlot(disksOf(board), firmware, 'a', 0)).toMatchObject({ verified: true })
  })

  it('refuses a slot whose hash tree has one changed byte: a kernel could not read through it', async () => {
    const good = sealedSlot({ sv: 1, bytes: 5 * blockBytes })
    for (const place of [0, 5 * 32 - 1, blockBytes - 1]) {
      const bad = good.slice()
      bad[5 * blockBytes + place] = (bad[5 * blockBytes + place] ?? 0) ^ 0x10
      const verdict = await verifySlot(disksOf(boardWith(bad, null)), firmware, 'a', 0)
      expect(verdict).toEqual({ verified: false, why: 'the hash tree of image rootfs is damaged' })
    }
  })

  it('does not care about bytes that the seal does not cover', async () => {
    const noisy = sealedSlot({ sv: 1 })
    noisy[sealOffset(slotBytes) - 1] = 9
    const outcome = await bootBoard(await withRecord(boardWith(noisy, null), record('1/1/8', '0/0/0', 'a')))
    expect(started(outcome)).toBe('a')
  })

  it('refuses a seal by a key that the firmware does not hold', async () => {
    const foreign = sealedSlot({ sv: 2, signer: testKey() })
    const board = await withRecord(boardWith(foreign, sealedSlot({ sv: 1 })), record('1/2/8', '1/1/8', 'a'))
    const outcome = await bootBoard(board)
    expect(started(outcome)).toBe('b')
    expect(words(outcome)).toMatch(/slot a is refused: the seal is signed by the unknown key/)
  })

  it('refuses what lies below the floor of the seal, whatever the record says of the slot', async () => {
    const board = await withRecord(
      boardWith(sealedSlot({ sv: 1 }), sealedSlot({ sv: 3 })),
      record('1/9/8', '1/3/8', 'a', 2),
    )
    const outcome = await bootBoard(board)
    expect(started(outcome)).toBe('b')
    expect(words(outcome)).toMatch(/security version 1, the floor is 2/)
  })

  it('takes the floor from the stamp when that is higher (counterexample 7)', async () => {
    const board = await withRecord(
      boardWith(sealedSlot({ sv: 1 }), sealedSlot({ sv: 3 })),
      record('1/1/8', '1/3/8', 'a', 1),
      { floor: 3, priority: 'b' },
    )
    expect(started(await bootBoard(board))).toBe('b')
    const [first, second] = bootPartition.copyOffsets
    board.boot.medium.fill(0xff, first, first + 100).fill(0xff, second, second + 100)
    const lost: MemoryBoard = { ...board, boot: board.boot.afterCrash(() => 0) }
    expect(started(await bootBoard(lost))).toBe('b')
    expect(await nowOf(lost)).toMatchObject({
      floor: 3,
      priority: 'b',
      a: { ok: false, tries: 0 },
      b: { tries: 2 },
    })
  })

  it('re-arms in one write what is eligible when nobody has tries', async () => {
    const board = await withRecord(
      boardWith(sealedSlot({ sv: 1 }), sealedSlot({ sv: 2 })),
      record('1/1/0', '0/2/0', 'b'),
    )
    const outcome = await bootBoard(board)
    expect(started(outcome)).toBe('a')
    expect(await nowOf(board)).toMatchObject({ a: { tries: 7 }, b: { tries: 1 }, priority: 'a', sequence: 4 })
    expect(outcome.trace.filter((line) => line.row === 'rearm').length).toBe(1)
  })

  it('reports EB-NO-SLOT with the reason for each slot when nothing verifies', async () => {
    const outcome = await bootBoard(await withRecord(boardWith(null, null), record('1/1/8', '0/0/0', 'a')))
    expect(outcome).toMatchObject({ kind: 'none', fault: { code: 'EB-NO-SLOT' } })
    if (outcome.kind === 'none')
      expect(outcome.fault.what).toBe('slot a: the seal is missing; slot b: the seal is missing')
  })

  it('starts something verified though the boot partition is missing, read-only or unreadable', async () => {
    const slots = (): MemoryBoard => boardWith(sealedSlot({ sv: 1 }), sealedSlot({ sv: 2 }))
    expect(started(await bootBoard(slots(), ['boot']))).toBe('a')

    const readOnly = await withRecord(slots(), record('1/1/8', '0/2/3', 'b'))
    readOnly.boot.fail('write', () => raise('EB-SLOT-IO', 'planted'))
    const uncounted = await bootBoard(readOnly)
    expect(started(uncounted)).toBe('a')
    expect(words(uncounted)).toMatch(/the record cannot be written: EB-SLOT-IO: planted/)

    const unreadable = await withRecord(slots(), record('1/1/8', '0/2/3', 'b'))
    unreadable.boot.fail('read', () => raise('EB-SLOT-IO', 'planted'))
    expect(started(await bootBoard(unreadable))).toBe('a')
  })

  it('refuses a slot whose partition is missing, unreadable or too small for its image', async () => {
    const both = (): Promise<MemoryBoard> =>
      withRecord(boardWith(sealedSlot({ sv: 1 }), sealedSlot({ sv: 2 })), record('1/1/8', '1/2/8', 'b'))
    expect(started(await bootBoard(await both(), ['b']))).toBe('a')
    const unreadable = await both()
    unreadable.slots.b.fail('read', (offset) => {
      if (offset < slotLimits.sealAreaBytes) raise('EB-SLOT-IO', 'planted')
    })
    const outcome = await bootBoard(unreadable)
    expect(started(outcome)).toBe('a')
    expect(words(outcome)).toMatch(/slot b is refused: EB-SLOT-IO: planted/)

    // The seal of a larger slot, moved to the end of a smaller one.
    const large = sealedSlot({ sv: 2, bytes: 60 * blockBytes }, 512 * 1024)
    const small = new Uint8Array(slotBytes)
    small.set(large.subarray(0, sealOffset(slotBytes)))
    small.set(large.subarray(sealOffset(large.length)), sealOffset(slotBytes))
    const cramped = await withRecord(boardWith(sealedSlot({ sv: 1 }), small), record('1/1/8', '1/2/8', 'b'))
    const refused = await bootBoard(cramped)
    expect(started(refused)).toBe('a')
    expect(words(refused)).toMatch(/its partition has 262144/)
  })

  it('passes a bug of a port on instead of booting around it', async () => {
    const board = await withRecord(boardWith(sealedSlot({ sv: 1 }), null), record('1/1/8', '0/0/0', 'a'))
    board.slots.a.fail('read', () => {
      throw new TypeError('planted')
    })
    await expect(bootBoard(board)).rejects.toThrow(TypeError)
  })

  it('uses another boot id in every boot', async () => {
    const board = await withRecord(boardWith(sealedSlot({ sv: 1 }), null), record('1/1/8', '0/0/0', 'a'))
    const entropy = countingEntropy()
    const ids = new Set<string>()
    for (let boots = 0; boots < 4; boots += 1) {
      const outcome = await boot({ disks: disksOf(board), entropy }, firmware)
      if (outcome.kind === 'start') ids.add(outcome.bootId)
    }
    expect(ids.size).toBe(4)
  })
})

describe('boot loop through power cuts', () => {
  const situations = {
    'a committed slot': { a: 1, b: null, from: record('1/1/8', '0/0/0', 'a') },
    'a trial': { a: 1, b: 2, from: record('1/1/8', '0/2/3', 'b') },
    'nobody selectable': { a: 1, b: 2, from: record('1/1/0', '0/2/0', 'b') },
    'both copies lost': { a: 1, b: 2, from: null },
  } as const

  for (const [name, { a, b, from }] of Object.entries(situations)) {
    it(`boots a verified slot after a cut at every operation, with ${name}`, async () => {
      let cuts = 0
      for (let operation = 0; ; operation += 1) {
        const board = boardWith(sealedSlot({ sv: a }), b === null ? null : sealedSlot({ sv: b }))
        if (from !== null) await withRecord(board, from)
        const before = await nowOf(board)
        board.boot.cutAt(operation)
        const first = await Promise.race([bootBoard(board), hangs()])
        if (first !== 'hangs') {
          expect(board.boot.fired()).toBe(false)
          break
        }
        cuts += 1
        for (const sectors of [0, 1, 64, 127, 128]) {
          const again: MemoryBoard = { ...board, boot: board.boot.afterCrash(() => sectors) }
          const found = await nowOf(again)
          const second = await bootBoard(again)
          expect(started(second)).not.toBeNull()
          expect(tries(found)).toBeLessThanOrEqual(Math.max(tries(before), 9))
          if (before !== null) expect(found).not.toBeNull()
        }
      }
      expect(cuts).toBeGreaterThanOrEqual(5)
    })
  }

  it('spends at most three boots on a trial, also when each is cut right after its try was taken', async () => {
    let board = await withRecord(
      boardWith(sealedSlot({ sv: 1 }), sealedSlot({ sv: 2 })),
      record('1/1/8', '0/2/3', 'b'),
    )
    const slots: (SlotId | null)[] = []
    for (let boots = 0; boots < 6; boots += 1) {
      slots.push(started(await bootBoard(board)))
      board = { ...board, boot: board.boot.afterCrash(() => 0) }
    }
    expect(slots).toEqual(['b', 'b', 'b', 'a', 'a', 'a'])
  })
})

const tries = (it: { a: { tries: number }; b: { tries: number } } | null): number =>
  it === null ? 0 : it.a.tries + it.b.tries

/** Long enough for all promises of a boot that goes on: nothing in it waits for anything. */
async function hangs(): Promise<'hangs'> {
  for (let turns = 0; turns < 50; turns += 1) await new Promise((resolve) => setImmediate(resolve))
  return 'hangs'
}

describe('a loader that goes by claims', () => {
  const claiming = { ...firmware, looks: 'claim' as const }
  const start = (board: MemoryBoard, missing: readonly string[] = []): Promise<BootOutcome> =>
    boot({ disks: disksOf(board, missing), entropy: countingEntropy() }, claiming)
  const trial = record('1/1/8', '0/2/3', 'b', 1)

  it('starts a slot whose seal it cannot verify, and whose image is damaged', async () => {
    const slot = sealedSlot({ sv: 2, signer: testKey() })
    slot[2 * blockBytes] = 77
    const outcome = await start(await withRecord(boardWith(sealedSlot({ sv: 1 }), slot), trial))
    expect(started(outcome)).toBe('b')
  })

  it.each([
    ['no seal', 'the seal is missing', () => sealedSlot({ sv: 2 }).fill(0, sealOffset(slotBytes))],
    ['a seal below the floor', 'has security version 2, the floor is 3', () => sealedSlot({ sv: 2 })],
    ['nothing to load', 'no kernel can be loaded', () => sealedSlot({ sv: 3 }).fill(0, 0, blockBytes)],
  ])('gives way in the same boot to a slot with %s', async (_, why, slot) => {
    const board = await withRecord(boardWith(sealedSlot({ sv: 3 }), slot()), record('1/3/8', '0/3/3', 'b', 3))
    const outcome = await start(board)
    expect(started(outcome)).toBe('a')
    expect(words(outcome)).toContain(why)
    expect(await nowOf(board)).toMatchObject({ a: { tries: 7 }, b: { tries: 2 } })
  })

  it('refuses a slot that cannot be read', async () => {
    const board = await withRecord(boardWith(sealedSlot({ sv: 1 }), sealedSlot({ sv: 2 })), trial)
    const outcome = await start(board, ['b'])
    expect(started(outcome)).toBe('a')
    expect(words(outcome)).toContain('b does not exist')
    const gone = disksOf(board, ['a'])
    expect(await hasKernel(gone, claiming, 'a')).toBe(false)
    const broken = { ...gone, openSlot: () => Promise.reject(new TypeError('a bug')) }
    await expect(hasKernel(broken, claiming, 'a')).rejects.toThrow(TypeError)
    await expect(sealVerdict(broken, claiming, 'a', 0)).rejects.toThrow(TypeError)
  })
})
