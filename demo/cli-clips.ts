/**
 * `everboot demo clips`: two skills that share sounds, three boards that play them, one of them away while a skill
 * changes.
 * Promise: nothing is left behind unless something failed; ends with 0 only when every chapter ended as it must.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { present } from '../core/assert.ts'
import { type Command, type CommandInput, flagOption } from '../core/command.ts'
import { bytesText } from '../core/units.ts'
import { ensureHostTools } from '../images/build/adapters/host-tools.ts'
import { children } from './adapters/children.ts'
import { type ClipsStage, openClipsStage } from './clips/adapters/stage.ts'
import { playClips, type RoomResult } from './clips/story.ts'

export const demoClips: Command = {
  name: 'demo clips',
  summary: 'Skills that share sounds, on boards that follow them',
  positionals: '',
  positionalsMin: 0,
  positionalsMax: 0,
  options: {
    loop: { type: 'boolean', means: 'boards on loop devices (root), not unpacked' },
    console: { type: 'boolean', means: 'show the consoles of the boards too' },
  },
  notes:
    'Ends with 0 when every chapter ended as it must. Needs mkfs.ext4; as root on Debian it is installed.',
  run: runDemoClips,
}

async function runDemoClips(input: CommandInput): Promise<number> {
  const { io, json } = input
  const say = json ? io.err : io.out
  const { installed } = await ensureHostTools(['mkfs.ext4', 'debugfs'], { install: true })
  if (installed.length > 0) io.err(`installed: ${installed.join(', ')}`)
  const directory = await mkdtemp(join(tmpdir(), 'everboot-clips-'))
  say('making keys, a hub, sounds and three boards')
  let stage: ClipsStage | null = null
  let good = false
  try {
    stage = await openClipsStage({
      directory,
      children: children(present(process.argv[1], 'path of the program')),
      plain: !flagOption(input, 'loop'),
      onConsole: (line) => {
        if (flagOption(input, 'console')) say(line)
      },
    })
    const results = await playClips({ stage, say, nowMs: () => performance.now() })
    if (json) io.out(JSON.stringify({ boards: results }))
    else for (const line of closingTable(results)) io.out(line)
    good = true
  } finally {
    await stage?.close()
    if (good) await rm(directory, { recursive: true, force: true })
    else io.err(`what is left of it: ${directory}`)
  }
  return 0
}

const widths = [9, 6, 9, 10, 10, 6, 7, 7] as const

/** Fits 80 columns. */
function closingTable(results: readonly RoomResult[]): readonly string[] {
  const cells = (row: readonly string[]): string =>
    row.map((it, at) => (at === 0 ? it.padEnd(widths[0]) : it.padStart(widths[at] ?? 0))).join(' ')
  const head = ['BOARD', 'CLIPS', 'CONTENTS', 'ON DISK', 'SAVED', 'HITS', 'MISSES', 'HITS %']
  const rows = results.map(({ room, stats }) => [
    room,
    `${stats.items}`,
    `${stats.contents}`,
    bytesText(stats.sizeBytes),
    bytesText(stats.bytesSaved),
    `${stats.hits}`,
    `${stats.misses}`,
    `${(stats.hitRate * 100).toFixed(1)}`,
  ])
  return ['', cells(head), ...rows.map(cells)]
}
