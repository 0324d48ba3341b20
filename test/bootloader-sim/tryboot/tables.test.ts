/** The Raspberry Pi's firmware and its initramfs: each small case, against the documentation and the rules. */
import { describe, expect, it } from 'vitest'
import { choosePartition, partitionNamed } from '../../../bootloader-sim/tryboot/firmware.ts'
import {
  decideInitramfs,
  type InitramfsKnowledge,
  initramfsTable,
} from '../../../bootloader-sim/tryboot/initramfs.ts'
import { printAutoboot } from '../../../core/autoboot.ts'
import { otherSlot, type SlotId, slotIds } from '../../../core/units.ts'

const autoboot = printAutoboot({ partition: 2, trial: 3 })
const both = new Set([2, 3])
const plain = { autoboot, tryboot: false, requested: 0, bootable: both }

describe('the firmware', () => {
  it('takes [all], with the flag [tryboot], and with a number that number', () => {
    expect(choosePartition(plain)).toBe(2)
    expect(choosePartition({ ...plain, tryboot: true })).toBe(3)
    expect(choosePartition({ ...plain, requested: 3 })).toBe(3)
    expect(choosePartition({ ...plain, requested: 2, tryboot: true })).toBe(2)
  })

  it('takes the first bootable partition where none is named', () => {
    for (const bytes of [null, new Uint8Array(65), new Uint8Array(65).fill(255), Buffer.from('[all]\n')]) {
      expect(choosePartition({ ...plain, autoboot: bytes, tryboot: true })).toBe(2)
    }
    expect(choosePartition({ ...plain, autoboot: null, bootable: new Set([3]) })).toBe(3)
  })

  it('walks on from a partition that is not bootable, round to the first', () => {
    expect(choosePartition({ ...plain, bootable: new Set([3]) })).toBe(3)
    expect(choosePartition({ ...plain, tryboot: true, bootable: new Set([2]) })).toBe(2)
    expect(choosePartition({ ...plain, bootable: new Set() })).toBeNull()
  })

  it('reads sections line by line, whatever stands between', () => {
    const text = (it: string) => Buffer.from(it)
    expect(partitionNamed(text('boot_partition=4\n'), false)).toBe(4)
    expect(partitionNamed(text('[none]\nboot_partition=4\n'), false)).toBeNull()
    expect(partitionNamed(text('[tryboot]\nboot_partition=4\n'), false)).toBeNull()
    expect(partitionNamed(text('[all]\r\nboot_partition=2\r\n[tryboot]\r\nboot_partition=3\r\n'), true)).toBe(
      3,
    )
    expect(partitionNamed(text(`${'#'.repeat(512)}\nboot_partition=4\n`), false)).toBeNull()
  })
})

/** What the table does from a boot's beginning, given what lies in both slots. */
function run(own: SlotId, good: Readonly<Record<SlotId, boolean>>, boots: number, tryboot: boolean) {
  let known: InitramfsKnowledge = { own, seals: { a: null, b: null }, boots, tryboot }
  const rows: string[] = []
  for (;;) {
    const { row, step } = decideInitramfs(known)
    rows.push(row.id)
    if (step.do !== 'look') return { rows, step }
    const found = good[step.slot] ? 'good' : 'refused'
    known = { ...known, seals: { ...known.seals, [step.slot]: found } }
  }
}

const cases = slotIds.flatMap((own) =>
  [true, false].flatMap((a) =>
    [true, false].flatMap((b) =>
      [0, 1, 7, 8].flatMap((boots) =>
        [true, false].map((tryboot) => ({ own, good: { a, b }, boots, tryboot })),
      ),
    ),
  ),
)

describe('the initramfs', () => {
  it.each(cases)('starts, gives way or stops as the rules say: %j', ({ own, good, boots, tryboot }) => {
    const { step } = run(own, good, boots, tryboot)
    const other = otherSlot(own)
    const spent = boots >= 8 && !tryboot
    if (good[own] && !(spent && good[other])) {
      const counted = tryboot ? null : Math.min(boots + 1, 8)
      expect(step).toEqual({ do: 'start', slot: own, boots: counted })
    } else if (good[other]) expect(step).toEqual({ do: 'reboot', slot: other })
    else expect(step).toEqual({ do: 'stop' })
  })

  it('never sends the board to and fro: who is given way to starts', () => {
    for (const { own, good, boots, tryboot } of cases) {
      if (run(own, good, boots, tryboot).step.do !== 'reboot') continue
      // The count is set back, and the flag is gone.
      expect(run(otherSlot(own), good, 0, false).step.do).toBe('start')
    }
  })

  it('stops on a partition that belongs to nobody', () => {
    const known = { own: null, seals: { a: null, b: null }, boots: 0, tryboot: false }
    expect(decideInitramfs(known).step).toEqual({ do: 'stop' })
  })

  it('has no row that is never reached', () => {
    const seen = new Set(cases.flatMap((it) => run(it.own, it.good, it.boots, it.tryboot).rows))
    expect([...seen, 'astray'].sort()).toEqual(initramfsTable.map((it) => it.id).sort())
  })
})
