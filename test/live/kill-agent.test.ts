/**
 * The real agent on the real (emulated) board, killed with SIGKILL in every phase of updates: every update
 * completes, and no piece is fetched twice but those in flight.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MiB } from '../../core/units.ts'
import { until } from '../../demo/adapters/desk.ts'
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
  DOWNLOADING: 6,
  VERIFYING: 3,
  APPLYING: 2,
  armed: 2,
  trial: 2,
}
const killsWanted = 60
const perPhaseWanted = 5
const roundsMax = 10
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

    it(`in every phase of updates, ${killsWanted} times in all: every update completes`, async () => {
      const { stage } = rig
      const killed: Record<Phase, number> = { DOWNLOADING: 0, VERIFYING: 0, APPLYING: 0, armed: 0, trial: 0 }
      const sum = (): number => Object.values(killed).reduce((total, it) => total + it, 0)
      const enough = (): boolean => sum() >= killsWanted && phases.every((it) => killed[it] >= perPhaseWanted)
      for (let round = 0; round < roundsMax && !enough(); round += 1) {
        const version = 2 + round
        const release = await stage.publish(await stage.build({ version, flags: [] }))
        const sentBefore = stage.sent.length
        const before = sum()
        const blows = strikes(rig, killed)
        await stage.rollOut(release)
        await until('the update has ended', async () => (await stage.device()).attempt?.state === 'succeeded')
        await blows.end()
        const { bytesResent } = sumSent(
          stage.sent.slice(sentBefore).filter((it) => it.path.endsWith('.blob')),
        )
        expect(bytesResent, 'bytes sent again').toBeLessThanOrEqual((sum() - before) * inFlightMax)
        expect((await stage.board()).version).toBe(`${version}`)
      }
      process.stdout.write(`kills by phase: ${JSON.stringify(killed)}\n`)
      for (const phase of phases) expect(killed[phase], phase).toBeGreaterThanOrEqual(perPhaseWanted)
      expect(sum()).toBeGreaterThanOrEqual(killsWanted)
    }, 560_000)
  },
)

/** Kills the agent when the console shows that a phase has begun, as often as `hits` says. */
function strikes(rig: Rig, killed: Record<Phase, number>): { end(): Promise<void> } {
  const left: Record<Phase, number> = { ...hits }
  let striking: Promise<void> = Promise.resolve()
  const strike = async (phase: Phase): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, phase === 'DOWNLOADING' ? 200 : 20))
    const pid = (await rig.stage.board()).processes.agent?.pid
    if (pid === undefined) return
    process.kill(pid, 'SIGKILL')
    killed[phase] += 1
  }
  rig.onConsole = (line) => {
    const phase = phases.find((it) => signs[it].test(line))
    if (phase === undefined || left[phase] === 0) return
    left[phase] -= 1
    // A process that is gone already needs no killing.
    striking = striking.then(() => strike(phase)).catch(() => {})
  }
  return {
    async end() {
      await striking
      rig.onConsole = () => {}
    },
  }
}
