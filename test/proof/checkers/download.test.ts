/**
 * I8: bytes that go out, marks, flushes, and lies about them.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import type { Happening } from '../../../proof/checkers/checker.ts'
import type { MadeRelease } from '../../../proof/publisher.ts'
import { type Cast, makeCast } from './story.ts'
import {
  openAttempt,
  releaseNamed,
  reportOf,
  saveJournal,
  statusOf,
  tell,
  updated,
  type Witness,
  witness,
} from './witness.ts'

let cast: Cast
beforeAll(async () => {
  cast = await makeCast()
})

const part = 1000

function served(release: MadeRelease, bytes: number, fits = true): Happening {
  return { kind: 'served', url: `https://hub/blobs/${release.manifest.id}/rootfs.blob`, bytes, fits }
}

/** An attempt is open, and its download has begun. */
async function downloading(bytes = part): Promise<{ at: Witness; release: MadeRelease; blobBytes: number }> {
  const at = await witness(cast)
  const release = releaseNamed(at, 'good-1')
  saveJournal(at, { attempt: openAttempt(9, release) })
  tell(at, served(release, bytes))
  const [blob] = release.manifest.blobs
  return { at, release, blobBytes: blob?.bytes ?? 0 }
}

function serveRest({ at, release, blobBytes }: Awaited<ReturnType<typeof downloading>>, less = 0): void {
  let left = blobBytes - part - less
  for (; left > part; left -= part) tell(at, served(release, part))
  tell(at, served(release, left))
}

/** One piece as sealed, and one part. */
const inFlight = 4096 + 64 + part

describe('I8', () => {
  it('fires at the first byte more than the blob has', async () => {
    const it = await downloading()
    serveRest(it)
    expect(it.at.fired()).toEqual([])
    tell(it.at, served(it.release, 1))
    expect(it.at.fired()).toEqual(['I8'])
  })

  it('lets a kill, a broken transfer and a new hub cost the piece in flight and one part each', async () => {
    const failed = {
      kind: 'logged',
      event: { event: 'transfer failed', code: 'EB-HUB-UNREACHABLE' },
    } as const
    for (const blow of [{ kind: 'killed' }, failed, { kind: 'hub-restarted' }] as const) {
      const it = await downloading()
      serveRest(it)
      tell(it.at, blow)
      for (let left = inFlight; left > 0; left -= part) tell(it.at, served(it.release, Math.min(left, part)))
      expect(it.at.fired(), blow.kind).toEqual([])
      tell(it.at, served(it.release, 1))
      expect(it.at.fired(), blow.kind).toEqual(['I8'])
    }
  })

  it('lets no failure cost anything at which no byte of a piece is lost', async () => {
    const it = await downloading()
    serveRest(it)
    tell(
      it.at,
      { kind: 'logged', event: { event: 'transfer failed', code: 'EB-RANGE' } },
      served(it.release, 1),
    )
    expect(it.at.fired()).toEqual(['I8'])
  })

  it('fires when after a cut more is fetched than is missing on the medium', async () => {
    const it = await downloading()
    const { image } = it.release
    // Three of six pieces are on the medium: what goes out again is of the others.
    it.at.board.slots.b.plant(0, image.subarray(0, 3 * 4096))
    serveRest(it)
    tell(it.at, { kind: 'cut' })
    const missing = it.at.observer.truth.missing('b', it.release, 'rootfs', 6)
    expect(missing).toBe(1)
    const most = missing * (4096 + 64) + inFlight
    for (let left = most; left > 0; left -= part) tell(it.at, served(it.release, Math.min(left, part)))
    expect(it.at.fired()).toEqual([])
    tell(it.at, served(it.release, 1))
    expect(it.at.fired()).toEqual(['I8'])
  })

  it('lets damaged pieces come again when something was planted that damages', async () => {
    const it = await downloading()
    serveRest(it)
    it.at.observer.planted('rot', 'b')
    tell(it.at, served(it.release, part))
    serveRest(it)
    expect(it.at.fired()).toEqual([])
    tell(it.at, served(it.release, 1))
    expect(it.at.fired()).toEqual(['I8'])
  })

  it('counts each attempt anew', async () => {
    const it = await downloading()
    serveRest(it)
    const report = reportOf(9, it.release, { result: 'failed', code: 'EB-CANCELLED' })
    const outbox = [statusOf(it.at, { report })]
    saveJournal(it.at, { attempt: openAttempt(10, it.release), outbox })
    tell(it.at, served(it.release, part))
    serveRest(it)
    expect(it.at.fired()).toEqual([])
  })

  it('fires at bytes of an answer that is not the range asked for', async () => {
    const it = await downloading()
    tell(it.at, served(it.release, 1, false))
    expect(it.at.fired()).toEqual(['I8'])
  })

  it('fires when a mark is saved of what is not on the medium', async () => {
    const it = await downloading()
    await it.at.board.slots.b.write(0, it.release.image.subarray(0, 2 * 4096))
    saveJournal(it.at, { attempt: openAttempt(9, it.release, { marks: { rootfs: 2 } }) })
    expect(it.at.fired()).toEqual(['I8'])
    expect(it.at.said('I8')).toContain('mark 2 of rootfs; 2 pieces before it')
  })

  it('believes a mark of what was flushed', async () => {
    const it = await downloading()
    await it.at.board.slots.b.write(0, it.release.image.subarray(0, 2 * 4096))
    await it.at.board.slots.b.flush()
    saveJournal(it.at, { attempt: openAttempt(9, it.release, { marks: { rootfs: 2 } }) })
    expect(it.at.fired()).toEqual([])
  })

  it('fires when a flush that is due does not come with the next piece', async () => {
    for (const flushes of [true, false]) {
      const it = await downloading()
      await it.at.world.time.pass(2_001)
      for (let bytes = 0; bytes <= 2 * inFlight; bytes += part) {
        if (flushes && bytes > inFlight) await it.at.board.slots.b.flush()
        tell(it.at, served(it.release, part))
      }
      expect(it.at.fired()).toEqual(flushes ? [] : ['I8'])
    }
  })

  it('has nothing against an update as it is', async () => {
    const at = await witness(cast)
    await updated(at)
    expect(at.fired()).toEqual([])
  })
})
