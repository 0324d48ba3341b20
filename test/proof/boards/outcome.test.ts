/** What is compared between boards: bytes of records, boots, wishes. */
import { describe, expect, it } from 'vitest'
import { writeFactoryRecord } from '../../../core/boot-partition.ts'
import { bootPartition } from '../../../core/boot-record.ts'
import { logEventIn } from '../../../proof/boards/console-event.ts'
import {
  difference,
  newestIn,
  type Outcome,
  recordIn,
  recordRanges,
  seenRecord,
} from '../../../proof/boards/outcome.ts'
import { memoryDevice } from '../../core/memory-device.ts'

async function factoryParts(): Promise<readonly Uint8Array[]> {
  const device = memoryDevice(bootPartition.bytesMin)
  await writeFactoryRecord(device, 4)
  return Promise.all(
    recordRanges.map(async ({ offset, bytes }) => {
      const into = device.allocate(bytes)
      await device.read(offset, into)
      return into
    }),
  )
}

const seen = async () => seenRecord(await factoryParts())
const outcome = async (slots: string, attempts: readonly string[] = ['ok']): Promise<Outcome> => {
  const record = await seen()
  const boots = [...slots].map((slot) => ({ slot: slot as 'a' | 'b', record }))
  return { boots, rest: record, attempts }
}

describe('a record as it was seen', () => {
  it('is told in words and by digests of copies and stamp', async () => {
    const { digests, text } = await seen()
    expect(text).toBe(
      'a ok sv=4 tries=8, b not ok sv=0 tries=0, floor=0 priority=a seq=2; stamp floor=0 priority=a',
    )
    expect(digests).toHaveLength(3)
    for (const it of digests) expect(it).toMatch(/^[0-9a-f]{12}$/)
  })

  it('is none when both copies are lost', () => {
    const parts = recordRanges.map(({ bytes }) => new Uint8Array(bytes))
    expect(seenRecord(parts).text).toBe('no record; stamp none')
    expect(recordIn(parts)).toBeNull()
  })

  it('has a newest copy', async () => {
    const [first = new Uint8Array(), second = new Uint8Array(), stamp = new Uint8Array()] =
      await factoryParts()
    expect(newestIn([first, second, stamp])).toBe(1)
    expect(newestIn([second, first, stamp])).toBe(0)
  })
})

describe('two outcomes', () => {
  it('agree when everything does', async () => {
    expect(difference(await outcome('ab'), await outcome('ab'))).toBeNull()
  })

  it('differ in a boot, in one byte of a record, or in what became of a wish', async () => {
    const one = await outcome('ab')
    expect(difference(one, await outcome('aba'))).toBe('boots ab and aba')
    const parts = (await factoryParts()).map((it) => new Uint8Array(it))
    parts[1]?.fill(7, 60_000, 60_001)
    const other = seenRecord(parts)
    const boots = one.boots.map((it, number) => (number === 1 ? { ...it, record: other } : it))
    expect(difference(one, { ...one, boots })).toContain('at boot 2 (b): copy 1 differs')
    expect(difference(one, { ...one, rest: other })).toContain('at rest: copy 1 differs')
    expect(difference(one, await outcome('ab', ['EB-HEALTH']))).toBe('attempts ok and EB-HEALTH')
  })
})

describe('a line of the console', () => {
  it('may hold what the agent logs, after other words', () => {
    expect(logEventIn('[board-1] {"event":"standing","slot":"a"}')).toEqual({ event: 'standing', slot: 'a' })
    for (const line of ['init: started', '{"event":', '{"other":1}', 'x {"a"', ''])
      expect(logEventIn(line)).toBeNull()
  })
})
