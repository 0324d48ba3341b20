/**
 * Flashing from end to end: look at image and disk, ask, check, write, read back, first boot, eject.
 * Promise: nothing is written before the image was found whole, the disk may be overwritten and somebody said so;
 * the disk is looked at again after the answer, since it may have been changed for another one.
 * Leaves to others: the terminal (cli.ts).
 */
import { access, constants, realpath, rm, stat, truncate } from 'node:fs/promises'
import { basename } from 'node:path'
import { EverbootError, raise } from '../../../core/errors.ts'
import type { BlockDevice } from '../../../core/ports.ts'
import { blockBytes, bytesText, type Digest, roundUp } from '../../../core/units.ts'
import { type ByteSource, windowOf } from '../../release/byte-source.ts'
import { type DiskImage, writeDisk } from '../disk-writer.ts'
import { type DiskFacts, describe, isSameDisk, misfit, refusal } from '../disks.ts'
import { encodeFirstBoot, type FirstBoot, firstBootName } from '../first-boot.ts'
import { findFat, type Partition } from '../partition-table.ts'
import { sectorSample } from '../sector-sample.ts'
import { type Ejected, ejectDisk } from './eject.ts'
import { findMcopy, putFatFile } from './fat-file.ts'
import { openImage } from './image-file.ts'
import { machineFacts, numberText } from './machine-facts.ts'
import { openDisk, openFile } from './target-disk.ts'

export interface FlashJob {
  readonly image: string
  readonly disk: string
  readonly anyDisk: boolean
  readonly eject: boolean
  readonly firstBoot: FirstBoot | null
  readonly signal: AbortSignal
  /**
   * Asks whether the disk may be overwritten.
   * @param target what it is. @param name what has to be typed
   * @throws EverbootError EB-DISK-UNCONFIRMED
   */
  confirm(target: string, name: string): Promise<void>
  progress(phase: string, done: number, total: number): void
}

export interface Flashed {
  readonly disk: string
  readonly bytes: number
  /** Of the image. */
  readonly sha256: Digest
  /** What ejected it; null: it was only flushed. */
  readonly ejected: Ejected
  /** Where the file for the first boot lies. */
  readonly firstBoot: Partition | null
}

/** Where it is written to. */
type Target =
  | { readonly kind: 'disk'; readonly path: string; readonly facts: DiskFacts }
  | { readonly kind: 'file'; readonly path: string; readonly isNew: boolean }

/** @throws EverbootError EB-DISK-…, EB-IMAGE, EB-FILE, EB-FIRST-BOOT, EB-TOOL-MISSING, EB-CANCELLED */
export async function flash(job: FlashJob): Promise<Flashed> {
  const target = await findTarget(job)
  const mcopy = job.firstBoot === null ? null : await findMcopy()
  const image = await openImage(job.image, job.signal)
  try {
    if (image.packing === null) {
      fits(target, image.file.bytes)
      if (job.firstBoot !== null) await fatOf(image.file, job.image)
    }
    if (target.kind === 'disk' || !target.isNew) await job.confirm(targetText(target), basename(target.path))
    const sample = image.packing !== null && job.firstBoot !== null ? sectorSample() : null
    const checked = await image.check(
      (done, total) => job.progress('checking', done, total),
      (bytes) => sample?.add(bytes),
    )
    const kept = sample?.source(job.image) ?? null
    if (kept !== null) await fatOf(kept, job.image)
    fits(target, checked.bytes)
    await stillTheSame(job, target)
    return await onDevice(job, target, checked, mcopy)
  } finally {
    await image.file.close()
  }
}

async function findTarget(job: FlashJob): Promise<Target> {
  const path = await realpath(job.disk).catch(() => null)
  if (path === null) {
    // A mistyped disk must not become a file in memory.
    if (!/^\/dev(\/|$)/.test(job.disk)) return { kind: 'file', path: job.disk, isNew: true }
    raise('EB-DISK-MISSING', `there is no disk ${job.disk}`)
  }
  const it = await stat(path)
  if (it.isFile()) {
    if (path === (await realpath(job.image).catch(() => ''))) raise('EB-USAGE', `${path} is the image itself`)
    return { kind: 'file', path, isNew: false }
  }
  if (!it.isBlockDevice()) raise('EB-DISK-MISSING', `${job.disk} is neither a disk nor a file`)
  const facts = await diskNamed(job, path)
  // Said now, not after minutes of expanding.
  await access(path, constants.W_OK).catch((cause: unknown) =>
    raise('EB-NOT-ROOT', `${path} may not be written by this user`, { cause }),
  )
  return { kind: 'disk', path, facts }
}

/** @throws EverbootError when it must not be overwritten */
async function diskNamed(job: FlashJob, path: string): Promise<DiskFacts> {
  const facts = await machineFacts()
  // By number, not by name: a node may be called anything.
  const number = numberText((await stat(path)).rdev)
  const parent = facts.blocks.find((it) => it.number === number)?.parent ?? null
  if (parent !== null) {
    raise('EB-DISK-PARTITION', `${path} is a partition of /dev/${parent}`, { todo: `name /dev/${parent}` })
  }
  const disk = facts.disks.find((it) => it.number === number)
  if (disk === undefined) raise('EB-DISK-MISSING', `there is no disk ${path}`)
  const refused = refusal(facts, disk, job.anyDisk)
  if (refused !== null) throw new EverbootError(refused)
  return disk
}

/** While somebody thought, the stick may have been changed, or mounted by the desktop. */
async function stillTheSame(job: FlashJob, target: Target): Promise<void> {
  if (target.kind === 'file') return
  const now = await diskNamed(job, target.path)
  if (!isSameDisk(target.facts, now)) {
    raise('EB-DISK-GONE', `${target.path} is another disk now: ${describe(now)}`, { todo: 'start again' })
  }
}

function fits(target: Target, imageBytes: number): void {
  if (target.kind === 'file') return
  const bytes = roundUp(imageBytes, target.facts.sectorBytes)
  const fault = misfit(target.path, target.facts.sizeBytes, bytes)
  if (fault !== null) throw new EverbootError(fault)
}

function targetText(target: Target): string {
  if (target.kind === 'disk') return `${target.path} (${describe(target.facts)})`
  return `the file ${target.path}`
}

async function onDevice(
  job: FlashJob,
  target: Target,
  image: DiskImage,
  mcopy: string | null,
): Promise<Flashed> {
  const { path } = target
  const device = await openTarget(target, image.bytes)
  let firstBoot: Partition | null = null
  let sha256: Digest
  try {
    const { signal, progress } = job
    sha256 = await writeDisk({ device, name: path, image, signal, progress })
    if (target.kind === 'file') await truncate(path, image.bytes)
    if (job.firstBoot !== null && mcopy !== null) {
      progress('first boot', 0, 0)
      firstBoot = await fatOf(deviceSource(device, path, image.bytes), path)
      await putFatFile(mcopy, path, firstBoot, { name: firstBootName, text: encodeFirstBoot(job.firstBoot) })
      await device.flush()
    }
  } catch (caught) {
    await device.close()
    if (target.kind === 'file' && target.isNew) await rm(path, { force: true })
    throw caught
  }
  await device.close()
  const ejected = job.eject && target.kind === 'disk' ? await ejectDisk(path) : null
  return { disk: path, bytes: image.bytes, sha256, ejected, firstBoot }
}

function openTarget(target: Target, imageBytes: number): Promise<BlockDevice> {
  if (target.kind === 'file') return openFile(target.path, imageBytes)
  return openDisk({ ...target.facts, path: target.path })
}

async function fatOf(disk: ByteSource, name: string): Promise<Partition> {
  const found = await findFat(disk)
  return (
    found ??
    raise('EB-FIRST-BOOT', `${name} has no FAT partition to put ${firstBootName} on`, {
      todo: 'give an image with a FAT boot partition, or leave the first-boot options out',
    })
  )
}

/** Any bytes of a device that takes whole blocks at a time. */
function deviceSource(device: BlockDevice, name: string, imageBytes: number): ByteSource {
  const room = device.allocate(2 * blockBytes)
  const whole: ByteSource = {
    name,
    bytes: device.sizeBytes,
    async read(offset, into) {
      const start = offset - (offset % device.sectorBytes)
      const skip = offset - start
      const wanted = Math.min(room.length, roundUp(skip + into.length, device.sectorBytes))
      const count = await device.read(start, room.subarray(0, Math.min(wanted, device.sizeBytes - start)))
      const part = room.subarray(skip, Math.max(skip, Math.min(count, skip + into.length)))
      into.set(part)
      return part.length
    },
  }
  return windowOf(whole, name, 0, Math.min(imageBytes, device.sizeBytes))
}

/** For the summary: `3.4 GiB`. */
export function flashedText(it: Flashed): string {
  return `${bytesText(it.bytes)} on ${it.disk}`
}
