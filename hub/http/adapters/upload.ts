/**
 * Takes a release: streams the `.ebr` to a file, checks all of it, puts its parts in place, registers it.
 * Promise: nothing is served before header, manifest signature, seal, key wraps and the hash of every part
 * held; an upload that is refused, cut off or in conflict leaves nothing behind.
 * Leaves to others: the checks themselves (images/release), naming and conflicts (../../core/publish.ts).
 */
import { createHash } from 'node:crypto'
import { rm, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Readable } from 'node:stream'
import { EverbootError, orThrow, raise } from '../../../core/errors.ts'
import { hubLimits } from '../../../core/limits.ts'
import type { Clock } from '../../../core/ports.ts'
import { bytesText, type Digest } from '../../../core/units.ts'
import { createFileSink, openFileSource } from '../../../images/release/adapters/file-bytes.ts'
import { openContainer } from '../../../images/release/container.ts'
import { sealOf } from '../../../images/release/piece-task.ts'
import { type Release, readWraps, verifyClosed } from '../../../images/release/reader.ts'
import type { Trust } from '../../../keys/trust.ts'
import { verifyEd25519 } from '../../../keys/verify-node.ts'
import type { HubCore } from '../../core/core.ts'
import type { Answer, ReleaseInfo, Wrap } from '../../core/model.ts'
import { conflictOf } from '../../core/publish.ts'
import type { BlobFiles } from '../../store/adapters/blob-files.ts'

export interface Uploader {
  /**
   * @param bytes of the body as announced; null when it is not
   * @param received called when the body is there and the checks begin, which may take long
   * @throws EverbootError the fault of the release, EB-CONFLICT, EB-LIMIT, EB-FILE
   */
  take(body: Readable, bytes: number | null, received: () => void): Promise<Answer>
}

export function createUploader(
  core: HubCore,
  files: BlobFiles,
  trust: Trust,
  clock: Pick<Clock, 'wallMs'>,
): Uploader {
  let running = 0
  /** Of two uploads of one release the second sees what the first has done. */
  let last: Promise<unknown> = Promise.resolve()
  return {
    async take(body, bytes, received) {
      if (running >= hubLimits.uploadsMax) {
        raise('EB-LIMIT', `${running} uploads are under way, the most at a time`, {
          todo: 'retry when one has ended',
        })
      }
      running += 1
      const path = files.incoming()
      try {
        await receive(body, bytes, path)
        received()
        const turn = last.then(() => checkAndPlace(path, core, files, trust, clock.wallMs()))
        last = turn.catch(() => undefined)
        return await turn
      } finally {
        running -= 1
        await rm(path, { force: true })
      }
    },
  }
}

async function receive(body: Readable, bytes: number | null, path: string): Promise<void> {
  await checkRoom(bytes ?? 0, dirname(path))
  const sink = await createFileSink(path, 0o600)
  let taken = 0
  try {
    for await (const part of body) {
      taken += (part as Buffer).length
      if (taken > hubLimits.uploadBytesMax)
        raise('EB-LIMIT', `the upload is over ${bytesText(hubLimits.uploadBytesMax)}`)
      await sink.write(part as Buffer)
    }
  } catch (caught) {
    await sink.abandon()
    if (caught instanceof EverbootError) throw caught
    raise('EB-CONTAINER', `the upload ended after ${taken} bytes`, { cause: caught })
  }
  await sink.finish()
}

/** Twice the size is needed, since the parts are copied out of the container. */
async function checkRoom(bytes: number, directory: string): Promise<void> {
  const { bavail, bsize } = await statfs(directory)
  const room = bavail * bsize
  if (bytes > hubLimits.uploadBytesMax || 2 * bytes > room) {
    raise(
      'EB-LIMIT',
      `the upload of ${bytesText(bytes)} needs twice that on the disk, which has ${bytesText(room)}`,
      {
        todo: 'free space in the data directory of the hub',
      },
    )
  }
}

async function checkAndPlace(
  path: string,
  core: HubCore,
  files: BlobFiles,
  trust: Trust,
  atMs: number,
): Promise<Answer> {
  const source = await openFileSource(path)
  try {
    const named = { ...source, name: 'the upload' }
    const release = orThrow(await openContainer(named, trust.release, verifyEd25519))
    const info = infoOf(release, atMs)
    const conflict = conflictOf(core.state(), info)
    if (conflict !== null) throw new EverbootError(conflict)
    orThrow(sealOf(release.manifest, trust.seal, verifyEd25519))
    await verifyClosed(release, trust.release, verifyEd25519)
    const wraps = await wrapsOf(release, trust)
    const known = core.state().releases.get(info.id) !== undefined
    const takeAway = known ? null : await files.place(release)
    const answer = await core.handle({ kind: 'register-release', release: info, wraps })
    if (!answer.ok) await takeAway?.()
    return orThrow(answer)
  } finally {
    await source.close()
  }
}

async function wrapsOf(release: Release, trust: Trust): Promise<readonly Wrap[]> {
  const wraps: Wrap[] = []
  for (const [device, keys] of await readWraps(release, trust.release, verifyEd25519)) {
    for (const [blob, key] of keys) wraps.push({ device, blob, key })
  }
  return wraps
}

function infoOf({ manifest, manifestBytes }: Release, atMs: number): ReleaseInfo {
  const { id, product, version, securityVersion, hardware, profile } = manifest
  const sha256 = createHash('sha256').update(manifestBytes).digest('hex') as Digest
  return {
    id,
    product,
    version,
    securityVersion,
    hardware,
    profile,
    manifest: { bytes: manifestBytes.length, sha256 },
    blobs: manifest.blobs.map((it) => ({
      id: it.id,
      kind: it.kind,
      bytes: it.bytes,
      sha256: it.sha256,
      index: { bytes: it.index.bytes, sha256: it.index.sha256 },
    })),
    atMs,
  }
}
