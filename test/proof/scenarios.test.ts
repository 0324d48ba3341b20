/**
 * Every scenario that comes with Everboot, played with all checkers: it comes out as its file says, at rest, with
 * no invariant broken. And a file that says something else, or in other words, does not get through.
 */
import { describe, expect, it } from 'vitest'
import { orThrow } from '../../core/errors.ts'
import { rememberingParts } from '../../proof/adapters/parts.ts'
import { openScenario, scenarioNames, sweptNames } from '../../proof/adapters/scenario-files.ts'
import { allCheckers } from '../../proof/checkers/all.ts'
import { play } from '../../proof/player.ts'
import { pieceBytes } from '../../proof/publisher.ts'
import { type Rehearsal, rehearse } from '../../proof/rehearsal.ts'
import { type Expectation, readScenario, type Scenario } from '../../proof/scenario.ts'
import { imageOf, sceneAfterCut } from '../../proof/scene.ts'
import { makeStage } from '../../proof/stage.ts'
import { sweepPart } from '../../proof/sweep/explore.ts'
import { killedFuture, pointsOf, preparedScene } from '../../proof/sweep/futures.ts'
import { otherwise, otherwiseUnderCuts } from '../../proof/verdict.ts'

const start = { pieces: 0, bytes: 0 }
const shape = { seed: 1, pieces: 8, sectorBytes: 4096 } as const

async function rehearsed(scenario: Scenario, sectorBytes: 512 | 4096 = 4096): Promise<Rehearsal> {
  return rehearse(scenario, await makeStage(scenario, { ...shape, sectorBytes }, rememberingParts))
}

const files = await Promise.all(
  (await scenarioNames()).map(async (name) => ({ name, ...(await openScenario(name)) })),
)
const scenarioOf = (name: string): Scenario =>
  files.find((it) => it.name === name)?.scenario ?? orThrow(readScenario('', name))

describe('the scenario', () => {
  it.each(files)('$name: $scenario.about', async ({ scenario }) => {
    const { violation, stuckAt, atRest, otherwise } = await rehearsed(scenario)
    expect({ violation, stuckAt, otherwise, atRest }).toEqual({
      violation: null,
      stuckAt: null,
      otherwise: null,
      atRest: true,
    })
  })
})

describe('a simulated board', () => {
  it('that is on is not switched on again', async () => {
    const scenario = scenarioOf('update')
    const { board } = await preparedScene(scenario, await makeStage(scenario, shape, rememberingParts))
    const boots = board.boots.length
    await board.powerOn()
    expect(board.boots).toHaveLength(boots)
    board.powerOff()
    await board.powerOn()
    expect(board.boots).toHaveLength(boots + 1)
  })

  it('gets the pieces that a story needs, however few were asked for', async () => {
    const scenario = scenarioOf('killed-agent')
    const stage = await makeStage(scenario, { ...shape, pieces: 4 }, rememberingParts)
    expect(stage.releases.get('factory')?.image).toHaveLength(scenario.piecesMin * pieceBytes)
    expect(scenario.piecesMin).toBeGreaterThan(4)
  })
})

describe('the agent killed at every operation', () => {
  it('does not keep a board on a damaged slot when the other one is good', async () => {
    const scenario = scenarioOf('counterexample-6')
    const stage = await makeStage(scenario, shape, rememberingParts)
    const { points } = await pointsOf({ scenario, stage })
    const running = points.filter((it) => it.phase !== 'boot')
    expect(running.length).toBeGreaterThan(30)
    for (const { number, name } of running) {
      expect(await killedFuture(scenario, stage, number), `${number}: ${name}`).toBeNull()
    }
  })
})

describe('the scenarios', () => {
  it('bear the names of their files', () => {
    for (const { name, scenario } of files) expect(scenario.name).toBe(name)
  })

  it('cover the named cases and all counterexamples of the boot protocol', () => {
    const covered = new Set(files.flatMap((it) => it.scenario.cases))
    const named = (letter: string, from: number, to: number): string[] =>
      Array.from({ length: to - from + 1 }, (_, index) => `${letter}${from + index}`)
    const all = [
      ...named('P', 1, 7),
      ...named('M', 1, 5),
      ...named('B', 1, 6),
      ...named('S', 11, 14),
      ...named('N', 1, 5),
      ...named('BOOT-', 1, 8),
    ]
    expect(all.filter((it) => !covered.has(it))).toEqual([])
  })

  it('of every day are six, and are swept', async () => {
    const everyday = files.filter((it) => it.scenario.everyday)
    expect(everyday).toHaveLength(6)
    expect(everyday.every((it) => it.scenario.sweep)).toBe(true)
    expect(await sweptNames(true)).toEqual(everyday.map((it) => it.name))
    expect(await sweptNames(false)).toEqual(files.filter((it) => it.scenario.sweep).map((it) => it.name))
  })

  it('come out the same on disks with sectors of 512 bytes', async () => {
    for (const name of ['update', 'torn-seal', 'torn-record', 'counterexample-7']) {
      expect(await rehearsed(scenarioOf(name), 512), name).toMatchObject({
        violation: null,
        otherwise: null,
        atRest: true,
      })
    }
  })

  it('are played with every checker that there is', () => {
    expect(allCheckers.length).toBeGreaterThan(0)
    expect(new Set(allCheckers.map((it) => it.id)).size).toBe(allCheckers.length)
  })
})

describe('an end that is not the expected one', async () => {
  const scenario = scenarioOf('sick-update')
  const stage = await makeStage(scenario, shape, rememberingParts)
  const { scene } = await rehearse(scenario, stage)
  const changes: readonly Partial<Expectation>[] = [
    { result: 'ok' },
    { result: null },
    { code: 'EB-NO-VERDICT' },
    { runs: 'v2' },
    { floor: 7 },
    { boots: 'b' },
    { attempts: ['ok'] },
    { attempts: ['EB-HEALTH', 'ok'] },
    { notices: ['EB-FELL-BACK'] },
    { holds: { a: 'factory', b: null } },
    { holds: { a: null, b: 'v2' } },
    { committed: 'ab' },
    { fetched: { copies: 0, pieces: 4 } },
    { logged: ['repair'] },
    { online: false },
  ]

  it.each(changes)('is noticed: %j', (change) => {
    expect(otherwise(scene, scenario.expect, stage, false)).toBeNull()
    expect(otherwise(scene, { ...scenario.expect, ...change }, stage, false)).not.toBeNull()
  })

  it('is not compared beyond the end when the power was cut', () => {
    const other = { ...scenario.expect, boots: 'b', attempts: [], fetched: { copies: 0, pieces: 0 } }
    expect(otherwise(scene, other, stage, true)).toBeNull()
    expect(otherwise(scene, { ...other, runs: 'v2' }, stage, true)).not.toBeNull()
  })

  it('is a violation in a sweep, with or without a cut', async () => {
    const wrong = { ...scenario, expect: { ...scenario.expect, boots: 'b' } }
    const plan = { scenario: wrong, stage, depth: 1, part: 0, parts: 1 } as const
    const { violations } = await sweepPart(plan, () => {})
    expect(violations).toMatchObject([{ invariant: 'story', what: 'boots ba, expected b' }])
    const other = { ...scenario, expect: { result: 'ok', runs: 'v2' } as const, underCuts: [] }
    expect(otherwiseUnderCuts(scene, other, stage)).toBe('the final report is failed EB-HEALTH, expected ok')
    expect(otherwiseUnderCuts(scene, { ...other, underCuts: scenario.underCuts }, stage)).toBeNull()
  })
})

describe('a loss of power', () => {
  const steps: Scenario['steps'] = [
    { do: 'hub', is: 'saved' },
    {
      do: 'answer',
      file: 'index',
      with: 'a status',
      times: 2,
      status: 404,
      retryAfterMs: null,
      after: start,
    },
    { do: 'tamper', release: 'v2', file: 'blob', how: 'everything is replaced' },
    {
      do: 'cut-at',
      operation: 'nothing like this',
      nth: 1,
      when: 'before',
      left: 'lost',
      stays: 'on',
      next: [],
    },
    { do: 'when', logged: { event: 'a moment that does not come' }, nth: 0, deeds: [{ do: 'kill-agent' }] },
    { do: 'assign', release: 'v2' },
    { do: 'hub', is: 'down' },
    { do: 'pass', ms: 60_000 },
  ]

  it('in the middle of a story leaves what lasts as it was, and begins no step again', async () => {
    const scenario = { ...scenarioOf('update'), steps }
    const stage = await makeStage(scenario, shape, rememberingParts)
    const first = await preparedScene(scenario, stage)
    await play(first, steps, stage)
    const again = await sceneAfterCut(stage, imageOf(first))
    const path = `/blobs/${stage.releases.get('v2')?.manifest.id}/rootfs.blob`
    expect(again.world.net.broker.up).toBe(false)
    expect(again.world.net.files.up).toBe(false)
    expect(again.world.net.files.files.get(path)?.every((it) => it === 5)).toBe(true)
    expect(again.story.state.conditions).toEqual(first.story.state.conditions)
    expect(again.story.state.conditions).toMatchObject({ hub: 'down', cut: { nth: 1 }, off: false })
    expect(again.story.state.conditions.orders).toHaveLength(1)
    await again.board.powerOn()
    await play(again, steps, stage)
    expect(again.story.state.wishes).toHaveLength(1)
    expect(again.world.time.nowMs()).toBe(first.world.time.nowMs())
  })

  it('in the middle of a wait does not end it', async () => {
    const scenario = { ...scenarioOf('update'), steps: [{ do: 'pass', ms: 60_000 } as const] }
    const stage = await makeStage(scenario, shape, rememberingParts)
    const first = await preparedScene(scenario, stage)
    const beganMs = first.world.time.nowMs()
    let image = imageOf(first)
    first.world.time.clock.timer(20_000, () => {
      image = imageOf(first)
    })
    await play(first, scenario.steps, stage)
    const again = await sceneAfterCut(stage, image)
    expect(again.world.time.nowMs()).toBe(beganMs + 20_000)
    await again.board.powerOn()
    await play(again, scenario.steps, stage)
    expect(again.world.time.nowMs()).toBe(beganMs + 60_000)
  })
})

describe('a scenario file', () => {
  const good = {
    v: 1,
    name: 'sample',
    about: 'A sample of a file.',
    releases: { v2: {} },
    steps: [{ do: 'assign', release: 'v2' }],
    expect: { result: 'ok', runs: 'v2' },
  }
  const refusal = (change: object): string => {
    const read = readScenario(JSON.stringify({ ...good, ...change }), 'sample.json')
    expect(read.ok).toBe(false)
    return read.ok ? '' : `${read.error.code} ${read.error.what}`
  }

  it('that is right is read, and what it leaves out is filled in', () => {
    expect(orThrow(readScenario(JSON.stringify(good), 'sample.json'))).toMatchObject({
      cases: [],
      sweep: true,
      everyday: false,
      prepare: [],
      underCuts: [],
      releases: { v2: { behaviour: 'healthy', securityVersion: 1, floorAfterCommit: null } },
    })
  })

  it.each<[string, object, string]>([
    ['an unknown deed', { steps: [{ do: 'explode' }] }, 'steps.0.do'],
    [
      'an unknown deed in an order',
      { steps: [{ do: 'when', logged: {}, deeds: [{ do: 'wait', for: 'rest' }] }] },
      'steps.0.deeds.0.do',
    ],
    ['an unknown thing to wait for', { prepare: [{ do: 'wait', for: 'luck' }] }, 'prepare.0.for'],
    ['an unknown fault', { steps: [{ do: 'fault', name: 'a comet' }] }, 'steps.0.name'],
    ['an unknown answer', { steps: [{ do: 'answer', file: 'blob', with: 'wit' }] }, 'steps.0.with'],
    ['a word too many', { steps: [{ do: 'heal', what: 'all' }] }, 'steps.0.what'],
    ['a pattern that is none', { steps: [{ do: 'cut-at', operation: '(' }] }, 'steps.0.operation'],
    ['an unknown behaviour', { releases: { v2: { behaviour: 'moody' } } }, 'releases.v2.behaviour'],
    ['an unknown expectation', { expect: { ...good.expect, mood: 'good' } }, 'expect.mood'],
    ['an unknown case', { cases: ['Q7'] }, 'cases.0'],
    ['a release that nobody made', { steps: [{ do: 'assign', release: 'v9' }] }, 'v9'],
    [
      'a release that nobody made in an order',
      { steps: [{ do: 'when', logged: {}, deeds: [{ do: 'assign', release: 'v8' }] }] },
      'v8',
    ],
    ['a release in the end that nobody made', { expect: { result: 'ok', runs: 'v7' } }, 'v7'],
    ['a slot that holds what nobody made', { expect: { ...good.expect, holds: { a: 'v6', b: null } } }, 'v6'],
  ])('with %s is refused with its place', (_, change, place) => {
    expect(refusal(change)).toMatch(/^EB-SCENARIO sample\.json: /)
    expect(refusal(change)).toContain(place)
  })

  it('that is no JSON is refused', () => {
    expect(readScenario('{', 'sample.json')).toMatchObject({ ok: false, error: { code: 'EB-SCENARIO' } })
  })
})
