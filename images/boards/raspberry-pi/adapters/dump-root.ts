/**
 * Copies an ext4 in a disk image to a directory by debugfs: no mount, no loop device.
 * Promise: owners and modes are those of the image, set-user bits and the like too, which debugfs itself loses
 * (it sets the mode, then the owner, at which the kernel clears them).
 * Leaves to others: extended attributes, devices and hard links, which debugfs does not copy.
 */
import { chmod, readdir } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { raise } from '../../../../core/errors.ts'
import { buildLimits } from '../../../../core/limits.ts'
import { ensureHostTools } from '../../../build/adapters/host-tools.ts'
import { runTool } from '../../../build/adapters/run-tool.ts'

const specialBits = 0o7000
/** A line of `ls -p`. */
const listingBytes = 512

/** @param image path, with `?offset=BYTES` for a partition. @throws EverbootError EB-IMAGE, EB-DISK-FULL */
export async function dumpRoot(image: string, directory: string): Promise<void> {
  const { path: find } = await ensureHostTools(['debugfs'], { install: true })
  const ask = (args: readonly string[], input = ''): Promise<string> =>
    answerOf(find('debugfs'), [...args, image], input)
  await ask(['-R', `rdump / ${directory}`])
  const inside = await readdir(directory, { recursive: true, withFileTypes: true })
  const directories = inside.filter((it) => it.isDirectory()).map((it) => join(it.parentPath, it.name))
  const names = ['', ...directories.map((it) => relative(directory, it))]
  // What debugfs cannot be asked for in a line has no such bits in any distribution.
  const script = names.filter((it) => !/["\n]/.test(it)).map((it) => `ls -p "/${it}"\n`)
  const listing = await ask(['-f', '-'], script.join(''))
  for (const { path, mode } of specialModes(listing)) await chmod(join(directory, path), mode)
}

/** Its exit status says nothing; what went wrong stands on standard error, below its name and version. */
async function answerOf(debugfs: string, args: readonly string[], input: string): Promise<string> {
  const outputBytesMax = buildLimits.filesMax * listingBytes
  const done = await runTool(debugfs, args, { input, outputBytesMax })
  const [complaint] = done.errors.split('\n').filter((it) => it !== '' && !it.startsWith('debugfs 1.'))
  if (done.status === 0 && complaint === undefined) return done.output
  const said = complaint ?? `status ${done.status}`
  if (/no space left/i.test(said)) raise('EB-DISK-FULL', `the root cannot be copied: ${said}`)
  return raise('EB-IMAGE', `the root in ${args.at(-1)} cannot be copied: ${said}`)
}

/** @param listing what debugfs says to `ls -p "/DIR"` lines. @returns files whose mode has special bits */
export function specialModes(listing: string): readonly { readonly path: string; readonly mode: number }[] {
  const found: { readonly path: string; readonly mode: number }[] = []
  let directory = ''
  for (const line of listing.split('\n')) {
    directory = /^debugfs: ls -p "\/(.*)"$/.exec(line)?.[1] ?? directory
    const [, octal = '0', name = ''] = /^\/\d+\/(\d+)\/\d+\/\d+\/(.+)\/\d*\/$/.exec(line) ?? []
    const mode = Number.parseInt(octal, 8)
    const plain = (mode & 0o170000) === 0o100000 || (mode & 0o170000) === 0o040000
    if (plain && (mode & specialBits) !== 0 && name !== '.' && name !== '..')
      found.push({ path: join(directory, name), mode: mode & 0o7777 })
  }
  return found
}
