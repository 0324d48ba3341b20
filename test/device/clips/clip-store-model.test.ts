/** Random work on a clip cache with failures, losses of power and starts between: it is never anything but what was told. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Fate, pickFate } from '../../../bootloader-sim/devices/fate.ts'
import { EverbootError, raise } from '../../../core/errors.ts'
import { seededRandom } from '../../../core/prng.ts'
import type { ClipStore } from '../../../device/clips/clip-store.ts'
import { fileOf } from '../../../device/clips/contents.ts'
import {
  about,
  bytesOf,
  type ClipWorld,
  clipWorld,
  contentFiles,
  limitsOf,
  openStore,
  placeClip,
  shaOf,
} from './fixtures.ts'

const limits = { bytes: 2_000, items: 7, pinnedBytes: 700, quotas: new Map([['blue', 900]]) }
const letters = ['A', 'B', 'C', 'D', 'E'] as const
type Letter = (typeof letters)[number]
const soundOf = (letter: Letter) => bytesOf(letter, 200 + 60 * letters.indexOf(letter))

/** What may be there under an id: null: nothing. Of a clip that nothing is known of there is nothing. */
type May = ReadonlySet<Letter | null>
const nothing: May = new Set([null])

class Model {
  readonly world: ClipWorld
  readonly may = new Map<string, May>()
  store: ClipStore
  /** A failure may leave files that go later, and clips whose files went first. */
  untidy = false

  constructor(world: ClipWorld, store: ClipStore) {
    this.world = world
    this.store = store
    this.#listen()
  }

  #listen(): void {
    this.store.onLeft = (id) => this.#also(id, null)
  }

  get(id: string): May {
    return this.may.get(id) ?? nothing
  }

  #also(id: string, it: Letter | null): void {
    this.may.set(id, new Set([...this.get(id), it]))
  }

  /** What was told stands: of each clip that may be one of several, only what the store has. */
  settle(): void {
    for (const [id, may] of this.may) {
      const there = this.store.peek(id)
      const letter =
        there === null ? null : (letters.find((it) => soundOf(it).length === there.content.bytes) ?? null)
      expect(may.has(letter), `${id} is ${letter}, may be ${[...may]}`).toBe(true)
      this.may.set(id, new Set([letter]))
    }
  }

  async run(
    work: (store: ClipStore) => Promise<unknown>,
    touched: readonly (readonly [string, Letter | null])[],
  ): Promise<void> {
    for (const [id, letter] of touched) this.#also(id, letter)
    try {
      await work(this.store)
      await this.store.settle()
      // What a done change says is durable; while some are not done, both may be found.
      if (!this.untidy) this.settle()
    } catch (caught) {
      if (!(caught instanceof EverbootError)) throw caught
      const planned = caught.fault.what.includes('planted')
      if (planned) this.untidy = true
      else expect(caught.fault.code).toMatch(/^EB-(CLIP-SIZE|CLIP-FULL|CONFLICT)$/)
      await this.store.settle()
    }
  }

  async look(): Promise<void> {
    const clips = [...this.store.list()]
    for (const { id, content } of clips) {
      const reading = this.store.lease(content.key)
      const bytes = await reading?.whole()
      reading?.done()
      expect(bytes, `the file of ${id}`).not.toBeNull()
      const letter = letters.find((it) => bytes?.equals(soundOf(it)))
      expect(
        letter !== undefined && this.get(id).has(letter),
        `${id} is ${letter}, may be ${[...this.get(id)]}`,
      ).toBe(true)
    }
    for (const [id, may] of this.may) {
      if (!may.has(null)) expect(this.store.peek(id), `${id} was told of`).not.toBeNull()
    }
    const { now } = this.store.figures()
    const { bytes, items } = limitsOf(limits)
    expect(now.sizeBytes).toBeLessThanOrEqual(bytes)
    expect(clips.length).toBe(now.items)
    expect(clips.length).toBeLessThanOrEqual(items)
    const files = new Set(clips.map(({ content }) => fileOf(content)))
    const there = await contentFiles(this.world)
    expect(
      [...files].filter((it) => !there.includes(it)),
      'contents without a file',
    ).toEqual([])
    if (!this.untidy) expect(there.length, 'files without a content').toBe(files.size)
  }

  /** @param crash the power went: these fates; null: the program was ended */
  async start(crash: ((pending: number, tearable: boolean) => Fate) | null): Promise<void> {
    const { files } = this.world
    files.fault = () => {}
    if (crash !== null) files.crash(files.pending().map(({ tearable }, at) => crash(at, tearable)))
    this.store.onLeft = () => {}
    const { store, lost } = await openStore(this.world, limits)
    if (!this.untidy) expect(lost).toEqual([])
    this.store = store
    this.untidy = false
    await this.look()
    this.#listen()
    this.settle()
  }
}

const id = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j')
const letter = fc.constantFrom(...letters)
const skillOf = (clip: string) => (clip < 'e' ? 'red' : 'blue')

type Step = (model: Model) => Promise<void>
const step = (name: string, run: Step) => Object.assign(run, { toString: () => name })

const put = fc
  .tuple(id, letter, fc.nat(9))
  .map(([clip, of, how]) =>
    step(`put ${clip} ${of} ${how}`, (model) =>
      model.run(
        (store) =>
          placeClip(
            store,
            about(clip, skillOf(clip), { pinned: how === 1, listed: how > 4 }),
            soundOf(of),
            how === 0,
          ),
        [[clip, of]],
      ),
    ),
  )
const alias = fc
  .tuple(id, letter)
  .map(([clip, of]) =>
    step(`alias ${clip} ${of}`, (model) =>
      model.run((store) => store.alias(shaOf(soundOf(of)), about(clip, skillOf(clip))), [[clip, of]]),
    ),
  )
const remove = fc
  .tuple(id, fc.boolean())
  .map(([clip, forget]) =>
    step(`${forget ? 'forget' : 'remove'} ${clip}`, (model) =>
      model.run((store) => (forget ? store.forget(clip) : store.remove(clip)), []),
    ),
  )
const others = fc
  .tuple(
    fc.constantFrom('use', 'tidy', 'pin', 'skill', 'list', 'content', 'room', 'anew', 'clear'),
    id,
    letter,
  )
  .map(([what, clip, of]) =>
    step(`${what} ${clip} ${of}`, (model) =>
      model.run(async (store) => {
        if (what === 'use') store.open(clip)?.done()
        else if (what === 'tidy') await store.tidy()
        else if (what === 'pin') await store.pin(clip, of < 'C')
        else if (what === 'skill') await store.invalidateSkill(skillOf(clip))
        else if (what === 'list') await store.applySkill(skillOf(clip), 1, (it) => it.id < 'c')
        else if (what === 'content')
          await store.invalidateContent(Buffer.from(shaOf(soundOf(of)), 'hex').toString('latin1'))
        else if (what === 'room') await store.giveWay(500)
        else if (what === 'anew') await store.begin(true)
        else if (of === 'A') await store.clear()
      }, []),
    ),
  )
const fail = fc.tuple(fc.nat(12), fc.nat(4), fc.boolean()).map(([after, times, full]) =>
  step(`fail after ${after}, ${times} times`, async (model) => {
    let count = 0
    model.world.files.fault = (operation) => {
      if (operation === 'read') return
      count += 1
      if (count <= after || count > after + times) return
      model.untidy = true
      raise(full ? 'EB-DATA-FULL' : 'EB-DATA-IO', `planted at ${operation}`)
    }
  }),
)
const start = fc.tuple(fc.constantFrom('end', 'lost', 'kept', 'torn' as const), fc.nat()).map(([how, seed]) =>
  step(`start ${how} ${seed}`, async (model) => {
    const random = seededRandom(seed)
    await model.start(
      how === 'end' ? null : (_, tearable) => (how === 'torn' ? pickFate(tearable, random) : (how as Fate)),
    )
  }),
)

const plan = (steps: readonly (readonly [number, fc.Arbitrary<Step>])[]) =>
  fc.array(fc.oneof(...steps.map(([weight, arbitrary]) => ({ weight, arbitrary }))), {
    minLength: 10,
    maxLength: 60,
  })

async function play(steps: readonly Step[]): Promise<Model> {
  const world = clipWorld()
  const model = new Model(world, (await openStore(world, limits)).store)
  for (const it of steps) {
    await it(model)
    await model.look()
  }
  await model.start(() => 'lost')
  return model
}

describe('a clip cache', () => {
  it('is what was told, after every change and every start', async () => {
    await fc.assert(
      fc.asyncProperty(
        plan([
          [8, put],
          [4, alias],
          [3, remove],
          [6, others],
          [2, start],
        ]),
        async (steps) => {
          const model = await play(steps)
          expect(model.untidy).toBe(false)
        },
      ),
      { numRuns: 150 },
    )
  })

  it('is what was told, or was about to be, when its medium fails now and then', async () => {
    await fc.assert(
      fc.asyncProperty(
        plan([
          [8, put],
          [4, alias],
          [3, remove],
          [6, others],
          [3, start],
          [4, fail],
        ]),
        async (steps) => {
          await play(steps)
        },
      ),
      { numRuns: 300 },
    )
  })
})
