/**
 * Boards that are started by tryboot: every scenario comes out as on other boards, apart from the slots that it boots;
 * autoboot.txt may be torn anywhere or be gone; a bootloader that is too old is named.
 */
import { describe, expect, it } from 'vitest'
import { fatImageBytes, fatImageFileOffset } from '../../bootloader-sim/tryboot/fat-image.ts'
import { partitionNamed } from '../../bootloader-sim/tryboot/firmware.ts'
import { printAutoboot } from '../../core/autoboot.ts'
import { orThrow } from '../../core/errors.ts'
import { sweepParts } from '../../proof/adapters/parts.ts'
import { openScenario, scenarioNames } from '../../proof/adapters/scenario-files.ts'
import { comesToRest } from '../../proof/at-rest.ts'
import { play } from '../../proof/player.ts'
import { rehearse } from '../../proof/rehearsal.ts'
import { readScenario, type Scenario } from '../../proof/scenario.ts'
import {
  boardName,
  imageOf,
  type Scene,
  type SceneImage,
  type Stage,
  sceneAfterCut,
} from '../../proof/scene.ts'
import { makeStage } from '../../proof/stage.ts'
import { preparedScene } from '../../proof/sweep/futures.ts'
import { endsOtherwise, scenarioFor } from '../../proof/tryboot-scenarios.ts'
import { otherwiseUnderCuts } from '../../proof/verdict.ts'

const shape = { seed: 1, pieces: 6, sectorBytes: 4096, loader: 'tryboot' } as const
const names = await scenarioNames()

const stageOf = (scenario: Scenario): Promise<Stage> => makeStage(scenario, shape, sweepParts)
const opened = async (name: string): Promise<Scenario> =>
  scenarioFor((await openScenario(name)).scenario, 'tryboot')

describe('on a board that is started by tryboot', () => {
  it.each(names)('%s comes out as it should', async (name) => {
    const scenario = await opened(name)
    const { violation, stuckAt, atRest, otherwise } = await rehearse(scenario, await stageOf(scenario))
    expect({ violation, stuckAt, otherwise, atRest }).toEqual({
      violation: null,
      stuckAt: null,
      otherwise: null,
      atRest: true,
    })
  })

  it('what comes out otherwise than elsewhere is named once, and truly otherwise', async () => {
    for (const [name, other] of Object.entries(endsOtherwise)) {
      expect(names).toContain(name)
      const { scenario } = await openScenario(name)
      expect({ ...scenario.expect, ...other }).not.toEqual(scenario.expect)
      expect(scenarioFor(scenario, 'verifying')).toBe(scenario)
    }
  })
})

/** The new system is committed and runs. */
const committed = story('[{"do":"assign","release":"v2"},{"do":"wait","for":"rest"}]', '[]')
/** The new system hangs, and its trial is under way. */
const onTrial = story(
  '[]',
  '[{"do":"assign","release":"v2"},{"do":"wait","for":"trial"},{"do":"wait","for":"rest"}]',
  'hang',
)

function story(prepare: string, steps: string, behaviour = 'healthy'): Scenario {
  const end = behaviour === 'hang' ? '{"result":"failed","runs":"factory"}' : '{"result":"ok","runs":"v2"}'
  const text = `{"v":1,"name":"torn","about":"A file is torn.","releases":{"v2":{"behaviour":"${behaviour}"}},
    "prepare":${prepare},"steps":${steps},"expect":${end}}`
  return orThrow(readScenario(text, 'torn'))
}

/** The board as the power left it when the story had come so far. */
async function leftAt(scenario: Scenario, stage: Stage, steps: number): Promise<SceneImage> {
  const scene = await preparedScene(scenario, stage)
  expect(await play(scene, scenario.steps.slice(0, steps), stage)).toBe(true)
  scene.board.powerOff()
  return imageOf(scene)
}

/** Goes on from there over another first partition, to the end. */
async function goesOn(
  image: SceneImage,
  [scenario, stage]: readonly [Scenario, Stage],
  damage: readonly [offset: number, bytes: Uint8Array],
): Promise<Scene> {
  const scene = await sceneAfterCut(stage, image)
  scene.board.storage.autoboot?.plant(...damage)
  scene.observer.planted('autoboot')
  await scene.board.powerOn()
  const rested = (await play(scene, scenario.steps, stage)) && (await comesToRest(scene))
  scene.observer.tell({ kind: 'end', converged: rested })
  return scene
}

const two = printAutoboot({ partition: 2, trial: 3 })
const three = printAutoboot({ partition: 3, trial: 2 })

/** Every sector that a torn write can leave, and what rot and a new card look like. */
const garbled: readonly Uint8Array[] = [
  ...Array.from(two, (_, at) => Buffer.concat([three.subarray(0, at), two.subarray(at)])),
  ...Array.from(two, (_, at) => Buffer.concat([two.subarray(0, at), three.subarray(at)])),
  ...[0, 0x20, 0x41, 0xff].map((byte) => new Uint8Array(two.length).fill(byte)),
  Buffer.from(three).reverse(),
  printAutoboot({ partition: 9, trial: 9 }),
  printAutoboot({ partition: 1, trial: 1 }),
]

/** One for each way in which the firmware may understand it. */
const differentlyRead: readonly Uint8Array[] = [
  ...new Map(
    garbled.map((it) => [`${partitionNamed(it, false)} ${partitionNamed(it, true)}`, it] as const),
  ).values(),
]

describe('autoboot.txt, torn or garbled in any way,', () => {
  it('neither keeps the committed system from running nor stays as it is', async () => {
    const stage = await stageOf(committed)
    const image = await leftAt(committed, stage, 0)
    for (const bytes of garbled) {
      const { board, observer } = await goesOn(image, [committed, stage], [fatImageFileOffset, bytes])
      const text = Buffer.from(bytes).toString('latin1')
      expect(observer.violation(), text).toBeNull()
      expect(board.boots.at(-1), text).toBe('b')
      expect(observer.truth.autoboot(), text).toEqual({ all: 3, tryboot: 2 })
    }
  })

  it('neither lengthens a trial nor hides how it ended', async () => {
    const stage = await stageOf(onTrial)
    const image = await leftAt(onTrial, stage, 2)
    for (const bytes of differentlyRead) {
      const scene = await goesOn(image, [onTrial, stage], [fatImageFileOffset, bytes])
      const text = Buffer.from(bytes).toString('latin1')
      expect(scene.observer.violation(), text).toBeNull()
      expect(otherwiseUnderCuts(scene, onTrial, stage), text).toBeNull()
    }
  })

  it('or gone with its file system, leaves the first slot running, and the hub hears why', async () => {
    const stage = await stageOf(committed)
    const image = await leftAt(committed, stage, 0)
    const { board, world } = await goesOn(image, [committed, stage], [0, new Uint8Array(fatImageBytes)])
    expect(board.boots.slice(-1)).toEqual(['a'])
    const notices = world.statuses(boardName).flatMap((it) => it.notice?.code ?? [])
    expect(notices).toEqual(['EB-AUTOBOOT', 'EB-FELL-BACK'])
    expect(board.ends).toEqual([])
  })
})

describe('an agent on a Raspberry Pi', () => {
  it.each([
    [null, 'EB-EEPROM'],
    [{ tryboot: false, partition: 0 }, 'EB-EEPROM'],
    [{ tryboot: false, partition: 3 }, 'EB-CONFIG'],
  ] as const)('to which the firmware says %j ends, and says so to the hub', async (said, code) => {
    const stage = await stageOf(committed)
    const scene = await sceneAfterCut(stage, await leftAt(onTrial, stage, 0))
    const { board, world } = scene
    board.system.firmware = () => said
    await board.powerOn()
    await world.time.pass(20_000)
    expect(board.ends[0]?.code).toBe(code)
    expect(board.ends[0]?.todo).toContain(code === 'EB-EEPROM' ? 'rpi-eeprom-update -a' : 'correct')
    expect(world.statuses(boardName).some((it) => it.notice?.code === code)).toBe(true)
    expect(board.boots).toHaveLength(2)
  })
})
