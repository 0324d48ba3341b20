/**
 * Whatever a publisher has, as a raw image to read: a directory, a raw image, or one in `.gz`, `.zip`, `.zst`, `.xz`.
 * Promise: the form is found by content, never by name; what has to be made lies in the work directory only.
 * Leaves to others: the tools (filesystem-image.ts, expand.ts) and the work directory.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { raise } from '../../../core/errors.ts'
import { type FileSource, openFileSource } from '../../release/adapters/file-bytes.ts'
import { expandImage, type Packing } from './expand.ts'
import { type FilesystemPlan, makeFilesystem } from './filesystem-image.ts'
import { openSparseSource } from './sparse-source.ts'

export interface InputPlan {
  readonly path: string
  readonly workDirectory: string
  /** For a directory; null when the command did not say. */
  readonly filesystem: FilesystemPlan['kind'] | null
  readonly bytes: number | null
  readonly fixed: FilesystemPlan['fixed']
  readonly signal: AbortSignal
  readonly phase: (name: string, done: number, total: number) => void
}

export interface PreparedImage {
  readonly source: FileSource
  /** What it was: `ext4`, `squashfs`, `raw`, `gz`, `zip`, `zst`, `xz`. */
  readonly form: string
}

/** @throws EverbootError EB-FILE, EB-IMAGE, EB-USAGE, EB-TOOL-MISSING */
export async function prepareImage(plan: InputPlan): Promise<PreparedImage> {
  const it = await stat(plan.path).catch((cause: Error) =>
    raise('EB-FILE', `${plan.path} cannot be read: ${cause.message}`, { cause }),
  )
  if (it.isDirectory()) return fromDirectory(plan)
  if (plan.filesystem !== null || plan.bytes !== null) {
    raise('EB-USAGE', `--filesystem and --size are for directories, ${plan.path} is a file`)
  }
  if (!it.isFile()) raise('EB-IMAGE', `${plan.path} is neither a file nor a directory`)
  const file = await openFileSource(plan.path)
  const packing = await packingOf(file)
  if (packing === null) {
    await file.close()
    return { source: await openSparseSource(plan.path), form: 'raw' }
  }
  const out = join(plan.workDirectory, 'input.img')
  try {
    const { signal } = plan
    const progress = (done: number): void => plan.phase('expanding', done, file.bytes)
    await expandImage({ archive: file, packing, signal, progress }, out)
  } finally {
    await file.close()
  }
  return { source: await openSparseSource(out), form: packing }
}

async function fromDirectory(plan: InputPlan): Promise<PreparedImage> {
  const kind = plan.filesystem ?? 'ext4'
  if (kind === 'squashfs' && plan.bytes !== null) {
    raise('EB-USAGE', '--size is for ext4; a squashfs has the size of its content')
  }
  const out = join(plan.workDirectory, 'input.img')
  plan.phase(`making ${kind}`, 0, 0)
  const { bytes, fixed, signal } = plan
  await makeFilesystem({ directory: plan.path, kind, bytes, fixed, signal }, out)
  return { source: await openSparseSource(out), form: kind }
}

const magics: readonly { readonly packing: Packing; readonly bytes: readonly number[] }[] = [
  { packing: 'gz', bytes: [0x1f, 0x8b, 0x08] },
  { packing: 'zst', bytes: [0x28, 0xb5, 0x2f, 0xfd] },
  // A skippable frame, with which pzstd begins.
  { packing: 'zst', bytes: [0x50, 0x2a, 0x4d, 0x18] },
  { packing: 'zip', bytes: [0x50, 0x4b, 0x03, 0x04] },
  { packing: 'zip', bytes: [0x50, 0x4b, 0x05, 0x06] },
  { packing: 'xz', bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] },
]

/** How a file is compressed, by its first bytes; null: not at all. */
export async function packingOf(file: FileSource): Promise<Packing | null> {
  const head = new Uint8Array(6)
  const count = await file.read(0, head)
  const found = magics.find(
    (it) => count >= it.bytes.length && it.bytes.every((byte, at) => head[at] === byte),
  )
  return found?.packing ?? null
}
