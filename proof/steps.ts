/**
 * The words of scenarios: what is done to a board, its media, its network, its hub, and what is waited for.
 * A deed happens at once; a step is a deed, or takes time, or gives an order for later.
 * Promise: each word says what a person could do to any board, simulated or real.
 * Leaves to others: doing it (deeds.ts, player.ts).
 */
import * as v from 'valibot'
import { wireLimits } from '../core/limits.ts'
import { answerNames } from './answers.ts'
import { faultAtlas } from './swarm/fault-atlas.ts'
import { tamperings } from './tampering.ts'

export const name = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9-]{0,39}$/))
export const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const integer = v.pipe(v.number(), v.safeInteger())
const slot = v.picklist(['a', 'b'])
const pattern = v.pipe(
  v.string(),
  v.check((it) => isPattern(it), 'not a regular expression'),
)

/**
 * `sick`: the service says so. `no verdict`: it never answers, and the agent comes to no verdict. `no hub`: it
 * cannot reach the hub. `no agent`: everything runs but the agent. `hang`: the kernel starts, nothing else does.
 */
export const behaviour = v.picklist(['healthy', 'sick', 'no verdict', 'no hub', 'no agent', 'hang'])

/**
 * What becomes of what was written and not flushed. `front`, `back`: of each write only that half, at a sector
 * edge. `torn`: each write for itself, by chance of the seed.
 */
const left = v.picklist(['lost', 'kept', 'front', 'back', 'torn'])
export type Left = v.InferOutput<typeof left>

/** Files of a release at the hub. */
const file = v.picklist(['manifest', 'index', 'blob'])

const cut = {
  operation: pattern,
  nth: v.optional(count, 0),
  when: v.optional(v.picklist(['before', 'after']), 'before'),
  left: v.optional(left, 'lost'),
}

const deeds = [
  /** The hub wishes the release for the board. */
  v.strictObject({
    do: v.literal('assign'),
    release: name,
    /** Bytes per second that the board may use for it. */
    throttle: v.optional(v.pipe(count, v.minValue(wireLimits.throttleBytesMin))),
  }),
  /** Somebody who can speak for the hub wishes it, with a number of his own, or with a manifest of that length. */
  v.strictObject({
    do: v.literal('forge'),
    release: name,
    seq: v.optional(count),
    manifestBytes: v.optional(count),
  }),
  /** The broker delivers the retained wish once more, or an older one: the first of the story. */
  v.strictObject({ do: v.literal('redeliver'), wish: v.optional(v.picklist(['newest', 'first']), 'newest') }),

  /**
   * The next operation on storage, or message to the hub, whose name matches loses its power; it comes back at once,
   * or not. `next`: further cuts, each counted from the one before it.
   */
  v.strictObject({
    do: v.literal('cut-at'),
    ...cut,
    stays: v.optional(v.picklist(['on', 'off']), 'on'),
    next: v.optional(v.array(v.strictObject(cut)), []),
  }),
  v.strictObject({ do: v.literal('power-cycle'), left: v.optional(left, 'lost') }),
  v.strictObject({ do: v.literal('power'), is: v.picklist(['on', 'off']), left: v.optional(left, 'lost') }),
  v.strictObject({ do: v.literal('kill-agent') }),
  /** From the next boot on the system in that slot behaves so, whatever its image says; null: as it says. */
  v.strictObject({ do: v.literal('behave'), slot, as: v.nullable(behaviour) }),

  /** One bit of what lies there is another; of the `head` nothing is left: there is no file system and no kernel. */
  v.strictObject({ do: v.literal('rot'), slot, where: v.picklist(['image', 'tree', 'seal', 'head']) }),
  v.strictObject({
    do: v.literal('lose'),
    what: v.picklist(['record-0', 'record-1', 'newest-record', 'record', 'stamp']),
  }),
  /** Values of the boot record, as a writer other than ours might put them into both copies. */
  v.strictObject({
    do: v.literal('record'),
    set: v.record(v.picklist(['a_ok', 'a_sv', 'a_tries', 'b_ok', 'b_sv', 'b_tries', 'floor']), count),
  }),
  /**
   * What lies there instead of the agent's journal. `newer`: what a later version writes on a trial, the same with
   * more in it; `foreign`: what it makes of it later, a form that this one does not know; `damaged`: nonsense.
   */
  v.strictObject({ do: v.literal('journal'), becomes: v.picklist(['newer', 'foreign', 'damaged', 'lost']) }),

  v.strictObject({ do: v.literal('cut-link') }),
  /** Messages of the board reach the hub once, twice, or once more after the next one. */
  v.strictObject({ do: v.literal('statuses'), arrive: v.picklist(['once', 'twice', 'late again']) }),
  /** The will of the connection before the present one comes now. */
  v.strictObject({ do: v.literal('late-will') }),
  /**
   * `saved`: its database is copied; `restored`: it starts anew from that copy; `dying`: it dies when it has
   * committed the next status, before it acknowledges it; `dying unheard`: when its broker has taken the next
   * status, before it has committed it.
   */
  v.strictObject({
    do: v.literal('hub'),
    is: v.picklist(['down', 'up', 'saved', 'restored', 'dying', 'dying unheard']),
  }),
  /** Answers for that file of any release are so, so many times (null: until `heal`); answers given later come later. */
  v.strictObject({
    do: v.literal('answer'),
    file,
    with: v.picklist(answerNames),
    times: v.optional(v.nullable(count), null),
    /** Of `a status`. */
    status: v.optional(v.pipe(count, v.minValue(300), v.maxValue(599)), 503),
    retryAfterMs: v.optional(v.nullable(count), null),
    /** What comes of the body before it breaks or stalls. */
    after: v.optional(v.strictObject({ pieces: count, bytes: integer }), { pieces: 0, bytes: 0 }),
  }),
  /** The file at the hub is another from now on. */
  v.strictObject({ do: v.literal('tamper'), release: name, file, how: v.picklist(tamperings) }),

  /** A fault of the atlas (`swarm/fault-atlas.ts`); how it strikes is settled by the seed. */
  v.strictObject({
    do: v.literal('fault'),
    name: v.picklist(faultAtlas.map((it) => it.name)),
    seed: v.optional(count, 1),
  }),
  /** The boot partition does not take any write, until `heal`. */
  v.strictObject({ do: v.literal('boot-partition-fails') }),
  /** Everything that lasts is over: faults, answers, tampering. */
  v.strictObject({ do: v.literal('heal') }),
] as const

const deed = v.variant('do', deeds)
/** What happens at once. */
export type Deed = v.InferOutput<typeof deed>

const logged = v.record(v.string(), v.union([v.string(), v.number(), v.boolean(), v.null()]))

export const step = v.variant('do', [
  ...deeds,
  /**
   * `closed`: the hub has a final report of the newest wish; `rest`: and the board has nothing left to do;
   * `download`: a download has begun; `trial`: a system on trial runs; `boot`: a system has just been started;
   * `off`: the power is off, or the board is at rest, so that a planned cut will not come any more.
   */
  v.strictObject({
    do: v.literal('wait'),
    for: v.picklist(['closed', 'rest', 'download', 'trial', 'boot', 'off']),
  }),
  v.strictObject({ do: v.literal('pass'), ms: count }),
  /** Quick cycles of the power until a boot ends in that slot; no system gets to do anything. */
  v.strictObject({ do: v.literal('cycle-until'), slot }),
  /** In the moment in which the agent of that slot (default: any) writes a matching line to its log for the nth time. */
  v.strictObject({
    do: v.literal('when'),
    logged,
    slot: v.optional(slot),
    nth: v.optional(count, 0),
    deeds: v.pipe(v.array(deed), v.minLength(1)),
  }),
])
export type Step = v.InferOutput<typeof step>
export type StepOf<Word extends Step['do']> = Extract<Step, { do: Word }>

function isPattern(text: string): boolean {
  try {
    return new RegExp(text).source !== ''
  } catch {
    return false
  }
}
