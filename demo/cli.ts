/**
 * `everboot demo`: hub and board on this machine, a good update under bad luck, and bad updates that the
 * board gets rid of by itself.
 * Promise: nothing is left behind unless --keep was given or something failed; ends with 0 only when every
 * chapter ended as it must.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { present } from '../core/assert.ts'
import { type Command, type CommandInput, type CommandIo, flagOption } from '../core/command.ts'
import { demoLimits } from '../core/limits.ts'
import { ensureHostTools } from '../images/build/adapters/host-tools.ts'
import { children } from './adapters/children.ts'
import { type BoardStatus, openStage, type Stage } from './adapters/stage.ts'
import { type Chapter, closingTable, wrapped } from './chapter.ts'
import { demoClips } from './cli-clips.ts'
import { type Narrator, play, recipes } from './story.ts'

const demo: Command = {
  name: 'demo',
  summary: 'Hub and emulated board: update, commit, bad updates, fallback',
  positionals: '',
  positionalsMin: 0,
  positionalsMax: 0,
  options: {
    keep: { type: 'boolean', means: 'leave hub and board running at the end' },
    plain: { type: 'boolean', means: 'without loop devices and mounts, as for a user who is not root' },
    console: { type: 'boolean', means: 'show the console of the board too' },
  },
  notes:
    'Ends with 0 when every chapter ended as it must. Needs mkfs.ext4; as root on Debian it is installed.',
  run: runDemo,
}

/** Narrower terminals get lines of this length all the same. */
const columnsMin = 60

export const commands: readonly Command[] = [demo, demoClips]

async function runDemo(input: CommandInput): Promise<number> {
  const { io } = input
  const { installed } = await ensureHostTools(['mkfs.ext4', 'debugfs'], { install: true })
  if (installed.length > 0) io.err(`installed: ${installed.join(', ')}`)
  const directory = await mkdtemp(join(tmpdir(), 'everboot-demo-'))
  const narrator = narratorFor(io, input.json)
  narrator.say('making keys, a hub, a first system and a board')
  let stage: Stage | null = null
  let good = false
  try {
    const showConsole = flagOption(input, 'console')
    stage = await openStage({
      directory,
      children: children(present(process.argv[1], 'path of the program')),
      plain: flagOption(input, 'plain'),
      rate: demoLimits.linkBytesPerSecond,
      onConsole: (line) => {
        if (showConsole) narrator.say(line)
      },
    })
    for (const recipe of Object.values(recipes)) stage.build(recipe).catch(() => {})
    const chapters = await play({ stage, narrator }, (it) => narrator.say(`  ${resultLine(it)}`))
    await close(input, stage, chapters)
    good = true
  } finally {
    await stage?.close()
    if (good) await rm(directory, { recursive: true, force: true })
    else io.err(`what is left of it, console.log of the board too: ${directory}`)
  }
  return 0
}

async function close(input: CommandInput, stage: Stage, chapters: readonly Chapter[]): Promise<void> {
  const { io } = input
  const board = await stage.board()
  if (input.json) {
    io.out(JSON.stringify({ chapters, record: board.record, executables: board.processes, mode: board.mode }))
  } else {
    io.out('')
    for (const line of closingTable(chapters)) io.out(line)
    io.out('')
    for (const line of executableLines(board)) io.out(line)
  }
  if (!flagOption(input, 'keep')) return
  for (const line of whatNext(stage)) io.err(line)
  while (!io.interrupted.aborted) await sleep(200)
}

function executableLines(board: BoardStatus): readonly string[] {
  return (['agent', 'service'] as const).map((name) => {
    const it = board.processes[name]
    if (it === null) return `${name} does not run`
    const where = it.inSlot ? `in the mounted slot ${board.slot}` : 'NOT in the slot'
    return `${name.padEnd(8)} /proc/${it.pid}/exe ${where}, SHA-256 ${it.sha256.slice(0, 16)}…`
  })
}

function whatNext(stage: Stage): readonly string[] {
  const { directory } = stage
  return [
    '',
    'hub and board run until Ctrl-C; in another terminal:',
    `  everboot devices show board-1 --hub ${directory}/hub`,
    `  everboot emulator status ${directory}/board`,
    `  everboot emulator power-cut ${directory}/board`,
    `  everboot device status --socket ${directory}/board/run/everboot/agent.sock`,
    `  everboot rollout create --release demo@3 --all --wait --hub ${directory}/hub`,
  ]
}

function resultLine(it: Chapter): string {
  return `= ${it.outcome}${it.code === null ? '' : ` (${it.code})`}: version ${it.version} runs from slot ${it.slot}`
}

function narratorFor(io: CommandIo, quiet: boolean): Narrator {
  return {
    say(line) {
      const [text = '', indent = ''] = [line.trimStart(), /^ */.exec(line)?.[0]]
      const width = Math.max(columnsMin, io.columns) - indent.length
      for (const it of text === '' ? [''] : wrapped(text, width)) (quiet ? io.err : io.out)(`${indent}${it}`)
    },
    progress: (what, share) => io.draw(bar(what, share, io.columns)),
    sleep: (durationMs) => sleep(durationMs),
    nowMs: () => performance.now(),
  }
}

function bar(what: string, share: number, columns: number): string {
  const width = Math.max(10, Math.min(40, columns - 30))
  const full = Math.round(Math.max(0, Math.min(1, share)) * width)
  const percent = `${Math.round(share * 100)} %`.padStart(5)
  return `  ${what.padEnd(12)} ${'█'.repeat(full)}${'░'.repeat(width - full)} ${percent}`
}
