/**
 * Plays a scenario on the simulated board and tells its outcome as a real board would.
 * Promise: what it tells is what the scenario expects; a story that comes out otherwise is not an outcome.
 */
import { raise } from '../../core/errors.ts'
import { comesToRest } from '../at-rest.ts'
import { play } from '../player.ts'
import type { Scenario } from '../scenario.ts'
import { boardName, type Scene, type Stage } from '../scene.ts'
import { preparedScene } from '../sweep/futures.ts'
import { scenarioFor } from '../tryboot-scenarios.ts'
import { otherwise } from '../verdict.ts'
import { type BootSeen, type Outcome, type RecordSeen, recordRanges, seenRecord } from './outcome.ts'

/** @param stage its options say which kind of loader. @throws EverbootError EB-SCENARIO */
export async function playSimulated(scenario: Scenario, stage: Stage): Promise<Outcome> {
  const boots: BootSeen[] = []
  const scene = await preparedScene(scenario, stage, (it) => {
    const told = it.board.onBoot
    it.board.onBoot = (found) => {
      told(found)
      if (found.kind !== 'none') boots.push({ slot: found.slot, record: recordOf(it) })
    }
  })
  const { observer } = scene
  const rests = (await play(scene, scenario.steps, stage)) && (await comesToRest(scene))
  observer.tell({ kind: 'end', converged: rests })
  const violation = observer.violation()
  const wrong =
    violation === null
      ? otherwise(scene, scenarioFor(scenario, stage.options.loader).expect, stage, false)
      : `${violation.invariant}: ${violation.what}`
  if (!rests || wrong !== null) {
    raise('EB-SCENARIO', `${scenario.name}: ${wrong ?? 'the simulated board does not come to rest'}`)
  }
  return { boots, rest: recordOf(scene), attempts: attemptsOf(scene) }
}

function recordOf({ board }: Scene): RecordSeen {
  return seenRecord(recordRanges.map(({ offset, bytes }) => board.bootDisk.medium(offset, bytes)))
}

function attemptsOf({ world, story }: Scene): readonly string[] {
  return story.state.wishes.map(({ seq }) => {
    const report = world.reports(boardName).findLast((it) => it.seq === seq)
    return report === undefined ? 'none' : (report.code ?? report.result)
  })
}
