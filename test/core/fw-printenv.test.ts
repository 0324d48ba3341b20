/** Boot records and the real `fw_printenv` and `fw_setenv`: what one side writes, the other reads, over many records. */
import { execFile } from 'node:child_process'
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { present } from '../../core/assert.ts'
import { type BootRecord, decodeRecord, encodeRecord } from '../../core/boot-record.ts'
import { slotLimits } from '../../core/limits.ts'
import { ensureHostTools } from '../../images/build/adapters/host-tools.ts'
import { recordLines } from './record-lines.ts'

const run = promisify(execFile)
const { recordCopyBytes, numberMax } = slotLimits
/** Records in one file, each at an offset of its own. */
const batch = 1000
const batches = 10

let room = ''
let printenv = ''
beforeAll(async () => {
  room = mkdtempSync(join(tmpdir(), 'everboot-records-'))
  printenv = (await ensureHostTools(['fw_printenv'], { install: false })).path('fw_printenv')
  for (let at = 0; at < batch; at += 1) {
    const offset = (at * recordCopyBytes).toString(16)
    writeFileSync(
      join(room, `${at}`),
      `${join(room, 'records')} 0x${offset} 0x${recordCopyBytes.toString(16)}\n`,
    )
  }
})
afterAll(() => rmSync(room, { recursive: true, force: true }))

const number = fc.oneof(fc.nat(16), fc.nat(numberMax), fc.constant(numberMax))
const slot = fc.record({ ok: fc.boolean(), sv: number, tries: number })
const others = fc
  .uniqueArray(
    fc.tuple(fc.stringMatching(/^[A-Za-z0-9_]{1,32}$/), fc.stringMatching(/^[\x20-\x7e]{0,256}$/)),
    {
      selector: ([key]) => key,
      maxLength: 6,
    },
  )
  .map((list) => new Map(list))
const anyRecord: fc.Arbitrary<BootRecord> = fc.record({
  a: slot,
  b: slot,
  floor: number,
  priority: fc.constantFrom('a' as const, 'b' as const),
  sequence: number,
  others,
})

/** Puts the records side by side into one file; what is zero stays a hole. */
function lay(records: readonly BootRecord[]): void {
  const file = openSync(join(room, 'records'), 'w')
  records.forEach((it, at) => {
    const block = present(encodeRecord(it), 'encoded record')
    expect(decodeRecord(block)).toEqual(it)
    const used = Buffer.from(block.buffer).indexOf('\0\0', 4)
    writeSync(file, block, 0, used, at * recordCopyBytes)
  })
  ftruncateSync(file, records.length * recordCopyBytes)
  closeSync(file)
}

/** Starting a process from here would cost thrice the tool's own time: a shell counts, one for each half. */
const loop = 'i=$1; while [ $i -lt $2 ]; do "$3" -c "$4/$i" || exit 1; echo; i=$((i+1)); done'

/** What the real tool says of the records `from` to `to`, each as sorted lines. */
async function told(from: number, to: number): Promise<string[][]> {
  const options = { maxBuffer: 64 << 20 }
  const { stdout } = await run('/bin/sh', ['-c', loop, 'sh', `${from}`, `${to}`, printenv, room], options)
  return stdout
    .slice(0, -2)
    .split('\n\n')
    .map((text) => text.split('\n').sort())
}

test(`fw_printenv reads ${batch * batches} random records as they were written`, {
  timeout: 120_000,
}, async () => {
  let compared = 0
  await fc.assert(
    fc.asyncProperty(fc.array(anyRecord, { minLength: batch, maxLength: batch }), async (records) => {
      lay(records)
      const halves = await Promise.all([told(0, batch / 2), told(batch / 2, batch)])
      expect(halves.flat()).toEqual(records.map(recordLines))
      compared += records.length
    }),
    { numRuns: batches, endOnFailure: true },
  )
  expect(compared).toBe(batch * batches)
})

test('records that fw_setenv wrote are read back, whatever it put in which order', {
  timeout: 120_000,
}, async () => {
  const setenv = printenv.replace(/printenv$/, 'setenv')
  const [copy, config, script] = ['copy', 'copy.config', 'script'].map((it) => join(room, it)) as [
    string,
    string,
    string,
  ]
  await writeFile(config, `${copy} 0x0 0x${recordCopyBytes.toString(16)}\n`)
  const factory = new URL('../vectors/boot-record-factory.bin', import.meta.url)
  const property = fc.asyncProperty(anyRecord, async (it) => {
    await writeFile(copy, await readFile(factory))
    await writeFile(script, `${recordLines(it).reverse().join('\n')}\n`)
    await run(setenv, ['-c', config, '-s', script])
    // An empty value means to `fw_setenv` that the key is to go.
    const kept = new Map([...it.others].filter(([, value]) => value !== ''))
    expect(decodeRecord(await readFile(copy))).toEqual({ ...it, others: kept })
  })
  await fc.assert(property, { numRuns: 200 })
})
