/**
 * What a device keeps across updates, and the rule by which a name is kept, leads to something kept, or is not.
 * Promise: pure; what is not listed is never kept. A directory that is listed is kept with all that is in it.
 * Leaves to others: mounts and files (adapters/kept-state.ts).
 */
import * as v from 'valibot'
import { type Fault, fault } from '../../core/errors.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import { stateLimits } from '../../core/service-limits.ts'

const path = v.pipe(v.string(), v.regex(/^(\/[A-Za-z0-9_@:.+-]+)+$/), v.check(noDots), v.maxLength(256))
/** Segments below the directory; `*` stands for any characters but a slash. */
const name = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_@:.+*-]+(\/[A-Za-z0-9_@:.+*-]+)*$/), v.check(noDots))

function noDots(text: string): boolean {
  return !text.split('/').some((it) => it === '.' || it === '..')
}

const schema = v.strictObject({
  v: v.literal(1),
  /** Directory on the data partition. */
  data: path,
  /** The data partition, for an early start at which nothing is mounted yet. */
  mount: v.optional(
    v.strictObject({ device: path, at: path, type: v.string(), options: v.optional(v.string(), 'noatime') }),
  ),
  keep: v.pipe(
    v.array(
      v.strictObject({
        directory: path,
        names: v.pipe(v.array(name), v.minLength(1), v.maxLength(stateLimits.namesMax)),
      }),
    ),
    v.minLength(1),
    v.maxLength(stateLimits.directoriesMax),
  ),
  /** Directories that begin empty at every boot, in memory. */
  fresh: v.optional(v.pipe(v.array(path), v.maxLength(stateLimits.directoriesMax)), []),
  /** Programs that make what is missing, once in the life of the device. */
  make: v.optional(
    v.pipe(
      v.array(v.strictObject({ missing: path, program: v.pipe(v.array(v.string()), v.minLength(1)) })),
      v.maxLength(stateLimits.directoriesMax),
    ),
    [],
  ),
})
export type KeepList = v.InferOutput<typeof schema>
export type KeptDirectory = KeepList['keep'][number]

/** @returns the list, or EB-CONFIG naming the place that is wrong */
export function decodeKeepList(bytes: Uint8Array, file: string): Result<KeepList, Fault> {
  let document: unknown
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return fail(fault('EB-CONFIG', `${file} is not JSON`))
  }
  const parsed = v.safeParse(schema, document)
  if (!parsed.success) {
    const [issue] = parsed.issues
    return fail(fault('EB-CONFIG', `${file}: ${v.getDotPath(issue) ?? 'document'} is wrong (${issue.type})`))
  }
  const { keep, data } = parsed.output
  const directories = keep.map((it) => it.directory)
  const nested = directories.find((it) =>
    directories.some((other) => other !== it && it.startsWith(`${other}/`)),
  )
  if (nested !== undefined)
    return fail(fault('EB-CONFIG', `${file}: ${nested} lies in another directory of the list`))
  if (new Set(directories).size < directories.length)
    return fail(fault('EB-CONFIG', `${file}: a directory is listed twice`))
  const covered = directories.find((it) => data === it || data.startsWith(`${it}/`))
  if (covered !== undefined)
    return fail(fault('EB-CONFIG', `${file}: data lies below ${covered}, which it is to hold`))
  return ok(parsed.output)
}

/** `kept`, with all below it; `above`: a directory on the way to something kept; `unlisted`. */
export type Standing = 'kept' | 'above' | 'unlisted'

/** @param at path below the directory, without a slash at its start */
export function standingOf(names: readonly string[], at: string): Standing {
  const segments = at.split('/')
  let above = false
  for (const it of names) {
    const wanted = it.split('/')
    const shared = Math.min(wanted.length, segments.length)
    if (!wanted.slice(0, shared).every((pattern, index) => matches(pattern, segments[index] ?? ''))) continue
    if (wanted.length <= segments.length) return 'kept'
    above = true
  }
  return above ? 'above' : 'unlisted'
}

function matches(pattern: string, segment: string): boolean {
  const parts = pattern.split('*')
  const [first = ''] = parts
  const last = parts.at(-1) ?? ''
  if (parts.length === 1) return pattern === segment
  if (!segment.startsWith(first) || !segment.endsWith(last) || segment.length < first.length + last.length)
    return false
  let from = first.length
  for (const middle of parts.slice(1, -1)) {
    const found = segment.indexOf(middle, from)
    if (found < 0 || found + middle.length > segment.length - last.length) return false
    from = found + middle.length
  }
  return true
}

/** Where the versions of a directory's own files lie on the data partition: `/var/lib` → `var-lib`. */
export function roomOf(directory: string): string {
  return directory.slice(1).replaceAll('-', '--').replaceAll('/', '-')
}

/** What a release brings along for names that are kept, by path: SHA-256 in hex. */
export type Defaults = Readonly<Record<string, string>>

/** What is remembered of defaults between boots. */
export interface DefaultNotes {
  /** Beside which default the device made its own version of a file. */
  readonly made: Defaults
  /** What the release of the last boot brought. */
  readonly last: Defaults
}

/**
 * The device's own version of a file stays. The default that it was made beside is remembered, so that a release with
 * another one can be told from one with the same.
 * @param own paths that the device has versions of
 * @param now what this release brings
 * @returns what to remember, and the files of which this release has another default
 */
export function mergeDefaults(
  notes: DefaultNotes,
  own: readonly string[],
  now: Defaults,
): { notes: DefaultNotes; newer: readonly string[] } {
  // A version that is new was made in the last boot.
  const made = own.flatMap((at) => {
    const beside = notes.made[at] ?? notes.last[at] ?? now[at]
    return beside === undefined ? [] : [[at, beside] as const]
  })
  const newer = made.filter(([at, beside]) => now[at] !== undefined && now[at] !== beside).map(([at]) => at)
  return { notes: { made: Object.fromEntries(made), last: now }, newer: newer.sort() }
}

/** A machine id as systemd takes it: 32 lower-case hex digits, not all zero. */
export function isMachineId(text: string): boolean {
  return /^[0-9a-f]{32}\n?$/.test(text) && !/^0+\n?$/.test(text)
}
