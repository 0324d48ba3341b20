/**
 * Keys, hub, line and board as real processes for the live tests, by the stage of the demonstration.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MiB } from '../../core/units.ts'
import { children } from '../../demo/adapters/children.ts'
import { openStage, type Stage } from '../../demo/adapters/stage.ts'

/** Why the live tests cannot run here, or null. */
export const cannotRun: string | null =
  process.getuid?.() === 0 ? null : 'live tests need root for loop devices'

export interface Rig {
  readonly stage: Stage
  /** Given each console line of the board. */
  onConsole: (line: string) => void
  close(): Promise<void>
}

const fillerBytes = 16 * MiB

/** How long the installation pauses where a test wants to strike. */
export const pauseMs = 400

/**
 * Opens the windows that are too short to hit: hooks that wait in APPLYING and before the commit, and a
 * reboot that takes a moment, all by the agent's own configuration.
 */
export async function slowDown(root: string, bytes: number = fillerBytes): Promise<void> {
  const path = join(root, 'etc/everboot/agent.json')
  const settings = JSON.parse(await readFile(path, 'utf8'))
  const hooks = '/etc/everboot/hooks'
  const wait = (then: string) => `setTimeout(() => {${then}}, ${pauseMs})`
  const power = "require('node:fs').writeFileSync('/run/everboot/power', 'reboot\\n')"
  const reboot = { command: ['/usr/bin/node', '-e', wait(power)] }
  await writeFile(path, JSON.stringify({ ...settings, hooks, reboot }))
  await mkdir(join(root, 'usr/share'), { recursive: true })
  // No two versions are alike, so that each has something to download.
  await writeFile(join(root, 'usr/share/filler'), randomBytes(bytes))
  await mkdir(join(root, hooks), { recursive: true })
  for (const name of ['post-install', 'pre-commit']) {
    await writeFile(join(root, hooks, name), `#!/usr/bin/node\n${wait('')}\n`, { mode: 0o755 })
  }
}

export async function openRig(rate: number | null): Promise<Rig> {
  const directory = mkdtempSync(join(tmpdir(), 'everboot-live-'))
  const rig: { onConsole: (line: string) => void } = { onConsole: () => {} }
  const entry = fileURLToPath(new URL('../../everboot.ts', import.meta.url))
  const stage = await openStage({
    directory,
    children: children(entry),
    plain: false,
    rate,
    onConsole: (line) => rig.onConsole(line),
    prepareRoot: slowDown,
  })
  return Object.assign(rig, {
    stage,
    async close() {
      await stage.close()
      await rm(directory, { recursive: true, force: true })
    },
  })
}
