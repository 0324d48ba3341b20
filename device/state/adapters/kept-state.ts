/**
 * Puts the state that is kept in its place: over each listed directory of the read-only root an overlay whose upper
 * layer lies on the data partition, less everything that is not listed.
 * Promise: what is unlisted is gone at the next boot; the machine id is made once, and whole or not at all; doing it
 * again does nothing; a reset that a power cut interrupts is finished by the next boot.
 * Leaves to others: which names are kept (keep-list.ts), being called early (files of images/package).
 */
import { createHash, randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import * as v from 'valibot'
import { faultOf, orThrow, raise } from '../../../core/errors.ts'
import { stateLimits } from '../../../core/service-limits.ts'
import { runProgram } from '../../adapters/run-program.ts'
import {
  decodeKeepList,
  isMachineId,
  type KeepList,
  type KeptDirectory,
  mergeDefaults,
  roomOf,
  standingOf,
} from '../keep-list.ts'

/** What the mount came to. */
export interface KeptState {
  /** Directories that have their overlay now. */
  readonly mounted: readonly string[]
  /** Paths that were not listed and are gone. */
  readonly dropped: number
  /** Kept files of which this release has another default than the one they were made beside. */
  readonly newer: readonly string[]
  /** Made for the first time in this boot. */
  readonly made: readonly string[]
  readonly wasReset: boolean
}

const formatFile = 'format'
const resetFile = 'reset'
const notesFile = 'defaults.json'
const format = '1\n'
/** Source of our mounts in /proc/mounts. */
const sourceName = 'everboot-state'
const hashes = v.record(v.string(), v.string())
const notesSchema = v.object({ made: hashes, last: hashes, newer: v.array(v.string()) })

/** @throws EverbootError EB-CONFIG, EB-FILE */
export function readKeepList(file: string): KeepList {
  try {
    return orThrow(decodeKeepList(readFileSync(file), file))
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === undefined) throw cause
    return raise('EB-CONFIG', `${file} cannot be read (${code})`, { cause })
  }
}

/**
 * @param root where the system's root is; `/` but for tests
 * @throws EverbootError EB-STATE
 */
export async function mountState(list: KeepList, root = '/'): Promise<KeptState> {
  try {
    await mountData(list)
    const wasReset = openStore(list)
    const open = list.keep.filter((it) => !isOverlaid(join(root, it.directory)))
    const dropped = open.reduce((sum, it) => sum + prune(layerOf(list, it), it.names), 0)
    const made = open.flatMap((it) => machineId(list, it, root))
    const newer = open.length === 0 ? [] : compare(list, open, root)
    for (const it of open) await overlay(list, it, root)
    for (const it of list.fresh) await freshDirectory(join(root, it))
    made.push(...(await makeMissing(list, root)))
    return { mounted: open.map((it) => it.directory), dropped, newer, made, wasReset }
  } catch (caught) {
    const { code, what } = faultOf(caught)
    if (code === 'EB-STATE') throw caught
    return raise('EB-STATE', what, { cause: caught })
  }
}

/** Everything kept goes at the next boot. @throws EverbootError EB-STATE */
export function askForReset(list: KeepList): void {
  try {
    replaceFile(join(list.data, resetFile), '1\n')
  } catch (cause) {
    raise('EB-STATE', `${list.data} cannot be written (${(cause as Error).message})`, { cause })
  }
}

/** The kept paths that the device has versions of. */
export function keptPaths(list: KeepList): readonly string[] {
  return list.keep.flatMap((it) =>
    filesBelow(layerOf(list, it))
      .filter((at) => standingOf(it.names, at) === 'kept')
      .map((at) => `${it.directory}/${at}`),
  )
}

/** Kept files of which the running release has another default; as of the last mount. */
export function newerDefaults(list: KeepList): readonly string[] {
  return readNotes(join(list.data, notesFile)).newer
}

async function mountData({ mount, data }: KeepList): Promise<void> {
  if (mount === undefined || mounts().some((it) => it.at === mount.at)) return
  await tool('mount', '-t', mount.type, '-o', mount.options, mount.device, mount.at)
  mkdirSync(data, { recursive: true, mode: 0o755 })
}

/** Makes or checks the directory, finishes a reset. @returns whether there was one */
function openStore({ data }: KeepList): boolean {
  mkdirSync(data, { recursive: true, mode: 0o755 })
  const file = join(data, formatFile)
  if (!existsSync(file)) replaceFile(file, format)
  const found = readFileSync(file, 'utf8')
  if (found !== format) {
    raise('EB-STATE', `${data} has the format ${JSON.stringify(found.trim())}, this release knows 1`)
  }
  const reset = join(data, resetFile)
  if (!existsSync(reset)) return false
  for (const it of readdirSync(data)) {
    if (it !== formatFile && it !== resetFile) rmSync(join(data, it), { recursive: true, force: true })
  }
  syncDirectory(data)
  // Last: until then the next boot does it again.
  rmSync(reset)
  syncDirectory(data)
  return true
}

const layerOf = (list: KeepList, it: KeptDirectory): string => join(list.data, roomOf(it.directory), 'upper')

/** Removes what is not listed from an upper layer. @returns how many paths */
function prune(layer: string, names: readonly string[], below = ''): number {
  const directory = join(layer, below)
  if (!existsSync(directory)) return 0
  let dropped = 0
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const at = below === '' ? entry.name : `${below}/${entry.name}`
    const standing = standingOf(names, at)
    if (standing === 'kept') continue
    if (standing === 'above' && entry.isDirectory()) {
      dropped += prune(layer, names, at)
      // A directory that leads to nothing would only hide a newer mode or owner.
      if (readdirSync(join(layer, at)).length === 0) rmdirSync(join(layer, at))
      continue
    }
    rmSync(join(layer, at), { recursive: true, force: true })
    dropped += 1
  }
  return dropped
}

/** Where /etc/machine-id is kept, there is one before the first service asks for it. */
function machineId(list: KeepList, it: KeptDirectory, root: string): string[] {
  if (it.directory !== '/etc' || standingOf(it.names, 'machine-id') !== 'kept') return []
  const layer = layerOf(list, it)
  const file = join(layer, 'machine-id')
  if (isMachineId(readOr(file, ''))) return []
  mkdirSync(layer, { recursive: true, mode: 0o755 })
  // systemd runs already and has thought of one for this boot: that one, so that both agree from the start.
  const given = readOr(join(root, 'run/machine-id'), '')
  replaceFile(file, isMachineId(given) ? given : `${newMachineId()}\n`)
  return ['/etc/machine-id']
}

/** Random, in the form of a UUID of version 4, as systemd's are. */
function newMachineId(): string {
  const bytes = randomBytes(16)
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6)
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
  return bytes.toString('hex')
}

/** Looks at the release's own files before they are covered. @returns the files with newer defaults */
function compare(list: KeepList, open: readonly KeptDirectory[], root: string): readonly string[] {
  const own = open.flatMap((it) => filesBelow(layerOf(list, it)).map((at) => `${it.directory}/${at}`))
  const now: Record<string, string> = {}
  for (const it of open) {
    const lower = join(root, it.directory)
    const listed = filesBelow(lower, (at) => standingOf(it.names, at) !== 'unlisted')
    for (const at of listed.slice(0, stateLimits.comparedMax)) {
      const hash = standingOf(it.names, at) === 'kept' ? hashOf(join(lower, at)) : null
      if (hash !== null) now[`${it.directory}/${at}`] = hash
    }
  }
  const { notes, newer } = mergeDefaults(readNotes(join(list.data, notesFile)), own, now)
  replaceFile(join(list.data, notesFile), `${JSON.stringify({ ...notes, newer })}\n`)
  return newer
}

function readNotes(file: string): v.InferOutput<typeof notesSchema> {
  try {
    return v.parse(notesSchema, JSON.parse(readFileSync(file, 'utf8')))
  } catch {
    // Lost notes cost a hint, nothing else.
    return { made: {}, last: {}, newer: [] }
  }
}

function hashOf(file: string): string | null {
  try {
    const kind = lstatSync(file)
    if (!kind.isFile() || kind.size > stateLimits.comparedBytesMax) return null
    return createHash('sha256').update(readFileSync(file)).digest('hex')
  } catch {
    return null
  }
}

async function overlay(list: KeepList, it: KeptDirectory, root: string): Promise<void> {
  const upper = layerOf(list, it)
  const work = join(dirname(upper), 'work')
  for (const at of [upper, work]) mkdirSync(at, { recursive: true, mode: 0o755 })
  const at = join(root, it.directory)
  // The lower layer is another one after an update: no feature that remembers the lower layer may be on.
  const options = `lowerdir=${at},upperdir=${upper},workdir=${work},index=off,metacopy=off,redirect_dir=off,xino=off`
  await tool('mount', '-t', 'overlay', sourceName, '-o', options, at)
}

async function freshDirectory(at: string): Promise<void> {
  if (mounts().some((it) => it.at === at)) return
  await tool('mount', '-t', 'tmpfs', '-o', 'mode=0755,nosuid,nodev', sourceName, at)
}

async function makeMissing({ make }: KeepList, root: string): Promise<string[]> {
  const made: string[] = []
  for (const { missing, program } of make) {
    const file = join(root, missing)
    const bytes = existsSync(file) ? lstatSync(file).size : null
    if (bytes !== null && bytes > 0) continue
    // Cut off while it was made.
    if (bytes === 0) rmSync(file)
    const argv = root === '/' ? program : ['chroot', root, ...program]
    const ran = await runProgram(argv, {}, stateLimits.makeMs)
    if (ran.status !== 0 || !existsSync(file)) {
      raise('EB-STATE', `${program.join(' ')} did not make ${missing}: ${ran.output.trim()}`)
    }
    await tool('sync', '-f', dirname(file))
    made.push(missing)
  }
  return made
}

function isOverlaid(at: string): boolean {
  return mounts().some((it) => it.source === sourceName && it.at === at)
}

function mounts(): readonly { readonly source: string; readonly at: string }[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .map(([source = '', at = '']) => ({ source, at }))
}

/** Files, links and what stands for a removed file, below a directory, where `wanted` leads. */
function filesBelow(
  directory: string,
  wanted: (at: string) => boolean = () => true,
  below = '',
): readonly string[] {
  const here = join(directory, below)
  if (!existsSync(here)) return []
  return readdirSync(here, { withFileTypes: true })
    .map((entry) => ({ entry, at: below === '' ? entry.name : `${below}/${entry.name}` }))
    .filter(({ at }) => wanted(at))
    .flatMap(({ entry, at }) => (entry.isDirectory() ? filesBelow(directory, wanted, at) : [at]))
    .sort()
}

/** New file, sync, rename, directory sync: after a power cut the old content or the new one. */
function replaceFile(path: string, text: string): void {
  const unfinished = `${path}.new`
  const handle = openSync(unfinished, 'w', 0o644)
  try {
    writeSync(handle, text)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  renameSync(unfinished, path)
  syncDirectory(dirname(path))
}

function syncDirectory(path: string): void {
  const handle = openSync(path, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return otherwise
  }
}

async function tool(program: string, ...args: string[]): Promise<void> {
  const ran = await runProgram([program, ...args], {}, stateLimits.toolMs)
  if (ran.status !== 0) raise('EB-STATE', `${program} ${args.join(' ')}: ${ran.output.trim()}`)
}
