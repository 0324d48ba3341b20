/**
 * The real agent on the real (emulated) board, killed with SIGKILL in every phase of updates: every update
 * completes, and no piece is fetched twice but those in flight.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MiB } from '../../core/units.ts'
import { until } from '../../demo/adapters/stage.ts'
import { sumSent } from '../../demo/chapter.ts'
import { cannotRun, openRig, type Rig } from './rig.ts'

const phases = ['DOWNLOADING', 'VERIFYING', 'APPLYING', 'armed', 'trial'] as const
type Phase = (typeof phases)[number]

/** What on the console shows that a phase has begun. */
const signs: Readonly<Record<Phase, RegExp>> = {
  DOWNLOADING: /"to":"DOWNLOADING"/,
  VERIFYING: /"to":"VERIFYING"/,
  APPLYING: /"to":"APPLYING"/,
  armed: /"event":"reboot"/,
  trial: /"event":"health","verdict":"healthy","standing":"trial"/,
}
/** How often an update is hit in each phase. */
const hits: Readonly<Record<Phase, number>> = {
  DOWNLOADING: 4,
  VERIFYING: 2,
  APPLYING: 2,
  armed: 1,
  trial: 1,
}
const rounds = 6
/** In flight may be: one range in the agent's and the kernel's buffers on both sides of the line. */
const inFlightMax = 12 * MiB

describe.skipIf(cannotRun !== null)(
  `kill -9 of the agent${cannotRun === null ? '' : `: ${cannotRun}`}`,
  () => {
    let rig: Rig
    beforeAll(async () => {
      rig = await openRig(30 * MiB)
    }, 120_000)
    afterAll(() => rig?.close(), 60_000)

    it(`in every phase of ${rounds} updates, 10 times each: all complete`, async () => {
      const { stage } = rig
      const killed: Record<Phase, number> = { DOWNLOADING: 0, VERIFYING: 0, APPLYING: 0, armed: 0, trial: 0 }
      for (let round = 0; round < rounds; round += 1) {
        const file = await stage.build({ version: 2 + (round % 2), flags: [] })
        const release = await stage.publish(file)
        const left: Record<Phase, number> = { ...hits }
        let blows = 0
        let striking: Promise<void> = Promise.resolve()
        const strike = async (phase: Phase, delayMs: number): Promise<void> => {
          await new Promise((resolve) => setTimeout(resolve, delayMs))
          const pid = (await stage.board()).processes.agent?.pid
          if (pid === undefined) return
          process.kill(pid, 'SIGKILL')
          killed[phase] += 1
          blows += 1
        }
        rig.onConsole = (line) => {
          const phase = phases.find((it) => signs[it].test(line))
          if (phase === undefined || left[phase] === 0) return
          left[phase] -= 1
          striking = striking.then(() => strike(phase, phase === 'DOWNLOADING' ? 200 : 30)).catch(() => {})
        }
        const sentBefore = stage.sent.length
        await stage.rollOut(release)
        await until('the update has ended', async () => (await stage.device()).attempt?.state === 'succeeded')
        await striking
        rig.onConsole = () => {}
        const { bytesResent } = sumSent(
          stage.sent.slice(sentBefore).filter((it) => it.path.endsWith('.blob')),
        )
        expect(bytesResent, `bytes sent again after ${blows} kills`).toBeLessThanOrEqual(blows * inFlightMax)
        const board = await stage.board()
        expect(board.version).toBe(`${2 + (round % 2)}`)
      }
      process.stdout.write(`kills by phase: ${JSON.stringify(killed)}\n`)
      for (const phase of phases) expect(killed[phase], phase).toBeGreaterThanOrEqual(5)
      expect(Object.values(killed).reduce((sum, it) => sum + it, 0)).toBeGreaterThanOrEqual(60)
    }, 400_000)
  },
)
