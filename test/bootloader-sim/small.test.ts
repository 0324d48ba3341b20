/** The small parts around a board: its file, paths of plain emulation, console lines and their tail. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { lines } from '../../bootloader-sim/adapters/lines.ts'
import { decodeBoard, diskBytes, layOut } from '../../bootloader-sim/board-file.ts'
import { consoleTail } from '../../bootloader-sim/console-tail.ts'
import { plainAgentSettings } from '../../bootloader-sim/plain-paths.ts'
import { boardLimits } from '../../core/limits.ts'
import { KiB, MiB } from '../../core/units.ts'
import { agentSettings, simChoices } from '../../images/boards/sim/agent-settings.ts'

const board = layOut({ deviceId: 'dev-1', image: 'rootfs', slotBytes: 100 * MiB + 1, watchdogMs: 5_000 })

describe('board file', () => {
  it('lays partitions out one after another on 1 MiB edges, and is read back as it was written', () => {
    const { boot, a, b, data } = board.partitions
    expect(boot).toEqual({ offset: MiB, bytes: 4 * MiB })
    expect(a).toEqual({ offset: 5 * MiB, bytes: 101 * MiB })
    expect(b.offset).toBe(106 * MiB)
    expect(diskBytes(board)).toBe(data.offset + data.bytes)
    expect(decodeBoard(JSON.stringify(board), 'board.json')).toEqual({ ok: true, value: board })
  })

  it('refuses unknown keys, wrong types, crooked or overlapping partitions', () => {
    const { partitions } = board
    const wrong: readonly unknown[] = [
      { ...board, extra: 1 },
      { ...board, v: 2 },
      { ...board, deviceId: '../x' },
      { ...board, watchdogMs: 0 },
      { ...board, partitions: { ...partitions, a: { offset: 5 * MiB + 512, bytes: MiB } } },
      { ...board, partitions: { ...partitions, a: { offset: MiB, bytes: 2 * MiB } } },
      { ...board, partitions: { ...partitions, data: undefined } },
      null,
    ]
    for (const it of wrong) {
      expect(decodeBoard(JSON.stringify(it), 'board.json')).toMatchObject({
        ok: false,
        error: { code: 'EB-NO-BOARD' },
      })
    }
    expect(decodeBoard('{', 'board.json')).toMatchObject({ ok: false })
  })
})

describe('paths of plain emulation', () => {
  it('changes where things are and nothing else', () => {
    const { partitions } = board
    const paths = { root: '/b/slot', run: '/b/run', data: '/b/data', disk: '/b/disk.img', partitions }
    const text = JSON.stringify(agentSettings(simChoices))
    const mapped = JSON.parse(plainAgentSettings(text, paths)) as Record<string, unknown>
    expect(mapped).toEqual({
      ...agentSettings(simChoices),
      identity: '/b/data/everboot/device.json',
      trust: '/b/slot/etc/everboot/trust.json',
      data: '/b/data/everboot/state',
      handOver: '/b/run/everboot/cmdline',
      socket: '/b/run/everboot/agent.sock',
      boot: { device: '/b/disk.img', ...partitions.boot },
      slots: {
        a: { rootfs: { device: '/b/disk.img', ...partitions.a } },
        b: { rootfs: { device: '/b/disk.img', ...partitions.b } },
      },
      watchdog: '/b/run/everboot/watchdog',
      reboot: { file: '/b/run/everboot/power' },
      lastConsole: '/b/run/everboot/last-console',
      bootTrace: '/b/run/everboot/boot-trace',
      health: {
        deadlineMs: simChoices.healthDeadlineMs,
        networkDeadlineMs: simChoices.networkDeadlineMs,
        checks: [{ name: 'service', probe: 'unix:/b/run/service.sock:/health' }],
      },
    })
    expect(() => plainAgentSettings('{', paths)).toThrow(/EB-CONFIG/)
    const kept = '{"a":"/running","b":"run","c":["/opt/x",1,null,true]}'
    expect(JSON.parse(plainAgentSettings(kept, paths))).toEqual(JSON.parse(kept))
  })
})

describe('console', () => {
  it('gives the same lines however the stream is cut into parts', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme', maxLength: 30 })),
        fc.infiniteStream(fc.nat({ max: 9 })),
        (wanted, cuts) => {
          const clean = wanted.map((it) => it.replace(/[\p{Cc}]/gu, ' '))
          const bytes = Buffer.from(clean.map((it) => `${it}\n`).join(''))
          const got: string[] = []
          const feed = lines((line) => got.push(line))
          for (let at = 0; at < bytes.length; ) {
            const length = 1 + (cuts.next().value as number)
            feed(bytes.subarray(at, at + length))
            at += length
          }
          expect(got).toEqual(clean)
        },
      ),
    )
  })

  it('cuts endless lines and takes the power of control characters away', () => {
    const got: string[] = []
    const feed = lines((line) => got.push(line))
    feed(Buffer.from(`\x1b[2Jgone\r\n${'x'.repeat(2 * boardLimits.consoleLineBytesMax + 5)}`))
    expect(got[0]).toBe('·[2Jgone')
    expect(got.slice(1).map((it) => it.length)).toEqual([
      boardLimits.consoleLineBytesMax,
      boardLimits.consoleLineBytesMax,
    ])
  })

  it('keeps the end, whole lines, within its limit', () => {
    const tail = consoleTail(KiB)
    for (let number = 0; number < 500; number += 1) tail.add(`line ${number} ümlaut`)
    const text = tail.text()
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(KiB)
    expect(Buffer.byteLength(text)).toBeGreaterThan(KiB - 40)
    expect(text.endsWith('line 499 ümlaut\n')).toBe(true)
    expect(text).toMatch(/^line \d+ ümlaut\n/)
    tail.add('y'.repeat(2 * KiB))
    expect(tail.text()).toBe('')
  })
})
