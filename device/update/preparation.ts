/**
 * Everything before the first erased byte: gets the manifest, makes the plan, opens the spare slot, decides
 * whether it may be wiped or needs no download at all.
 * Promise: writes nothing; either the installation may begin, or one coded fault says why not.
 * Leaves to others: the installation itself (installer.ts), the journal entry of the attempt (agent.ts).
 */
import { present } from '../../core/assert.ts'
import { type Fault, fault } from '../../core/errors.ts'
import type { BlockDevice, Fetch } from '../../core/ports.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import type { AssignedRelease } from '../../core/wire/messages.ts'
import type { Manifest } from '../../images/release/manifest.ts'
import { openWrap, sealOf } from '../../images/release/piece-task.ts'
import type { Seal } from '../../images/release/seal.ts'
import type { Board } from '../board.ts'
import { type RetryHost, retrying } from '../download/retrying.ts'
import { slotKeys } from '../settings.ts'
import { isIntact } from '../slots/slot.ts'
import { mayWipe, standingOf, trialOpen } from './boot-rules.ts'
import type { Attempt } from './journal.ts'
import { loadManifest } from './manifest-source.ts'
import { type PlannedImage, planInstall } from './plan.ts'

/** One partition of the spare slot, opened, and what goes into it. */
export interface OpenImage {
  readonly planned: PlannedImage
  readonly device: BlockDevice
}

export type Prepared =
  /** The running, committed system is the wanted release. */
  | { readonly kind: 'held' }
  /** The running system, in rescue, is the wanted release: it is tried again where it is. */
  | { readonly kind: 'own in place'; readonly seal: Seal }
  /** The spare holds the wanted release, intact, and nothing casts doubt on what is read there. */
  | { readonly kind: 'spare in place'; readonly seal: Seal }
  | ({
      readonly kind: 'install'
      /** The spare holds something of a release: pieces of it may be the wanted ones. */
      readonly worthRescan: boolean
    } & PlannedInstall)
  | { readonly kind: 'cancelled' }

interface PlannedInstall {
  readonly manifest: Manifest
  readonly seal: Seal
  readonly images: readonly OpenImage[]
  readonly fetch: Fetch
  /** URL of the directory of the release. */
  readonly baseUrl: string
  /** Lets the devices and, when it is one, the release file go. */
  close(): Promise<void>
}

/** The only good slot is the spare: it has to be booted before anything is written. */
export interface Refusal {
  readonly fault: Fault
  readonly bootTheSpare: boolean
}

/** @throws EverbootError EB-SLOT-*, when the spare cannot be opened or read */
export async function prepare(
  board: Board,
  attempt: Attempt,
  host: RetryHost,
): Promise<Result<Prepared, Refusal>> {
  const { boot, own, spare } = board
  const standing = standingOf(boot.record, own)
  const ownSeal = board.seal(own)
  if (ownSeal?.releaseId === attempt.releaseId) {
    if (standing === 'committed') return ok({ kind: 'held' })
    return ok({ kind: 'own in place', seal: ownSeal })
  }
  if (trialOpen(boot.record) && boot.record.priority === spare) {
    return refuse(fault('EB-TRIAL-OPEN', `slot ${spare} is on trial`))
  }
  const spareSeal = await spareSealOnMedium(board)
  const spareUsable =
    spareSeal !== null &&
    spareSeal.securityVersion >= boot.floor &&
    (await isIntact(board.ports.disks, spare, spareSeal))
  if (spareUsable && !board.spareDoubted && spareSeal.releaseId === attempt.releaseId) {
    return ok({ kind: 'spare in place', seal: spareSeal })
  }
  if (attempt.desired === null) {
    return refuse(fault('EB-WRONG-SLOT', `slot ${spare} does not hold ${attempt.releaseId} intact`))
  }
  const planned = await makePlan(board, attempt.desired.release, attempt.file, host)
  if (!planned.ok) return refuse(planned.error)
  if (planned.value === null) return ok({ kind: 'cancelled' })
  const { close } = planned.value
  const wipe = await orClose(() => wipeVerdict(board, spareUsable), close)
  if (wipe === null) return ok({ kind: 'install', ...planned.value, worthRescan: spareSeal !== null })
  await close()
  return fail(wipe)
}

/**
 * What is read there may have been written by an agent that was killed before its flush: nothing that follows
 * from the seal may be promised before it would outlive a loss of power.
 */
async function spareSealOnMedium(board: Board): Promise<Seal | null> {
  const seal = await board.refreshSeal(board.spare)
  if (seal === null) return null
  // To flush is not to write: a spare that somebody has mounted may still be the one to go back to.
  const devices = await openSpare(board, 'read')
  try {
    for (const { device } of devices) await device.flush()
  } finally {
    for (const { device } of devices) await device.close()
  }
  return seal
}

/** An exclusive device that is not closed after a failure would be busy for every later attempt. */
async function orClose<T>(work: () => Promise<T>, close: () => Promise<void>): Promise<T> {
  try {
    return await work()
  } catch (caught) {
    await close()
    throw caught
  }
}

function refuse(it: Fault): Result<never, Refusal> {
  return fail({ fault: it, bootTheSpare: false })
}

/** Rule 10. @returns null when the spare may be wiped */
async function wipeVerdict(board: Board, spareUsable: boolean): Promise<Refusal | null> {
  const { boot, journal, own, spare } = board
  const facts = {
    standing: standingOf(boot.record, own),
    spareUsable,
    ownIntact: null,
    spareOk: boot.record[spare].ok,
    spareTries: boot.record[spare].tries,
    spareLived: journal.current.lived !== null && journal.current.lived === board.seal(spare)?.releaseId,
    handedBack: journal.current.handedBack,
  }
  let verdict = mayWipe(facts)
  if (verdict === 're-read') {
    const seal = board.seal(own)
    const ownIntact = seal !== null && (await isIntact(board.ports.disks, own, seal))
    verdict = mayWipe({ ...facts, ownIntact })
  }
  if (verdict === 'wipe') return null
  const why =
    verdict === 'boot the spare' ? `the running slot ${own} is damaged` : `slot ${own} is not committed`
  return {
    fault: fault('EB-SPARE-NEEDED', `${why} and slot ${spare} is good`),
    bootTheSpare: verdict === 'boot the spare',
  }
}

/** @param file a release file on the device, or null for the hub. @returns null when cancelled */
async function makePlan(
  board: Board,
  assigned: AssignedRelease,
  file: string | null,
  host: RetryHost,
): Promise<Result<PlannedInstall | null, Fault>> {
  const { ports, settings } = board
  const source =
    file === null ? { fetch: ports.fetch, close: async () => {} } : await ports.openReleaseFile(file)
  const origin = file === null ? settings.hubUrl : ''
  const made = await orClose(() => planFrom(board, assigned, source, origin, host), source.close)
  if (!made.ok || made.value === null) await source.close()
  return made
}

async function planFrom(
  board: Board,
  assigned: AssignedRelease,
  { fetch, close: closeSource }: { readonly fetch: Fetch; close(): Promise<void> },
  origin: string,
  host: RetryHost,
): Promise<Result<PlannedInstall | null, Fault>> {
  const { ports, settings } = board
  const manifestUrl = origin + assigned.manifest.path
  const source = { fetch, clock: ports.clock, files: ports.files, cancelled: host.cancelled }
  const loaded = await retrying(
    () => loadManifest(assigned, manifestUrl, settings, source),
    () => 0,
    host,
    ports,
  )
  if (!loaded.ok) return loaded
  const manifest = loaded.value
  if (manifest === null) return ok(null)
  const keys = slotKeys(settings)
  const seal = sealOf(manifest, keys.ring, keys.verify)
  if (!seal.ok) return seal
  const devices = await openSpare(board, 'exclusive')
  const closeDevices = async (): Promise<void> => {
    for (const { device } of devices) await device.close()
  }
  const facts = {
    product: settings.product,
    hardware: ports.machine.hardware(),
    floor: board.boot.floor,
    partitions: devices.map(({ name, device }) => ({ name, bytes: device.sizeBytes })),
  }
  const planned = planInstall(manifest, facts, (blobId) => contentKey(assigned, blobId, settings.wrappingKey))
  if (!planned.ok) {
    await closeDevices()
    return planned
  }
  const images = planned.value.map((it, index) => ({
    planned: it,
    device: present(devices[index], 'device').device,
  }))
  const baseUrl = manifestUrl.slice(0, manifestUrl.lastIndexOf('/'))
  const close = async (): Promise<void> => {
    await closeDevices()
    await closeSource()
  }
  return ok({ manifest, seal: seal.value.seal, images, fetch, baseUrl, close })
}

async function openSpare(
  board: Board,
  mode: 'read' | 'exclusive',
): Promise<{ name: string; device: BlockDevice }[]> {
  const opened: { name: string; device: BlockDevice }[] = []
  try {
    for (const name of board.settings.partitions) {
      const device = await board.ports.disks.openSlot(board.spare, name, mode)
      opened.push({ name, device: doubtedAfterFault(device, board) })
    }
    return opened
  } catch (caught) {
    for (const { device } of opened) await device.close()
    throw caught
  }
}

/** A flush that fails may have lost what was written, whatever is read afterwards. */
function doubtedAfterFault(device: BlockDevice, board: Board): BlockDevice {
  return {
    sizeBytes: device.sizeBytes,
    sectorBytes: device.sectorBytes,
    allocate: (bytes) => device.allocate(bytes),
    read: (offset, into) => device.read(offset, into),
    write: (offset, bytes) => device.write(offset, bytes),
    async flush() {
      try {
        await device.flush()
      } catch (caught) {
        await board.doubtSpare()
        throw caught
      }
    },
    close: () => device.close(),
  }
}

function contentKey(
  assigned: AssignedRelease,
  blobId: string,
  wrappingKey: Uint8Array,
): Result<Uint8Array, Fault> {
  return openWrap(wrappingKey, Object.hasOwn(assigned.keys, blobId) ? assigned.keys[blobId] : undefined)
}
