/**
 * A short soak in the everyday run: kills fall in several phases and no rule is broken. Then lies are planted
 * behind the back of the look that follows every attempt: it sees each of them. Then Ctrl-C.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { copyFile, open, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { damageSlot } from '../../bootloader-sim/adapters/damage.ts'
import { openFileDevice } from '../../bootloader-sim/adapters/file-device.ts'
import { attachLoop } from '../../bootloader-sim/adapters/loop.ts'
import { tool } from '../../bootloader-sim/adapters/tools.ts'
import { type BoardFile, boardPaths } from '../../bootloader-sim/board-file.ts'
import { present } from '../../core/assert.ts'
import { currentRecord, readRecord, writeRecordTwice, writeStamp } from '../../core/boot-partition.ts'
import type { BootRecord } from '../../core/boot-record.ts'
import { minutes, type SlotId } from '../../core/units.ts'
import { remains } from '../bootloader-sim/real-board.ts'
import { cannotRun } from './rig.ts'
import type { Look } from './soak/judgement.ts'
import { phases } from './soak/phases.ts'
import { Soak } from './soak/soak-run.ts'
import { closingLines } from './soak/tally.ts'

const title = (text: string): string => (cannotRun === null ? text : `${text}: ${cannotRun}`)
const say = (line: string): void => void process.stdout.write(`${line}\n`)

describe.skipIf(cannotRun !== null)(title('a soak'), () => {
  let soak: Soak
  beforeAll(async () => {
    soak = new Soak({
      seed: 5,
      durationMs: 30_000,
      roundsMin: 3,
      interrupted: new AbortController().signal,
      note: say,
    })
    await soak.open()
  }, minutes(5))

  it(
    'of half a minute and more kills agents in several phases and breaks no rule',
    async () => {
      await soak.play()
      expect(soak.violations).toEqual([])
      const { attempts, kills, resets, strikes, checks, acknowledged } = soak.numbers()
      const hit = phases.filter((it) => kills.phases[it] > 0)
      say(`kills ${JSON.stringify(kills.phases)}, boots cut short ${JSON.stringify(resets.phases)}`)
      expect(hit.length).toBeGreaterThanOrEqual(3)
      expect(kills.total).toBeGreaterThanOrEqual(4)
      expect(strikes['kill hub'] + strikes['cut link']).toBeGreaterThan(0)
      expect(resets.causes.reset + resets.causes['power cut'] + resets.causes.unplugged).toBeGreaterThan(0)
      expect(attempts.total).toBeGreaterThanOrEqual(3)
      expect(checks).toBeGreaterThan(attempts.total)
      expect(acknowledged).toBeGreaterThan(attempts.total)
    },
    minutes(12),
  )

  describe('looks at the disk, the database and the kernel', () => {
    let file: BoardFile
    let disk: string
    let committed: SlotId
    beforeAll(async () => {
      // The lies are told about an update that nothing has disturbed.
      const { board, releases } = soak.world
      const running = soak.disk.slots[present(soak.disk.record, 'record').priority].release ?? ''
      const version = releases.get(running)?.version === 2 ? 3 : 2
      await soak.round({ number: 0, version, blows: [], off: 'switch', rot: null })
      expect(soak.violations).toEqual([])
      file = await board.file()
      disk = join(board.directory, boardPaths.disk)
      committed = present(soak.disk.record, 'record').priority
    }, minutes(5))

    /** Judges as after the last attempt. */
    const rules = (look: Look): readonly string[] => {
      const { facts, before } = soak.last
      return [...new Set(soak.judge(look, before, facts).map((it) => it.rule))]
    }
    /** Tells a lie on the disk, looks, and takes it back. */
    const afterLieOnDisk = async (lie: () => Promise<unknown>): Promise<readonly string[]> => {
      await copyFile(disk, `${disk}.true`)
      await lie()
      const found = rules(await soak.look())
      await copyFile(`${disk}.true`, disk)
      return found
    }
    const flip = async (offset: number): Promise<void> => {
      const handle = await open(disk, 'r+')
      const byte = Buffer.alloc(1)
      await handle.read(byte, 0, 1, offset)
      await handle.write(Buffer.of(byte.readUInt8() ^ 1), 0, 1, offset)
      await handle.close()
    }
    const rewrite = async (change: (record: BootRecord) => BootRecord): Promise<void> => {
      const device = await openFileDevice({ path: disk, ...file.partitions.boot }, 'write')
      const copies = await readRecord(device)
      const next = change(present(currentRecord(copies), 'record'))
      await writeRecordTwice(device, copies, next)
      await writeStamp(device, { floor: next.floor, priority: next.priority })
      await device.close()
    }
    /** Tells a lie in the database of the hub, looks, and takes it back. */
    const afterLieInHub = async (sql: string, ...values: (string | number)[]): Promise<Look> => {
      const database = new DatabaseSync(join(soak.world.hub.data, 'hub.db'), { timeout: 5_000 })
      try {
        database.exec('CREATE TABLE IF NOT EXISTS kept AS SELECT * FROM statuses')
        expect(database.prepare(sql).run(...values).changes).toBe(1)
        return await soak.look()
      } finally {
        database.exec('DELETE FROM statuses; INSERT INTO statuses SELECT * FROM kept; DROP TABLE kept')
        database.close()
      }
    }
    const report = () => {
      const { seq } = soak.last.facts
      return `json_extract(body, '$.report.seq') = ${seq}`
    }

    it('and finds nothing where nobody lied', async () => {
      expect(rules(await soak.look())).toEqual([])
    })

    it.each([0, 4096 * 5000 + 1, -1])(
      'sees one bit of the committed image flipped, at byte %i',
      async (at) => {
        const { image } = soak.last.facts.release
        const { size } = await stat(image)
        const found = await afterLieOnDisk(() =>
          flip(file.partitions[committed].offset + (at < 0 ? size + at : at)),
        )
        expect(found).toEqual(['image'])
      },
    )

    it('sees a damaged seal', async () => {
      const { directory } = soak.world.board
      expect(await afterLieOnDisk(() => damageSlot(directory, file, committed, 'seal'))).toContain('seal')
    })

    it('sees a damaged copy of the record, and a damaged stamp', async () => {
      for (const offset of [100, 2 ** 20 + 9, 2 * 2 ** 20 + 7])
        expect(await afterLieOnDisk(() => flip(file.partitions.boot.offset + offset))).toEqual(['record'])
    })

    it('sees that what comes first is not committed, and that the report lied', async () => {
      const found = await afterLieOnDisk(() =>
        rewrite((record) => ({ ...record, [committed]: { ...record[committed], ok: false } })),
      )
      expect(found).toEqual(['committed', 'truth'])
    })

    it('sees a floor that fell', async () => {
      const { floor } = present(soak.last.before.record, 'record')
      expect(floor).toBeGreaterThan(0)
      expect(await afterLieOnDisk(() => rewrite((record) => ({ ...record, floor: 0 })))).toEqual(['floor'])
    })

    it('sees a report that says the contrary, one that is missing, and one too many', async () => {
      const contrary = `UPDATE statuses SET body = json_set(body, '$.report.result', 'failed') WHERE ${report()}`
      expect(rules(await afterLieInHub(contrary))).toEqual(['report', 'truth', 'outcome'])
      const double = `INSERT INTO statuses SELECT device, boot, seq + 100000, life, at, body FROM statuses WHERE ${report()}`
      expect(rules(await afterLieInHub(double))).toEqual(['report'])
      expect(rules(await afterLieInHub(`DELETE FROM statuses WHERE ${report()}`))).toEqual(['report'])
      // Taken back, the truth is believed again.
      expect(rules(await soak.look())).toEqual([])
    })

    it('sees an acknowledged status that the hub has lost', async () => {
      const { statuses } = (await soak.look()).hub
      const key = present(statuses.at(-2), 'a status')
      const [boot = '', seq = ''] = key.split(' ')
      const look = await afterLieInHub('DELETE FROM statuses WHERE boot = ? AND seq = ?', boot, Number(seq))
      const wire = { acknowledged: [key], ambiguous: [] }
      const found = soak.judge({ ...look, wire }, soak.disk, null).map((it) => it.what)
      expect(found).toEqual([`status ${key} was acknowledged and is 0 times at the hub`])
    })

    it(
      'pulls the plug so that what was not flushed is lost, and switches off so that it is not',
      async () => {
        const { board } = soak.world
        const data = join(board.directory, boardPaths.root, 'data')
        for (const [how, kept] of [['plug', false] as const, ['switch', true] as const]) {
          const started = soak.numbers().boots
          board.on()
          while (soak.numbers().boots === started || !board.watcher.resting) await sleep(100)
          // The data partition is mounted where only the board sees it.
          await writeFile(`/proc/${board.pid}/root${data}/unflushed-${how}`, 'x'.repeat(10_000))
          await board.off(how)
          expect(await board.left()).toEqual([])
          const { offset } = file.partitions.data
          const listed = await tool('debugfs', '-R', 'ls -l /', `${disk}?offset=${offset}`)
          expect(listed.includes(`unflushed-${how}`)).toBe(kept)
          expect(rules(await soak.look())).toEqual([])
        }
      },
      minutes(5),
    )

    it('sees a loop device that is left behind', async () => {
      const loop = await attachLoop({ path: disk, ...file.partitions.a }, true)
      const found = await remains(soak.world.board.directory)
      await loop.release()
      expect(found.join()).toContain(loop.path)
      expect(await remains(soak.world.board.directory)).toEqual([])
    })
  })

  afterAll(async () => {
    if (soak === undefined) return
    const result = await soak.close()
    for (const line of closingLines(result)) say(line)
    expect([result.violations, result.kept]).toEqual([[], null])
  }, minutes(3))
})

describe.skipIf(cannotRun !== null)(title('a soak that is interrupted'), () => {
  it(
    'ends with status 130 and leaves nothing behind',
    async () => {
      const program = fileURLToPath(new URL('soak/soak.ts', import.meta.url))
      const child = spawn(process.execPath, [program, '--minutes', '5', '--seed', '3', '--json'], {
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      let out = ''
      let directory = ''
      child.stdout.on('data', (it) => {
        out += it
      })
      const lines = createInterface({ input: child.stderr })
      await new Promise<void>((resolve, reject) => {
        child.once('close', () => reject(new Error(`it ended by itself: ${out}`)))
        lines.on('line', (line) => {
          directory = /keys and hub in (\S+)/.exec(line)?.[1] ?? directory
          // The board is on, and an assignment under way.
          if (/round 1 begins/.test(line)) resolve()
        })
      })
      expect(await remains(directory)).not.toEqual([])
      child.kill('SIGINT')
      const [status] = await once(child, 'close')
      expect(status).toBe(130)
      const result = JSON.parse(out)
      expect([result.interrupted, result.violations, result.seed]).toEqual([true, [], 3])
      expect(await remains(directory)).toEqual([])
      expect(existsSync(directory)).toBe(false)
    },
    minutes(8),
  )
})
