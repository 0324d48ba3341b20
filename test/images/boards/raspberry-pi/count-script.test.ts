/** The count of boots in shell, against the codec and the table of the initramfs: the same bytes, the same decisions. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decideInitramfs, type SealVerdict } from '../../../../bootloader-sim/tryboot/initramfs.ts'
import { decodeBootCount, encodeBootCount } from '../../../../core/boot-count.ts'
import { bootPartition } from '../../../../core/boot-record.ts'
import { otherSlot, type SlotId, slotIds } from '../../../../core/units.ts'

const script = fileURLToPath(
  new URL('../../../../images/boards/raspberry-pi/files/count.sh', import.meta.url),
)
let directory: string
let record: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'everboot-count-'))
  record = join(directory, 'record')
  writeFileSync(record, '')
  truncateSync(record, bootPartition.bytesMin)
})
afterAll(() => rmSync(directory, { recursive: true }))

const shell = (text: string): string =>
  execFileSync('dash', ['-c', `. ${script}\n${text}`], { encoding: 'latin1' }).trim()

function put(sector: Uint8Array): void {
  const all = readFileSync(record)
  all.set(sector, bootPartition.countOffset)
  writeFileSync(record, all)
}

const sector = (): Buffer =>
  readFileSync(record).subarray(bootPartition.countOffset, bootPartition.countOffset + 512)

describe('the count of boots in shell', () => {
  it('reads what the agent writes, and takes nothing else for a count', () => {
    for (const slot of slotIds) {
      for (const boots of [0, 3, 8]) {
        put(encodeBootCount(slot, boots))
        expect(shell(`count_read ${record} ${slot}`)).toBe(`${boots}`)
        expect(shell(`count_read ${record} ${otherSlot(slot)}`)).toBe('0')
      }
    }
    for (const text of ['', 'a', 'a 9', 'a 33', 'c 3', 'a  3', 'a 3 b', '\xff'.repeat(512), 'A 3', 'a x']) {
      const bytes = Buffer.alloc(512)
      bytes.write(`${text}\n`, 'latin1')
      put(bytes)
      expect(shell(`count_read ${record} a`), text).toBe('0')
      expect(decodeBootCount(bytes, 'a'), text).toBe(0)
    }
  })

  it('writes what the agent reads, and nothing beside it', () => {
    const before = readFileSync(record)
    shell(`count_write ${record} b 5`)
    expect(sector()).toEqual(Buffer.from(encodeBootCount('b', 5)))
    put(before.subarray(bootPartition.countOffset, bootPartition.countOffset + 512))
    expect(readFileSync(record).equals(before)).toBe(true)
  })

  const cases = slotIds.flatMap((own) =>
    [0, 1, 7, 8].flatMap((boots) =>
      [true, false].flatMap((tryboot) => [true, false].map((good) => ({ own, boots, tryboot, good }))),
    ),
  )
  it.each(cases)('decides as the table does: %j', ({ own, boots, tryboot, good }) => {
    put(encodeBootCount(own, boots))
    const other = otherSlot(own)
    const asked = `may_start ${record} ${own} ${other} ${tryboot ? 1 : 0}`
    const said = shell(
      `other_good() { ${good ? 'true' : 'false'}; }\nif ${asked}; then echo start; else echo leave; fi`,
    )
    const { does, count } = byTable(own, boots, tryboot, good ? 'good' : 'refused')
    expect(said).toBe(does)
    expect(sector()).toEqual(Buffer.from(encodeBootCount(...count)))
  })
})

/** What the table says, and what the sector holds afterwards. */
function byTable(own: SlotId, boots: number, tryboot: boolean, across: SealVerdict) {
  const seen = { own, boots, tryboot, seals: { [own]: 'good', [otherSlot(own)]: null } as Seals }
  let { step } = decideInitramfs(seen)
  if (step.do === 'look') {
    step = decideInitramfs({ ...seen, seals: { ...seen.seals, [step.slot]: across } }).step
  }
  if (step.do === 'reboot') return { does: 'leave', count: [step.slot, 0] as const }
  if (step.do !== 'start') throw new Error(step.do)
  return { does: 'start', count: [own, step.boots ?? boots] as const }
}

type Seals = Record<SlotId, SealVerdict | null>
