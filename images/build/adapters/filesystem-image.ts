/**
 * A slot image from a directory: ext4 of 4 KiB blocks by `mkfs.ext4 -d`, or squashfs by `mksquashfs`.
 * Promise: no mount, no root needed; made reproducibly, the same tree gives the same bytes, whenever and in
 * whatever order it was copied. An image made by a user who is not root belongs to root all the same.
 * Leaves to others: what is in the directory.
 */
import { lstat, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { raise } from '../../../core/errors.ts'
import { buildLimits } from '../../../core/limits.ts'
import { blockBytes, bytesText, MiB, roundUp } from '../../../core/units.ts'
import { ensureHostTools } from './host-tools.ts'
import { runTool } from './run-tool.ts'

export interface FilesystemPlan {
  readonly directory: string
  readonly kind: 'ext4' | 'squashfs'
  /** Of the image; null: what the content needs. ext4 only. */
  readonly bytes: number | null
  /** Filesystem id and time; null: chance and now. */
  readonly fixed: { readonly uuid: string; readonly epochSeconds: number } | null
  readonly signal: AbortSignal
}

/** @param out file to make. @throws EverbootError EB-IMAGE, EB-TOOL-MISSING */
export async function makeFilesystem(plan: FilesystemPlan, out: string): Promise<void> {
  if (plan.kind === 'squashfs') await makeSquashfs(plan, out)
  else await makeExt4(plan, out)
}

async function makeSquashfs(plan: FilesystemPlan, out: string): Promise<void> {
  const tools = await ensureHostTools(['mksquashfs'], { install: true })
  const times =
    plan.fixed === null
      ? []
      : ['-mkfs-time', `${plan.fixed.epochSeconds}`, '-all-time', `${plan.fixed.epochSeconds}`]
  const owner = runsAsRoot() ? [] : ['-all-root']
  const args = [
    plan.directory,
    out,
    '-noappend',
    '-no-progress',
    '-comp',
    'zstd',
    '-Xcompression-level',
    '9',
    ...times,
    ...owner,
  ]
  await run(tools.path('mksquashfs'), args, plan)
}

async function makeExt4(plan: FilesystemPlan, out: string): Promise<void> {
  const tools = await ensureHostTools(['mkfs.ext4', 'dumpe2fs', 'debugfs'], { install: true })
  const content = await measure(plan.directory)
  // Room for growth of the estimate, not of the content: the image is mounted read-only.
  const inodes = content.inodes + 16
  let bytes = plan.bytes ?? estimate(content)
  for (let attempt = 1; ; attempt += 1) {
    const made = await mkfs(tools.path('mkfs.ext4'), plan, inodes, bytes, out)
    if (made === null) break
    const full = /could not allocate|no space|no free|too small/i.test(made)
    if (plan.bytes !== null || !full || attempt === buildLimits.sizeAttemptsMax) {
      const size = `an ext4 of ${bytesText(bytes)}`
      raise('EB-IMAGE', `${plan.directory} cannot be made into ${size}: ${lastLine(made)}`, {
        todo: full ? 'give a larger --size' : 'see the message of mkfs.ext4',
      })
    }
    bytes = roundUp(bytes * buildLimits.sizeGrowth, MiB)
  }
  await settle(plan, tools.path('dumpe2fs'), tools.path('debugfs'), out)
}

/** @returns null, or what the tool said when it failed. */
async function mkfs(
  tool: string,
  plan: FilesystemPlan,
  inodes: number,
  bytes: number,
  out: string,
): Promise<string | null> {
  await rm(out, { force: true })
  const fixed = plan.fixed
  const extended = ['root_owner=0:0', ...(fixed === null ? [] : [`hash_seed=${fixed.uuid}`])]
  const args = [
    ...['-q', '-F', '-t', 'ext4', '-b', `${blockBytes}`, '-I', '256', '-m', '0', '-N', `${inodes}`],
    // No journal: slots are mounted read-only. The other two are unknown to older kernels and bootloaders.
    ...['-O', '^has_journal,^orphan_file,^metadata_csum_seed', '-E', extended.join(',')],
    ...(fixed === null ? [] : ['-U', fixed.uuid]),
    ...['-d', plan.directory, out, `${bytes / 1024}k`],
  ]
  const environment = fixed === null ? {} : { E2FSPROGS_FAKE_TIME: `${fixed.epochSeconds}` }
  const made = await runTool(tool, args, { environment, signal: plan.signal })
  return made.status === 0 ? null : made.errors || made.output || `exit status ${made.status}`
}

/** Sets times (and, without root, owners) of every inode: `mkfs.ext4 -d` copies those of the source. */
async function settle(plan: FilesystemPlan, dumpe2fs: string, debugfs: string, out: string): Promise<void> {
  const fields: [string, string][] = []
  if (plan.fixed !== null) {
    for (const field of ['atime', 'ctime', 'mtime', 'crtime'])
      fields.push([field, `@${plan.fixed.epochSeconds}`])
  }
  if (!runsAsRoot()) fields.push(['uid', '0'], ['gid', '0'])
  if (fields.length === 0) return
  const outputBytesMax = buildLimits.filesMax * 16
  const listing = await runTool(dumpe2fs, [out], { signal: plan.signal, outputBytesMax })
  const script: string[] = []
  for (const inode of usedInodes(listing.output)) {
    for (const [field, value] of fields) script.push(`sif <${inode}> ${field} ${value}`)
  }
  const environment: Record<string, string> =
    plan.fixed === null ? {} : { E2FSPROGS_FAKE_TIME: `${plan.fixed.epochSeconds}` }
  const input = `${script.join('\n')}\n`
  const done = await runTool(debugfs, ['-w', '-f', '-', out], { environment, input, signal: plan.signal })
  const complaint = done.errors.split('\n').filter((it) => it !== '' && !it.startsWith('debugfs 1.'))
  if (done.status === 0 && complaint.length === 0) return
  raise('EB-IMAGE', `the times in ${out} cannot be set: ${complaint[0] ?? `exit status ${done.status}`}`)
}

const firstOwnInode = 11

/** Root, lost+found and all others in use, from the free ranges that dumpe2fs prints for each group. */
function usedInodes(listing: string): readonly number[] {
  const total = Number(/^Inode count:\s+(\d+)$/m.exec(listing)?.[1] ?? 0)
  if (total === 0) raise('EB-IMAGE', 'dumpe2fs does not say how many inodes there are')
  const free = new Uint8Array(total + 1)
  for (const [, ranges = ''] of listing.matchAll(/^\s+Free inodes: ?(.*)$/gm)) {
    for (const range of ranges.split(', ').filter((it) => it !== '')) {
      const [first = '', last = first] = range.split('-')
      free.fill(1, Number(first), Number(last) + 1)
    }
  }
  const used = [2]
  for (let inode = firstOwnInode; inode <= total; inode += 1) if (free[inode] === 0) used.push(inode)
  return used
}

interface Content {
  readonly inodes: number
  readonly blocks: number
}

/** Counts what a directory takes in an ext4, hard links once. */
async function measure(directory: string): Promise<Content> {
  const seen = new Set<string>()
  const waiting = [directory]
  let inodes = firstOwnInode
  let blocks = 8
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const names = await readdir(next)
    blocks += 1 + Math.ceil(names.reduce((sum, it) => sum + 16 + Buffer.byteLength(it), 0) / blockBytes)
    for (const name of names) {
      const path = join(next, name)
      const it = await lstat(path, { bigint: true })
      if (it.isDirectory()) waiting.push(path)
      else if (it.nlink > 1n && seen.has(`${it.dev}:${it.ino}`)) continue
      else if (it.nlink > 1n) seen.add(`${it.dev}:${it.ino}`)
      inodes += 1
      if (inodes > buildLimits.filesMax) {
        raise('EB-LIMIT', `${directory} has more than ${buildLimits.filesMax} files`)
      }
      if (it.isFile())
        blocks += Math.ceil(Math.min(Number(it.size), Number(it.blocks) * 512) / blockBytes) + 1
      if (it.isSymbolicLink()) blocks += 1
    }
  }
  return { inodes, blocks }
}

function estimate(content: Content): number {
  const used = content.blocks * blockBytes + content.inodes * 256
  const slack = Math.max(buildLimits.slackBytesMin, used * buildLimits.slackShare)
  return roundUp(used + slack, MiB)
}

async function run(tool: string, args: readonly string[], plan: FilesystemPlan): Promise<void> {
  const done = await runTool(tool, args, { signal: plan.signal })
  if (done.status === 0) return
  raise(
    'EB-IMAGE',
    `${plan.directory} cannot be made into a ${plan.kind}: ${lastLine(done.errors || done.output)}`,
  )
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}

function runsAsRoot(): boolean {
  return process.getuid?.() === 0
}
