/** The board's life over port doubles: watchdog, panic, power switch, reset button, nothing to boot. */
import { afterEach, describe, expect, it } from 'vitest'
import { Board, type Hardware, type Load, type Wires } from '../../bootloader-sim/board.ts'
import { type VirtualTime, virtualTime } from '../../bootloader-sim/devices/clock.ts'
import { raise } from '../../core/errors.ts'
import { boardLimits } from '../../core/limits.ts'
import type { LogEvent } from '../../core/ports.ts'
import { newTurn } from '../../proof/adapters/turn.ts'
import {
  boardWith,
  countingEntropy,
  disksOf,
  firmware,
  type MemoryBoard,
  record,
  sealedSlot,
  withRecord,
} from './memory-board.ts'

const watchdogMs = 10_000

interface Started {
  readonly load: Load
  readonly wires: Wires
  /** Lets process 1 end. */
  readonly die: (how: string) => void
  killed: boolean
}

/** Hardware that starts nothing but notes what it was told. */
interface TestHardware extends Hardware {
  readonly log: string[]
  readonly started: Started[]
}

function testHardware(board: MemoryBoard, fails: () => boolean = () => false): TestHardware {
  const log: string[] = []
  const started: Started[] = []
  return {
    log,
    started,
    async powerOn() {
      log.push('power on')
      return disksOf(board)
    },
    async start(load, wires) {
      log.push(`start ${load.slot}`)
      if (fails()) raise('EB-IMAGE', 'the slot holds neither ext4 nor squashfs')
      let die: (how: string) => void = () => {}
      const ended = new Promise<string>((resolve) => {
        die = resolve
      })
      const it: Started = { load, wires, die, killed: false }
      started.push(it)
      return {
        ended,
        async kill() {
          it.killed = true
          log.push('kill')
        },
      }
    },
    async powerOff() {
      log.push('power off')
    },
  }
}

interface Rig {
  readonly time: VirtualTime
  readonly board: Board
  readonly hardware: TestHardware
  readonly events: LogEvent[]
  readonly names: () => string[]
  readonly done: Promise<void>
  readonly boots: (count: number) => Promise<boolean>
}

let running: Board | null = null
afterEach(() => running?.stop())

function rig(hardware: TestHardware, boots: number | null = null, lastConsole = ''): Rig {
  const time = virtualTime(newTurn(), 0)
  const events: LogEvent[] = []
  const ports = {
    hardware,
    clock: time.clock,
    entropy: countingEntropy(),
    events: { emit: (it: LogEvent) => void events.push(it) },
  }
  const board = new Board(ports, { firmware, watchdogMs, boots, lastConsole })
  running = board
  const done = board.run()
  const names = (): string[] => events.map((it) => it.event).filter((it) => it !== 'loader')
  const until = (count: number) => time.until(() => hardware.started.length >= count, 60_000)
  return { time, board, hardware, events, names, done, boots: until }
}

async function committed(): Promise<MemoryBoard> {
  return withRecord(boardWith(sealedSlot({ sv: 1 }), null), record('1/1/8', '0/0/0', 'a'))
}

describe('emulated board', () => {
  it('arms the watchdog before the system starts and bites after silence, not before', async () => {
    const { hardware, time, names, boots } = rig(testHardware(await committed()))
    expect(await boots(1)).toBe(true)
    const begun = time.nowMs()
    expect(await boots(2)).toBe(true)
    expect(time.nowMs() - begun).toBe(watchdogMs)
    expect(hardware.started[0]?.killed).toBe(true)
    expect(names()).toEqual(
      [
        'power-on',
        'handover',
        'running',
        'console',
        'watchdog',
        'reset',
        'power-on',
        'handover',
        'running',
      ].slice(0, names().length),
    )
    expect(hardware.log.slice(0, 4)).toEqual(['power on', 'start a', 'kill', 'power off'])
  })

  it('does not bite while the system pets, however long', async () => {
    const { hardware, time, boots, events } = rig(testHardware(await committed()))
    await boots(1)
    for (let pets = 0; pets < 20; pets += 1) {
      const next = time.nowMs() + watchdogMs - 1
      time.clock.timer(watchdogMs - 1, () => hardware.started[0]?.wires.pet())
      await time.until(() => time.nowMs() >= next, watchdogMs)
    }
    expect(hardware.started.length).toBe(1)
    expect(events.some((it) => it.event === 'watchdog')).toBe(false)
    expect(time.nowMs()).toBeGreaterThan(15 * watchdogMs)
  })

  it('resets when process 1 ends, when the system asks and when the button is pressed', async () => {
    const { hardware, board, events, boots } = rig(testHardware(await committed()))
    await boots(1)
    hardware.started[0]?.die('status 1')
    await boots(2)
    hardware.started[1]?.wires.power('reboot')
    await boots(3)
    const gone = board.reset('reset button').then(() => hardware.log.at(-1))
    await boots(4)
    expect(await gone).toMatch(/power off|power on|start a/)
    expect(events.filter((it) => it.event === 'reset').map((it) => it['why'])).toEqual([
      'process 1 ended: status 1',
      'the system asked for: reboot',
      'reset button',
    ])
    expect(hardware.started.slice(0, 3).every((it) => it.killed)).toBe(true)
  })

  it('kills everything and lets go of the disks before it decides anew', async () => {
    const { hardware, boots } = rig(testHardware(await committed()))
    await boots(3)
    const once = ['power on', 'start a', 'kill', 'power off']
    expect(hardware.log.slice(0, 10)).toEqual([...once, ...once, 'power on', 'start a'])
  })

  it('hands over what the bootloader decided, with the last console and the traces of the last boots', async () => {
    const { hardware, boots } = rig(testHardware(await committed()), null, 'before the power went\n')
    await boots(1)
    const [first] = hardware.started
    expect(first?.load).toMatchObject({ slot: 'a', lastConsole: 'before the power went\n' })
    expect(first?.load.commandLine).toContain(`everboot.slot=a everboot.boot=${first?.load.bootId}`)
    first?.wires.console('kernel panic: nothing to do')
    await boots(2)
    const second = hardware.started[1]?.load
    expect(second?.lastConsole).toBe(
      `kernel panic: nothing to do\nboard: the watchdog bites after ${watchdogMs} ms of silence\n`,
    )
    expect(second?.bootTrace).toMatch(/^boot 1:\nrecord: [\s\S]*boot 2:\n[\s\S]*slot a starts/)
    await boots(8)
    expect(hardware.started[7]?.load.bootTrace.match(/^boot \d+:/gm)).toEqual([
      'boot 5:',
      'boot 6:',
      'boot 7:',
      'boot 8:',
    ])
  })

  it('pauses, reports and tries again when no slot can be started', async () => {
    const hardware = testHardware(boardWith(null, null))
    const { time, events, board } = rig(hardware)
    await time.until(() => events.filter((it) => it.event === 'no-slot').length === 3, 60_000)
    expect(time.nowMs()).toBe(2 * boardLimits.noSlotPauseMs)
    expect(events.find((it) => it.event === 'no-slot')).toMatchObject({ code: 'EB-NO-SLOT' })
    expect(board.state()).toMatchObject({ phase: 'pausing', slot: null, silentMs: null })
  })

  it('does not spin when every boot fails at once', async () => {
    let starts = 0
    const hardware = testHardware(await committed(), () => {
      starts += 1
      // A board that spins would never let the clock go on.
      if (starts > 50) running?.stop()
      return true
    })
    const { time, events } = rig(hardware)
    await time.until(() => false, 10 * boardLimits.pauseMs)
    const resets = events.filter((it) => it.event === 'reset')
    expect(resets.length).toBeGreaterThanOrEqual(9)
    expect(resets.length).toBeLessThanOrEqual(12)
    expect(resets[0]?.['why']).toMatch(/the board failed: EB-IMAGE/)
  })

  it('cuts a pause short at the reset button', async () => {
    const { time, events, board } = rig(testHardware(boardWith(null, null)))
    await time.until(() => board.state().phase === 'pausing', 1_000)
    const at = time.nowMs()
    let ended = false
    void board.reset('reset button').then(() => {
      ended = true
    })
    await time.until(() => ended, 60_000)
    expect(ended).toBe(true)
    await time.until(() => events.filter((it) => it.event === 'power-on').length > 1, 60_000)
    expect(time.nowMs() - at).toBeLessThanOrEqual(boardLimits.pauseMs)
  })

  it('ends after the wanted number of boots', async () => {
    const { time, done, hardware } = rig(testHardware(await committed()), 2)
    let ended = false
    void done.then(() => {
      ended = true
    })
    expect(await time.until(() => ended, 60_000)).toBe(true)
    expect(hardware.started.length).toBe(2)
    expect(hardware.log.at(-1)).toBe('power off')
  })

  it('switches off at once, whatever it is doing', async () => {
    for (const phase of ['loading', 'running', 'pausing'] as const) {
      const memory = phase === 'pausing' ? boardWith(null, null) : await committed()
      const { time, done, board, hardware } = rig(testHardware(memory))
      if (phase !== 'loading') await time.until(() => board.state().phase === phase, 1_000)
      const at = time.nowMs()
      board.stop()
      let ended = false
      void done.then(() => {
        ended = true
      })
      expect(await time.until(() => ended, 60_000)).toBe(true)
      expect(time.nowMs()).toBe(at)
      expect(hardware.log.at(-1)).toBe('power off')
      expect(board.state().phase).toBe('off')
      await board.reset('too late')
    }
  })
})
