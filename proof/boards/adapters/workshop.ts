/**
 * Keys, a hub, releases and boards for stories on boards outside this process: everything real, in one directory.
 * Promise: a release is made and published once, however many stories want it; each story has a board of its own,
 * fresh from the factory; `close` leaves no process.
 * Leaves to others: what a kind of board is made of (BoardKit), playing (real-player.ts).
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { present } from '../../../core/assert.ts'
import type { Children } from '../../../demo/adapters/children.ts'
import { type Desk, openDesk } from '../../../demo/adapters/desk.ts'
import type { DeviceDetailView } from '../../../hub/http/views.ts'
import { createKeyDirectory } from '../../../keys/adapters/key-directory.ts'
import type { Behaviour } from '../../publisher.ts'
import type { Scenario } from '../../scenario.ts'
import type { Outcome } from '../outcome.ts'
import type { RealBoard } from '../real-board.ts'
import { playReal, type RealScene } from '../real-player.ts'

/** How a release is to be. */
export interface Recipe {
  readonly version: string
  readonly behaviour: Behaviour
  readonly securityVersion: number
  readonly floorAfterCommit: number | null
}

export interface NewBoard {
  readonly directory: string
  readonly release: string
  readonly keys: string
  /** What `everboot devices add` wrote. */
  readonly identity: string
  readonly onLine: (line: string) => void
}

/** What boards of one kind and their releases are made by. */
export interface BoardKit {
  /** @param out the `.ebr` to make */
  build(recipe: Recipe, keys: string, out: string): Promise<void>
  /** Still without power. */
  create(board: NewBoard): Promise<RealBoard>
}

export interface Workshop {
  /** @throws EverbootError EB-UNSUPPORTED, EB-TIMEOUT, … */
  play(scenario: Scenario): Promise<Outcome>
  close(): Promise<void>
}

export interface WorkshopOptions {
  /** Empty. */
  readonly directory: string
  readonly kit: BoardKit
  readonly children: Children
  /** Boards that it can make. */
  readonly boards: number
  readonly say: (line: string) => void
  readonly onLine: (line: string) => void
}

/** @throws EverbootError */
export async function openWorkshop(options: WorkshopOptions): Promise<Workshop> {
  const { directory, children } = options
  const keys = join(directory, 'keys')
  const devices = Array.from({ length: options.boards }, (_, number) => `board-${number + 1}`)
  await createKeyDirectory(keys, devices)
  const desk = await openDesk({ directory, children, trust: join(keys, 'trust.json') })
  const releases = releaseShelf(options, keys, desk)
  let used = 0
  return {
    async play(scenario) {
      const device = present(devices[used], 'a board that is left')
      used += 1
      const identity = join(directory, `${device}.json`)
      await desk.addDevice(device, identity)
      const board = await options.kit.create({
        directory: join(directory, device),
        release: (await releases.of(factory)).file,
        keys,
        identity,
        onLine: options.onLine,
      })
      try {
        return await playReal(sceneOf(scenario, device, board), scenario)
      } finally {
        await board.close()
      }
    },
    close: () => desk.close(),
  }

  function sceneOf(scenario: Scenario, device: string, board: RealBoard): RealScene {
    const recipe = (name: string): Recipe => recipeOf(scenario, name)
    return {
      board,
      publish: async (name) => void (await releases.published(recipe(name))),
      assign: async (name) => desk.rollOut(await releases.published(recipe(name)), device),
      async device() {
        const { reported, attempts, history } = await desk.device<DeviceDetailView>(device)
        const notices = history.flatMap((it) => it.status.notice?.code ?? [])
        return {
          state: reported?.state ?? null,
          bootId: reported?.bootId ?? null,
          // The hub tells the newest first.
          attempts: attempts.toReversed(),
          notices: notices.toReversed(),
        }
      },
      clock: { nowMs: () => performance.now(), sleep: (durationMs) => sleep(durationMs) },
      say: options.say,
    }
  }
}

const factory: Recipe = { version: '1', behaviour: 'healthy', securityVersion: 1, floorAfterCommit: null }

function recipeOf({ releases }: Scenario, name: string): Recipe {
  if (name === 'factory') return factory
  return { version: name, ...present(releases[name], `release ${name}`) }
}

interface Shelf {
  of(recipe: Recipe): Promise<{ readonly file: string }>
  /** @returns the release id */
  published(recipe: Recipe): Promise<string>
}

function releaseShelf({ directory, kit, say }: WorkshopOptions, keys: string, desk: Desk): Shelf {
  const made = new Map<string, { readonly file: string; id: string | null }>()
  const take = async (recipe: Recipe) => {
    const key = JSON.stringify(Object.values(recipe))
    const there = made.get(key)
    if (there !== undefined) return there
    const file = join(directory, `release-${made.size + 1}.ebr`)
    const began = performance.now()
    await kit.build(recipe, keys, file)
    say(
      `made release ${recipe.version}, ${recipe.behaviour}, in ${((performance.now() - began) / 1000).toFixed(1)} s`,
    )
    const one = { file, id: null }
    made.set(key, one)
    return one
  }
  return {
    of: take,
    async published(recipe) {
      const one = await take(recipe)
      one.id ??= await desk.publish(one.file)
      return one.id
    },
  }
}

/** What a board maker puts on the data partition. @throws EverbootError EB-FILE */
export async function readIdentity(path: string): Promise<Record<string, unknown> & { deviceId: string }> {
  return JSON.parse(await readFile(path, 'utf8'))
}
