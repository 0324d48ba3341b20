/**
 * A small release with each of its bytes changed in turn, fed to the agent: all of them are refused, and
 * nothing but the right bytes ever stands in the spare slot.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { type FileServer, fileServer } from '../../bootloader-sim/devices/network.ts'
import { readStamp } from '../../core/boot-partition.ts'
import { type ErrorCode, errorTable } from '../../core/errors.ts'
import { downloadLimits, slotLimits } from '../../core/limits.ts'
import type { Clock } from '../../core/ports.ts'
import { seededRandom } from '../../core/prng.ts'
import { inlineCodec } from '../../device/adapters/codec.ts'
import { openBoard } from '../../device/board.ts'
import { createInstaller, type StepOutcome } from '../../device/update/installer.ts'
import { emptyJournal } from '../../device/update/journal.ts'
import { assignedTo, type MadeRelease, pieceBytes } from '../../proof/publisher.ts'
import { type Factory, makeFactory, name, reported, type Scene, scene, wish } from './fixtures.ts'

let factory: Factory
beforeAll(async () => {
  factory = await makeFactory()
})

/** Time in which every pause between tries is over at once, and no transfer is slow. */
const instant: Clock = {
  monotonicMs: () => 0,
  wallMs: () => 0,
  sleep: async () => {},
  timer(durationMs, fire) {
    if (durationMs < downloadLimits.slowWindowMs) setImmediate(fire)
    return () => {}
  },
}

/** Installs by the agent's own installer, as far as it gets. */
type Install = (assigned: MadeRelease) => Promise<StepOutcome>

async function installerOn(at: Scene, fetch: FileServer): Promise<Install> {
  const { board } = at
  at.board.powerOff('kept')
  const { system } = board
  const ports = {
    clock: instant,
    random: seededRandom(1),
    entropy: { bytes: (count: number) => new Uint8Array(count) },
    disks: { openSlot: async (slot: 'a' | 'b') => board.slots[slot], openBoot: async () => board.bootDisk },
    files: board.files,
    link: at.world.net.broker.link('nobody'),
    fetch,
    machine: {
      handOver: () => ({ slot: 'a' as const, bootId: 'boot-1', bootMs: 0 }),
      hardware: () => system.hardware,
      hook: async () => null,
      pet: () => {},
      probe: async () => 200,
      run: async () => system.run([]),
      lastWords: async () => ({ console: null, bootTrace: null }),
      reboot: () => new Promise<never>(() => {}),
    },
    codec: inlineCodec,
    events: { emit: () => {} },
    openReleaseFile: system.openReleaseFile,
  }
  const opened = await openBoard(ports, { ...board.settings })
  const opening = (v2: MadeRelease) => ({
    seq: 1,
    releaseId: v2.manifest.id,
    target: 'b' as const,
    phase: 'opened' as const,
    armedInBoot: null,
    desired: { v: 1 as const, seq: 1, release: assignedTo(v2, board.wrappingKey) },
    file: null,
    marks: {},
    bytesFetched: 0,
    bytesRefetched: 0,
    networkBefore: true,
    verdict: null,
  })
  return async (v2) => {
    await opened.journal.save(() => ({ ...emptyJournal, attempt: opening(v2) }))
    await board.files.remove('manifest')
    const cancelled = new AbortController()
    const host = {
      cancelled: cancelled.signal,
      // A server that is "not reachable" for ever would be waited for for ever.
      waitForLink: async () => cancelled.abort(),
      onProgress: () => {},
      untilActive: async () => {},
      hubHeard: () => true,
    }
    const installer = createInstaller(opened, host)
    for (const step of [installer.checkAndDownload, installer.readBack, installer.sealAndArm]) {
      const outcome = await step()
      if (outcome.event === 'failed' || outcome.event === 'withdrawn' || outcome.event === 'damaged') {
        await installer.close()
        return outcome
      }
      if (outcome.event === 'armed') return outcome
    }
    throw new Error('the steps did not end')
  }
}

describe('each byte of a release changed in turn', () => {
  it('is refused by the agent, always', async () => {
    const at = await scene(factory)
    const v2 = await at.release('2', 'healthy', { pieces: 6, plain: true })
    const server = fileServer({ sleep: async () => {} })
    const install = await installerOn(at, server)
    const before = await at.board.record()
    const path = (file: string): string => `/blobs/${v2.manifest.id}/${file}`
    const serve = (files: ReadonlyMap<string, Uint8Array>): void => {
      for (const [file, bytes] of files) server.files.set(path(file), bytes)
    }
    const codes = new Map<string, Set<ErrorCode>>()
    let flips = 0
    /** @param vouched the hub assigns the changed manifest by its own hash */
    const flipAll = async (file: string, vouched: boolean): Promise<void> => {
      const seen = new Set<ErrorCode>()
      codes.set(vouched ? `vouched ${file}` : file, seen)
      const bytes = v2.files.get(file) ?? new Uint8Array(0)
      for (let place = 0; place < bytes.length; place += 1) {
        const changed = flipped(bytes, place, place % 8)
        serve(v2.files)
        server.files.set(path(file), changed)
        const outcome = await install(vouched ? { ...v2, manifestBytes: changed } : v2)
        flips += 1
        const code = outcome.fault?.code ?? 'EB-INTERNAL'
        if (outcome.event !== 'failed' || errorTable[code].family !== 'refused') {
          throw new Error(`byte ${place} of ${file} changed: ${outcome.event} ${code}`)
        }
        seen.add(code)
      }
    }
    for (const file of v2.files.keys()) await flipAll(file, false)
    await flipAll('manifest.json', true)
    expect(flips).toBeGreaterThan(3000)
    const codesOf = (file: string): readonly ErrorCode[] => [...(codes.get(file) ?? [])].sort()
    expect(codesOf('rootfs.index')).toEqual(['EB-INDEX'])
    expect(codesOf('rootfs.blob')).toEqual(['EB-PIECE'])
    // The assignment names the hash of the manifest, so a changed one is not even parsed.
    expect(codesOf('manifest.json')).toEqual(['EB-MANIFEST'])
    expect(codesOf('vouched manifest.json')).toEqual(['EB-ENVELOPE', 'EB-SIGNATURE', 'EB-UNKNOWN-KEY'])
    const after = await at.board.record()
    expect(after).toMatchObject({ a: before.a, priority: 'a', b: { ok: false, sv: 0, tries: 0 } })
    expect(await readStamp(at.board.bootDisk)).toEqual({ floor: 0, priority: 'a' })
    expectNothingWrong(at, v2)
    // The same installer takes the release as it is.
    serve(v2.files)
    expect(await install(v2)).toMatchObject({ event: 'armed' })
  }, 60_000)

  it('is refused in whole worlds too, where the hub vouches for the changed manifest', async () => {
    const random = seededRandom(7)
    for (let round = 0; round < 24; round += 1) {
      const at = await scene(factory, { quick: true })
      const v2 = await at.release('2', 'healthy', { pieces: 6, plain: true })
      const [file, bytes] = [...v2.files][round % v2.files.size] ?? ['', new Uint8Array(1)]
      const place = random.below(bytes.length)
      const changed = flipped(bytes, place, random.below(8))
      at.world.net.files.files.set(`/blobs/${v2.manifest.id}/${file}`, changed)
      const honest = assignedTo(v2, at.board.wrappingKey)
      const told =
        file === 'manifest.json'
          ? assignedTo({ ...v2, manifestBytes: changed }, at.board.wrappingKey)
          : honest
      const seq = await wish(at, told)
      const report = await reported(at, seq)
      expect(report.result, `byte ${place} of ${file}`).toBe('failed')
      expect(errorTable[report.code ?? 'EB-INTERNAL'].family, `${report.code}`).toBe('refused')
      expect(at.board.boots).toEqual(['a'])
      expect(at.world.statuses(name).at(-1)).toMatchObject({ state: 'IDLE' })
      expectNothingWrong(at, v2)
    }
  })
})

/** In the spare slot stand zeros, or the right bytes of a piece in its place; no seal. */
function expectNothingWrong({ board }: Scene, v2: MadeRelease): void {
  const slot = board.slots.b.medium()
  for (let offset = 0; offset < v2.image.length; offset += pieceBytes) {
    const piece = slot.subarray(offset, offset + pieceBytes)
    const right = Buffer.compare(piece, v2.image.subarray(offset, offset + pieceBytes)) === 0
    expect(right || piece.every((it) => it === 0), `piece at ${offset}`).toBe(true)
  }
  expect(slot.subarray(-slotLimits.sealAreaBytes).every((it) => it === 0)).toBe(true)
}

function flipped(bytes: Uint8Array, place: number, bit: number): Uint8Array {
  return new Uint8Array(bytes).map((byte, at) => (at === place ? byte ^ (1 << bit) : byte))
}
