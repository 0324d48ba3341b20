/**
 * The same stories on loop devices and in QEMU as in process: the command that a user would type, with real hub,
 * loader, kernel and agent. EVERBOOT_STORIES=all plays all of them.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { openScenario } from '../../proof/adapters/scenario-files.ts'
import { notForReal } from '../../proof/boards/real-player.ts'
import { storyNames } from '../../proof/boards/stories.ts'
import { whyNoQemu } from './qemu-rig.ts'
import { cannotRun } from './rig.ts'

const entry = fileURLToPath(new URL('../../everboot.ts', import.meta.url))
const all = process.env['EVERBOOT_STORIES'] === 'all'
const whyNot = { loop: cannotRun, qemu: await whyNoQemu() }
for (const why of Object.values(whyNot)) if (why !== null) console.info(`skipped, real boards: ${why}`)

/** In every run; the others say little that these do not. */
const everyday = {
  loop: ['sick-update', 'committed-kernel-destroyed'],
  qemu: ['update'],
} as const
const storiesMs = { everyday: 600_000, all: 3_000_000 }[all ? 'all' : 'everyday']

interface Played {
  readonly failed: number
  readonly stories: readonly { readonly story: string; readonly otherwise: string | null }[]
}

function playOn(kind: 'loop' | 'qemu', names: readonly string[]): Promise<Played> {
  const args = [entry, 'qemu', 'test', ...names, '--json', ...(kind === 'loop' ? ['--loop'] : [])]
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { timeout: storiesMs }, (_, out, err) => {
      try {
        resolve(JSON.parse(out) as Played)
      } catch {
        reject(new Error(err.slice(-4000)))
      }
    })
  })
}

describe.each(['loop', 'qemu'] as const)('stories on real boards: %s', (kind) => {
  it.skipIf(whyNot[kind] !== null)(
    'come to what they come to in process: boots, bytes of the record, reports',
    async () => {
      const scenarios = await Promise.all(storyNames.map((it) => openScenario(it)))
      const playable = scenarios.map((it) => it.scenario).filter((it) => notForReal(it, kind) === null)
      const names = all ? playable.map((it) => it.name) : everyday[kind]
      const { stories, failed } = await playOn(kind, names)
      expect(stories.map((it) => it.story)).toEqual(names)
      expect(stories.filter((it) => it.otherwise !== null)).toEqual([])
      expect(failed).toBe(0)
    },
    storiesMs,
  )
})
