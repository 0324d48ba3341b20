/**
 * The story of the demonstration, chapter by chapter. What each must come to is checked: a chapter that ends
 * otherwise fails the demonstration.
 * Leaves to others: the stage (adapters/stage.ts), printing (cli.ts).
 */
import { raise } from '../core/errors.ts'
import { demoLimits } from '../core/limits.ts'
import { otherSlot, type SlotId } from '../core/units.ts'
import type { ReleaseView } from '../hub/http/views.ts'
import { type DeviceView, until } from './adapters/desk.ts'
import { type BoardStatus, deviceId, type Recipe, type Stage } from './adapters/stage.ts'
import { type Chapter, sumSent } from './chapter.ts'

export interface Narrator {
  /** A line of the story. */
  say(line: string): void
  /** A share of something, 0 to 1. */
  progress(what: string, share: number): void
  sleep(durationMs: number): Promise<void>
  nowMs(): number
}

interface Scene {
  readonly stage: Stage
  readonly narrator: Narrator
}

/** What a chapter came to, beside what is counted. */
interface Ending {
  readonly outcome: string
  readonly code: string | null
}

interface ChapterPlan {
  readonly name: string
  readonly runs: { readonly slot: SlotId; readonly version: string }
  act(scene: Scene): Promise<Ending>
}

export const recipes: Readonly<Record<'good' | 'sick' | 'hung' | 'bare', Recipe>> = {
  good: { version: 2, flags: [] },
  sick: { version: 3, flags: ['--service', 'sick'] },
  hung: { version: 4, flags: ['--init', 'hang'] },
  bare: { version: 5, flags: ['--no-agent'] },
}

const plans: readonly ChapterPlan[] = [
  { name: '1 factory system', runs: { slot: 'a', version: '1' }, act: factory },
  { name: '2 update, agent killed, link cut', runs: { slot: 'b', version: '2' }, act: goodUpdate },
  { name: '3 running system destroyed', runs: { slot: 'a', version: '1' }, act: destroyed },
  { name: '4 the same update once more', runs: { slot: 'b', version: '2' }, act: onceMore },
  {
    name: '5 update whose service is sick',
    runs: { slot: 'b', version: '2' },
    act: (scene) => badUpdate(scene, recipes.sick, 'EB-HEALTH'),
  },
  {
    name: '6 update that hangs',
    runs: { slot: 'b', version: '2' },
    act: (scene) => badUpdate(scene, recipes.hung, 'EB-NO-VERDICT'),
  },
  {
    name: '7 update without an agent',
    runs: { slot: 'b', version: '2' },
    act: (scene) => badUpdate(scene, recipes.bare, 'EB-NO-VERDICT'),
  },
  { name: '8 update that was tampered with', runs: { slot: 'b', version: '2' }, act: tampered },
]

/** Plays all chapters. @throws EverbootError when one does not end as it must */
export async function play(scene: Scene, done: (chapter: Chapter) => void): Promise<readonly Chapter[]> {
  const chapters: Chapter[] = []
  for (const plan of plans) {
    scene.narrator.say('')
    scene.narrator.say(plan.name)
    const chapter = await playOne(scene, plan)
    chapters.push(chapter)
    done(chapter)
  }
  return chapters
}

async function playOne(scene: Scene, plan: ChapterPlan): Promise<Chapter> {
  const { stage, narrator } = scene
  const before = { sent: stage.sent.length, states: stage.states.length, boots: stage.boots.length }
  const startMs = narrator.nowMs()
  const ending = await plan.act(scene)
  const { slot, version } = await settled(stage, plan)
  const chapter = {
    name: plan.name,
    ...ending,
    slot,
    version,
    states: stage.states.slice(before.states),
    boots: plan === plans[0] ? [...stage.boots] : stage.boots.slice(before.boots),
    ...sumSent(stage.sent.slice(before.sent)),
    seconds: (narrator.nowMs() - startMs) / 1000,
  }
  return chapter
}

/** The board must run what the chapter says. */
async function settled(stage: Stage, plan: ChapterPlan): Promise<{ slot: SlotId; version: string }> {
  const { slot, version } = plan.runs
  let last: BoardStatus | null = null
  await until(`version ${version} runs from slot ${slot}`, async () => {
    last = await stage.board()
    return last.slot === slot && last.version === version && last.processes.agent !== null
  })
  return { slot, version }
}

async function factory({ stage, narrator }: Scene): Promise<Ending> {
  await until('the device reports to the hub', async () => (await stage.device()).running?.version === '1')
  const { mode, why } = await stage.board()
  narrator.say(
    `  version 1 runs from slot a and is known to the hub (${mode}${why === null ? '' : `: ${why}`})`,
  )
  return { outcome: 'running', code: null }
}

async function goodUpdate({ stage, narrator }: Scene): Promise<Ending> {
  const file = await stage.build(recipes.good)
  const release = await stage.publish(file)
  narrator.say(`  ${release} is published and assigned; it is downloaded into slot b`)
  const total = await releaseBytes(stage, release)
  const before = stage.link.counters().down
  const share = (): number => Math.min(1, (stage.link.counters().down - before) / total)
  await stage.rollOut(release)
  await downloaded(narrator, share, 0.25)
  await stage.killAgent()
  narrator.say(`  at ${percent(share())} the agent is killed (SIGKILL); init starts it again`)
  await downloaded(narrator, share, 0.6)
  stage.link.cut()
  narrator.say(`  at ${percent(share())} the network is cut for ${demoLimits.linkCutMs / 1000} s`)
  await narrator.sleep(demoLimits.linkCutMs)
  stage.link.restore()
  await finished(stage, narrator, share)
  return { outcome: 'committed', code: null }
}

async function destroyed({ stage, narrator }: Scene): Promise<Ending> {
  const before = await stage.device()
  await stage.command(['emulator', 'damage', `${stage.directory}/board`, '--slot', 'b', '--what', 'init'])
  narrator.say('  what starts version 2 is overwritten on the disk, then the reset button is pressed')
  await stage.reset()
  let after: DeviceView = before
  await until('the hub knows that the board fell back', async () => {
    after = await stage.device()
    return after.notice !== null && after.notice.atMs !== before.notice?.atMs
  })
  const code = after.notice?.code ?? null
  narrator.say(`  the loader refused slot b and started slot a; the device says ${code}`)
  narrator.say(`  hub: running ${after.running?.version}, drift: ${after.drift}`)
  must(
    code === 'EB-FELL-BACK' && after.drift === 'drift',
    `EB-FELL-BACK and drift, got ${code} and ${after.drift}`,
  )
  return { outcome: 'fell back', code }
}

async function onceMore({ stage, narrator }: Scene): Promise<Ending> {
  const release = await stage.publish(await stage.build(recipes.good))
  await stage.rollOut(release)
  narrator.say('  a new attempt: what is still whole in slot b is kept, the rest is fetched')
  await finished(stage, narrator, () => 0)
  const { drift } = await stage.device()
  must(drift === 'none', `no drift, got ${drift}`)
  return { outcome: 'committed', code: null }
}

async function badUpdate({ stage, narrator }: Scene, recipe: Recipe, code: string): Promise<Ending> {
  const release = await stage.publish(await stage.build(recipe))
  await stage.rollOut(release)
  narrator.say(`  ${release} is published and assigned`)
  const boots = stage.boots.length
  const view = await outcome(stage)
  const tries = stage.boots.slice(boots).filter((it) => it === 'a').length
  narrator.say(
    `  tried ${tries === 1 ? 'once' : `${tries} times`}, then back: ${view.attempt?.code}: ${view.attempt?.what}`,
  )
  const evidence = view.evidences.find((it) => it.code === code)?.evidence
  for (const line of lastWords(evidence)) narrator.say(`  evidence: ${line}`)
  must(
    view.attempt?.code === code && evidence !== undefined,
    `${code} with evidence, got ${view.attempt?.code}`,
  )
  must(tries === (code === 'EB-HEALTH' ? 1 : 3), `the right number of tries, got ${tries}`)
  return { outcome: 'rolled back', code }
}

async function tampered({ stage, narrator }: Scene): Promise<Ending> {
  const { slot } = await stage.board()
  const spare = otherSlot(slot)
  const before = await stage.slotHash(spare)
  const release = await stage.publish(await strangersRelease(stage))
  narrator.say(`  somebody took over the hub and offers ${release}, signed with a key of their own`)
  await stage.rollOut(release)
  const view = await outcome(stage)
  narrator.say(`  the device: ${view.attempt?.code}: ${view.attempt?.what}`)
  must((await stage.slotHash(spare)) === before, `slot ${spare} unchanged`)
  narrator.say(`  slot ${spare} is byte for byte what it was`)
  must(view.attempt?.code === 'EB-UNKNOWN-KEY', `EB-UNKNOWN-KEY, got ${view.attempt?.code}`)
  return { outcome: 'refused', code: 'EB-UNKNOWN-KEY' }
}

async function strangersRelease(stage: Stage): Promise<string> {
  const { directory } = stage
  const file = `${directory}/v6.ebr`
  const what = ['--product', 'demo', '--version', '6', '--security-version', '6', '--hardware', 'sim']
  const keys = ['--keys', `${directory}/stranger-keys`, '--device', deviceId, '--level', '1']
  await stage.command(['image', 'build', `${directory}/root-2`, '--out', file, ...keys, ...what])
  return file
}

/** What the evidence says to people: the failing check, else the end of the console without the agent's log. */
function lastWords(evidence: DeviceView['evidences'][number]['evidence'] | undefined): readonly string[] {
  const { check, output, console = '' } = evidence ?? {}
  if (check !== undefined) return [`check ${check}: ${output ?? ''}`]
  const lines = console.split('\n').filter((line) => line !== '' && !line.startsWith('{'))
  return lines.slice(-2)
}

/** Waits until the newest attempt has ended. */
async function outcome(stage: Stage): Promise<DeviceView> {
  let view = await stage.device()
  await until('the attempt has ended', async () => {
    view = await stage.device()
    return view.attempt?.state === 'succeeded' || view.attempt?.state === 'failed'
  })
  return view
}

async function finished(stage: Stage, narrator: Narrator, share: () => number): Promise<void> {
  await until('the update is committed', async () => {
    narrator.progress(stage.states.at(-1) ?? '', share())
    const { attempt } = await stage.device()
    must(attempt?.state !== 'failed', `a committed update, got ${attempt?.code}: ${attempt?.what}`)
    return attempt?.state === 'succeeded'
  })
  narrator.say('  downloaded, read back, sealed, tried, healthy, committed')
}

async function downloaded(narrator: Narrator, share: () => number, wanted: number): Promise<void> {
  await until(`${percent(wanted)} are downloaded`, async () => {
    narrator.progress('DOWNLOADING', share())
    return share() >= wanted
  })
}

async function releaseBytes(stage: Stage, release: string): Promise<number> {
  const { bytes } = await stage.hub.get<ReleaseView>(`/v1/releases/${release}`)
  return bytes
}

function must(condition: boolean, expected: string): void {
  if (!condition) raise('EB-INTERNAL', `the demonstration expected ${expected}`)
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}
