/**
 * `everboot qemu test | up`: stories on boards in QEMU, and a board in QEMU to play with.
 * Leaves to others: everything but options and printing.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { needQemu } from '../../bootloader-sim/qemu/adapters/find-program.ts'
import { present } from '../../core/assert.ts'
import { type Command, type CommandInput, flagOption } from '../../core/command.ts'
import { exitStatus, faultOf, faultText, raise } from '../../core/errors.ts'
import { sceneLimits } from '../../core/limits.ts'
import { children } from '../../demo/adapters/children.ts'
import { boardTools, ensureHostTools } from '../../images/build/adapters/host-tools.ts'
import { rememberingParts } from '../adapters/parts.ts'
import { openScenario } from '../adapters/scenario-files.ts'
import { loopKit } from './adapters/loop-kit.ts'
import { homeDevice, openQemuHome } from './adapters/qemu-home.ts'
import { qemuKit } from './adapters/qemu-kit.ts'
import { openWorkshop } from './adapters/workshop.ts'
import { difference, type Outcome } from './outcome.ts'
import { notForReal } from './real-player.ts'
import { expectedOutcome, loaderOf, storyNames } from './stories.ts'

interface Played {
  readonly story: string
  readonly boots: string
  readonly attempts: readonly string[]
  readonly seconds: number
  /** In words what came out otherwise than on the simulated board, or null. */
  readonly otherwise: string | null
}

const test: Command = {
  name: 'qemu test',
  summary: 'Play stories on real boards in QEMU: updates, fallbacks, power cuts',
  positionals: '[STORY]…',
  positionalsMin: 0,
  positionalsMax: 100,
  options: {
    loop: { type: 'boolean', means: 'on emulated boards with loop devices instead' },
    console: { type: 'boolean', means: 'show the consoles of the boards' },
    keep: { type: 'boolean', means: 'leave keys, hub, releases and boards where they are' },
  },
  notes: `A story is a scenario of everboot emulator sweep, or a file. Without one: ${storyNames.join(', ')}.
Each is played on the simulated board too, and must come to the same: slot of each boot, every byte of record and
stamp after each boot, outcome of each wish. Ends with 6 when one does not. As root on Debian it installs what is missing.`,
  run: runTest,
}

const up: Command = {
  name: 'qemu up',
  summary: 'Run a hub and a real board in QEMU, to push updates to and to pull the plug of',
  positionals: '[DIR]',
  positionalsMin: 0,
  positionalsMax: 1,
  options: {},
  notes: `DIR (default ./everboot-qemu) gets keys, hub, two releases, disk and flash of the board; the next time it goes
on where it was. Runs until interrupted.`,
  run: runUp,
}

export const commands: readonly Command[] = [test, up]

async function runUp(input: CommandInput): Promise<number> {
  const { io, positionals } = input
  const { installed } = await ensureHostTools([...boardTools, 'mkfs.ext4'], { install: true })
  if (installed.length > 0) io.err(`installed: ${installed.join(', ')}`)
  await needQemu()
  const [directory = './everboot-qemu'] = positionals
  const entry = children(present(process.argv[1], 'path of the program'))
  const show = (text: string): void => {
    if (input.json) io.out(JSON.stringify({ event: 'console', line: text }))
    else io.out(`[${homeDevice}] ${text}`)
  }
  const home = await openQemuHome(directory, entry, { say: (text) => io.err(text), onLine: show })
  try {
    const { url } = home.desk.hub.file
    if (input.json) io.out(JSON.stringify({ event: 'up', directory, hub: url, again: home.again }))
    else for (const text of whatNext(directory)) io.err(text)
    await home.board.powerOn()
    while (!io.interrupted.aborted) {
      await sleep(sceneLimits.pollMs)
      const broken = home.board.broken()
      if (broken !== null) throw broken
    }
  } finally {
    await home.close()
  }
  return 0
}

function whatNext(directory: string): readonly string[] {
  return [
    'hub and board run until Ctrl-C; in another terminal:',
    `  everboot devices show ${homeDevice} --hub ${directory}/hub`,
    `  everboot publish ${directory}/v2.ebr --hub ${directory}/hub`,
    `  everboot rollout create --release demo@2 --all --wait --hub ${directory}/hub`,
  ]
}

async function runTest(input: CommandInput): Promise<number> {
  const { io, positionals } = input
  const kind = flagOption(input, 'loop') ? 'loop' : 'qemu'
  const { installed } = await ensureHostTools(
    [...(kind === 'qemu' ? boardTools : []), 'mkfs.ext4', 'debugfs'],
    {
      install: true,
    },
  )
  if (installed.length > 0) io.err(`installed: ${installed.join(', ')}`)
  if (kind === 'qemu') await needQemu()
  const names = positionals.length === 0 ? storyNames : positionals
  const scenarios = await Promise.all(names.map(async (it) => (await openScenario(it)).scenario))
  for (const scenario of scenarios) {
    const why = notForReal(scenario, kind)
    if (why !== null) {
      raise('EB-UNSUPPORTED', `${scenario.name}: ${why}`, { todo: 'play it with everboot emulator sweep' })
    }
  }
  const directory = await mkdtemp(join(tmpdir(), 'everboot-'))
  const entry = children(present(process.argv[1], 'path of the program'))
  const began = performance.now()
  const seconds = (): number => (performance.now() - began) / 1000
  const say = (line: string): void => io.err(`${seconds().toFixed(1).padStart(6)} s  ${line}`)
  const shop = await openWorkshop({
    directory,
    kit: kind === 'qemu' ? qemuKit : loopKit(entry),
    children: entry,
    boards: scenarios.length,
    say,
    onLine: flagOption(input, 'console') ? (line) => io.err(`          | ${line}`) : () => {},
  })
  const played: Played[] = []
  try {
    for (const scenario of scenarios) {
      if (io.interrupted.aborted) raise('EB-CANCELLED', `interrupted before ${scenario.name}`)
      say(`story ${scenario.name}: ${scenario.about}`)
      const from = seconds()
      const expected = await expectedOutcome(scenario, loaderOf[kind], rememberingParts)
      const came = await shop.play(scenario).catch((caught: unknown) => faultText(faultOf(caught)))
      const one = judged(scenario.name, expected, came, seconds() - from)
      played.push(one)
      say(`= ${line(one)}`)
    }
  } finally {
    await shop.close()
    if (!flagOption(input, 'keep')) await rm(directory, { recursive: true, force: true })
    else io.err(`everything of it: ${directory}`)
  }
  const failed = played.filter((it) => it.otherwise !== null)
  if (input.json) io.out(JSON.stringify({ board: kind, stories: played, failed: failed.length }))
  else {
    for (const it of played) io.out(line(it))
    io.out(
      `${played.length - failed.length} of ${played.length} stories came to what the simulated board makes of them`,
    )
  }
  return failed.length === 0 ? 0 : exitStatus.updateFailed
}

function judged(story: string, expected: Outcome, came: Outcome | string, seconds: number): Played {
  const outcome = typeof came === 'string' ? null : came
  return {
    story,
    boots: outcome?.boots.map(({ slot }) => slot).join('') ?? '',
    attempts: outcome?.attempts ?? [],
    seconds: Math.round(seconds * 10) / 10,
    otherwise: typeof came === 'string' ? came : difference(came, expected),
  }
}

function line({ story, boots, attempts, seconds, otherwise }: Played): string {
  const time = `${seconds.toFixed(1)} s`.padStart(8)
  const end = otherwise === null ? `boots ${boots}, ${attempts.join(', ')}` : `OTHERWISE: ${otherwise}`
  return `${otherwise === null ? '✓' : '✗'} ${story.padEnd(28)} ${time}  ${end}`
}
