/**
 * Makes an emulated board: its disk with a factory system, its firmware's trust, its identity.
 * Promise: the directory appears whole or not at all; slot a holds the checked release with tree and seal,
 * the record says it is committed. What the wrong key, device or release would spoil is refused before.
 * Leaves to others: running it.
 */
import { cp, mkdir, open, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import * as v from 'valibot'
import { writeFactoryRecord } from '../../core/boot-partition.ts'
import { orThrow, raise } from '../../core/errors.ts'
import { boardLimits } from '../../core/limits.ts'
import { MiB, roundUp, safeName } from '../../core/units.ts'
import { openFileSource } from '../../images/release/adapters/file-bytes.ts'
import { openContainer } from '../../images/release/container.ts'
import { imageOf, openWrap, sealOf } from '../../images/release/piece-task.ts'
import { blobOf, type Progress, type Release, readWraps } from '../../images/release/reader.ts'
import { slotBytesNeeded } from '../../images/release/slot-layout.ts'
import { writeSlot } from '../../images/release/slot-writer.ts'
import { type KeyDirectory, keyDirectory } from '../../keys/adapters/key-directory.ts'
import type { Trust } from '../../keys/trust.ts'
import { verifyEd25519 } from '../../keys/verify-node.ts'
import { type BoardFile, boardPaths, diskBytes, layOut } from '../board-file.ts'
import { openFileDevice } from './file-device.ts'
import { tool } from './tools.ts'

export interface CreateRequest {
  readonly directory: string
  /** The factory release, an `.ebr` with key wraps. */
  readonly release: string
  /** Key directory of the publisher. */
  readonly keys: string
  /** What `everboot devices add` wrote. */
  readonly identity: string
  /** null: room for the factory image and some more. */
  readonly slotBytes: number | null
  readonly watchdogMs: number
  readonly progress: Progress
}

export interface CreatedBoard {
  readonly board: BoardFile
  readonly releaseId: string
  readonly version: string
}

const identityForm = v.looseObject({ v: v.literal(1), deviceId: v.pipe(v.string(), v.regex(safeName)) })

/** @throws EverbootError */
export async function createBoard(request: CreateRequest): Promise<CreatedBoard> {
  const target = resolve(request.directory)
  await refuseExisting(target)
  const keys = keyDirectory(request.keys)
  const trust = await keys.trust()
  const identity = await readIdentity(request.identity)
  const source = await openFileSource(request.release)
  const room = `${target}.new-${process.pid}`
  try {
    const release = orThrow(await openContainer(source, trust.release, verifyEd25519))
    const factory = await openFactory(release, keys, trust, identity.deviceId)
    const board = layOut({
      deviceId: identity.deviceId,
      image: factory.image,
      slotBytes: slotBytesOf(request, factory.neededBytes),
      watchdogMs: request.watchdogMs,
    })
    await mkdir(room, { recursive: true, mode: 0o700 })
    await makeDisk(room, board, release, factory, request.progress)
    await makeData(room, board, { ...identity, wrappingKey: factory.wrappingKey.toString('hex') })
    await mkdir(join(room, 'firmware'))
    await cp(join(request.keys, 'trust.json'), join(room, boardPaths.trust))
    await writeFile(join(room, boardPaths.board), `${JSON.stringify(board, null, 2)}\n`)
    await rename(room, target)
    return { board, releaseId: release.manifest.id, version: release.manifest.version }
  } finally {
    await source.close()
    await rm(room, { recursive: true, force: true })
  }
}

interface Factory {
  readonly image: string
  readonly neededBytes: number
  readonly contentKey: Uint8Array
  readonly seal: Uint8Array
  readonly wrappingKey: Buffer
  readonly securityVersion: number
}

async function openFactory(
  release: Release,
  keys: KeyDirectory,
  trust: Trust,
  deviceId: string,
): Promise<Factory> {
  const { manifest } = release
  const [only, ...more] = manifest.images
  if (only === undefined || more.length > 0) {
    raise(
      'EB-UNSUPPORTED',
      `release ${manifest.id} has ${manifest.images.length} images, this board takes one`,
    )
  }
  if (!manifest.hardware.includes('sim')) {
    raise('EB-WRONG-HARDWARE', `release ${manifest.id} is for ${manifest.hardware.join(', ')}, not sim`)
  }
  const blob = blobOf(manifest, only.name)
  const wrappingKey = Buffer.from(await keys.wrappingKey(deviceId))
  const wraps = await readWraps(release, trust.release, verifyEd25519)
  const contentKey = orThrow(openWrap(wrappingKey, wraps.get(deviceId)?.get(blob.id)))
  return {
    image: only.name,
    neededBytes: slotBytesNeeded(imageOf(manifest, blob).paddedBytes),
    contentKey,
    seal: orThrow(sealOf(manifest, trust.seal, verifyEd25519)).bytes,
    wrappingKey,
    securityVersion: manifest.securityVersion,
  }
}

function slotBytesOf(request: CreateRequest, neededBytes: number): number {
  const { slotBytes } = request
  if (slotBytes === null) return roundUp(neededBytes + boardLimits.slotSpareBytes, MiB)
  const whole = roundUp(slotBytes, MiB)
  if (whole >= neededBytes) return whole
  return raise('EB-TOO-LARGE', `the factory image needs ${neededBytes} bytes, --slot-bytes gives ${whole}`)
}

/** Sparse: what is never written takes no space. */
async function makeDisk(
  room: string,
  board: BoardFile,
  release: Release,
  factory: Factory,
  progress: Progress,
): Promise<void> {
  const disk = join(room, boardPaths.disk)
  await writeFile(disk, '', { mode: 0o600 })
  await truncate(disk, diskBytes(board))
  const slot = await openFileDevice({ path: disk, ...board.partitions.a }, 'write')
  const { image, contentKey, seal } = factory
  await writeSlot(release, { image, contentKey, seal, zeroed: true }, slot, progress)
  await slot.close()
  const boot = await openFileDevice({ path: disk, ...board.partitions.boot }, 'write')
  await writeFactoryRecord(boot, factory.securityVersion)
  await boot.close()
}

/** ext4 with the identity in it, placed into the disk. */
async function makeData(room: string, board: BoardFile, identity: Record<string, unknown>): Promise<void> {
  const content = join(room, 'data-content')
  const own = join(content, 'everboot')
  await mkdir(own, { recursive: true, mode: 0o700 })
  await writeFile(join(own, 'device.json'), `${JSON.stringify(identity, null, 2)}\n`, { mode: 0o600 })
  const { offset, bytes } = board.partitions.data
  const place = `offset=${offset},root_owner=0:0,lazy_itable_init=1`
  await tool(
    ...['mkfs.ext4', '-q', '-F', '-b', '4096', '-L', 'data', '-d', content, '-E', place],
    ...[join(room, boardPaths.disk), `${bytes / 1024}k`],
  )
  const file = await open(join(room, boardPaths.disk), 'r+')
  await file.sync()
  await file.close()
  await rm(content, { recursive: true })
}

async function readIdentity(path: string): Promise<Record<string, unknown> & { deviceId: string }> {
  const text = await identityText(path)
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch {
    raise('EB-CONFIG', `${path} is not JSON`)
  }
  const parsed = v.safeParse(identityForm, document)
  if (parsed.success) return parsed.output
  const [issue] = parsed.issues
  return raise('EB-CONFIG', `${path}: ${v.getDotPath(issue) ?? 'document'}: ${issue.message}`)
}

async function identityText(path: string): Promise<string> {
  const cannot = (cause: Error): never =>
    raise('EB-FILE', `${path} cannot be read: ${cause.message}`, { cause })
  const { size } = await stat(path).catch(cannot)
  if (size > boardLimits.identityBytesMax)
    raise('EB-CONFIG', `${path} has ${size} bytes, too many for an identity`)
  return readFile(path, 'utf8').catch(cannot)
}

async function refuseExisting(target: string): Promise<void> {
  const names = await readdir(target).catch((caught: NodeJS.ErrnoException) => {
    if (caught.code === 'ENOENT') return []
    return raise('EB-FILE', `${target} cannot be used: ${caught.message}`)
  })
  if (names.length > 0) {
    raise('EB-CONFLICT', `${target} exists and is not empty`, { todo: 'choose another directory' })
  }
  await mkdir(dirname(target), { recursive: true })
}
