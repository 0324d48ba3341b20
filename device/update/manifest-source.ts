/**
 * Gets the manifest of an assigned release: from the data partition when it is there already, else from the
 * hub.
 * Promise: whatever its source, the bytes have the length and hash of the assignment, and the signatures
 * hold, before anything in them is believed.
 * Leaves to others: what the manifest allows (plan.ts).
 */
import { createHash } from 'node:crypto'
import { EverbootError, fault } from '../../core/errors.ts'
import { releaseLimits } from '../../core/limits.ts'
import type { Clock, Fetch, FileStore } from '../../core/ports.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import type { AssignedRelease } from '../../core/wire/messages.ts'
import { type Manifest, openManifest } from '../../images/release/manifest.ts'
import { fetchRange } from '../download/range-fetch.ts'
import { type TransferFault, transferFault } from '../download/transfer-fault.ts'
import type { AgentSettings } from '../settings.ts'

const fileName = 'manifest'
const newName = 'manifest.new'

export interface ManifestPorts {
  readonly fetch: Fetch
  readonly clock: Clock
  readonly files: FileStore
  /** Ends the transfer at once when it is aborted. */
  readonly cancelled: AbortSignal
}

/** @returns the manifest, or why not; a failure of class `network` may be better later. */
export async function loadManifest(
  assigned: AssignedRelease,
  url: string,
  settings: AgentSettings,
  ports: ManifestPorts,
): Promise<Result<Manifest, TransferFault>> {
  const { manifest: wanted } = assigned
  if (wanted.bytes > releaseLimits.manifestBytesMax) {
    const what = `the manifest has ${wanted.bytes} bytes, limit ${releaseLimits.manifestBytesMax}`
    return fail(transferFault('final', fault('EB-ENDLESS', what)))
  }
  const kept = await ports.files.read(fileName).catch(unreadable)
  const known = kept !== null && sha256(kept) === wanted.sha256
  const fetched: Result<Uint8Array, TransferFault> = known
    ? ok(kept)
    : await download(url, wanted.bytes, ports)
  if (!fetched.ok) return fetched
  const bytes = fetched.value
  if (sha256(bytes) !== wanted.sha256) {
    return fail(transferFault('bytes', fault('EB-MANIFEST', `${url} does not have the assigned hash`)))
  }
  const opened = openManifest(bytes, settings.trust.release, settings.verify)
  if (!opened.ok) return fail(transferFault('final', opened.error))
  if (opened.value.id !== assigned.id) {
    const what = `the manifest is of ${opened.value.id}, assigned is ${assigned.id}`
    return fail(transferFault('final', fault('EB-MANIFEST', what)))
  }
  if (!known) await keep(bytes, ports.files)
  return opened
}

/** A kept copy that cannot be read is no reason to give up: the hub has it. */
function unreadable(caught: unknown): null {
  if (caught instanceof EverbootError) return null
  throw caught
}

async function download(
  url: string,
  bytes: number,
  ports: ManifestPorts,
): Promise<Result<Uint8Array, TransferFault>> {
  const request = { url, start: 0, endExclusive: bytes, fileBytes: bytes, etag: null }
  const body = await fetchRange(request, ports.fetch, ports.clock, ports.cancelled)
  if (!body.ok) return body
  const whole = new Uint8Array(bytes)
  for (let received = 0; ; ) {
    const part = await body.value.read()
    if (!part.ok) return part
    if (part.value === null) return ok(whole)
    whole.set(part.value, received)
    received += part.value.length
  }
}

/**
 * So that a start without a network can go on; the hash decides whether it is the right one. Where there is no
 * room for it, it is left to the next start to fetch it again: the journal needs the room more.
 */
async function keep(bytes: Uint8Array, files: FileStore): Promise<void> {
  try {
    await files.write(newName, bytes)
    await files.syncFile(newName)
    await files.rename(newName, fileName)
  } catch (caught) {
    if (!(caught instanceof EverbootError)) throw caught
    await files.remove(newName)
  }
}

/** The kept manifest is of no use any more. */
export async function forgetManifest(files: FileStore): Promise<void> {
  await files.remove(fileName)
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
