/** The index as a log: what is known after damage of every kind, what is added after a failure, when it is written anew. */
import { describe, expect, it } from 'vitest'
import { type SimFiles, simFiles } from '../../../bootloader-sim/devices/file-store.ts'
import { indexLimits } from '../../../core/clip-limits.ts'
import { raise } from '../../../core/errors.ts'
import { firstFrameOffset } from '../../../device/clips/index-frames.ts'
import { type IndexFound, indexFile, nextIndexFile, openIndex } from '../../../device/clips/index-log.ts'
import type { IndexRecord } from '../../../device/clips/index-record.ts'
import { codeOf, seededEntropy } from './fixtures.ts'

const key = new Uint8Array(32).fill(1)

/** Numbers of clips that are added, by a small record; `lost`: what came before is not to be trusted. */
interface Read {
  readonly found: IndexFound
  readonly told: readonly (number | 'lost')[]
}

const seen = (clip: number): IndexRecord => ({ kind: 'shared', clip })

async function open(files: SimFiles, seed = 1) {
  const told: (number | 'lost')[] = []
  const { found, log } = await openIndex(
    { files, entropy: seededEntropy(seed), key },
    {
      record: (it) => void told.push(it.kind === 'shared' ? it.clip : -1),
      clips: () => void told.push(-1),
      contents: () => void told.push(-1),
      changesLost: () => void told.push('lost'),
    },
  )
  return { found, told, log }
}

const read = async (files: SimFiles): Promise<Read> => {
  const { found, told } = await open(files)
  return { found, told }
}

/** An index whose snapshot takes three frames, with five changes behind it, and where each frame begins. */
async function sample() {
  const files = simFiles()
  const { log } = await open(files, 2)
  const offsets: number[] = []
  const at = () => files.content(indexFile)?.length ?? 0
  // A record has 7 bytes: three frames, of which the last is small.
  const perFrame = Math.ceil(indexLimits.frameBytes / 7)
  const count = 2 * perFrame + 10
  await log.rewrite(Array.from({ length: count }, (_, index) => seen(index)))
  const bytes = Buffer.from(files.content(indexFile) ?? [])
  for (let offset = firstFrameOffset; offset < bytes.length; offset += 12 + bytes.readUInt32LE(offset + 8)) {
    offsets.push(offset)
  }
  for (const change of [1, 2, 3, 4, 5]) {
    offsets.push(at())
    await log.append([seen(1_000_000 + change)])
  }
  return { files, log, offsets, perFrame, count, bytes: Buffer.from(files.content(indexFile) ?? []) }
}

/** As many clips as contents, each content before its clip. */
function* pairs(count: number): Generator<IndexRecord> {
  const audio = { format: 'wav', durationMs: 1, sampleRate: 8_000, bitRate: 1, channels: 1 } as const
  for (let number = 1; number <= count; number += 1) {
    const name = `${number}`
    yield {
      ...{ kind: 'content', number, key: name.padEnd(32), nonce: name.padEnd(16), ownKey: null, bytes: 1 },
      audio: { ...audio, compressionLevel: null },
    }
    yield {
      ...{ kind: 'clip', number, id: `clip-${number}`, skill: `skill-${number % 7}`, content: number },
      ...{ language: null, pinned: false, shared: false, listed: true, createdMs: 0, addedMs: 0 },
      ...{ expiresMs: 0, accesses: 0, lastAccessMs: 0 },
    }
  }
}

/** Numbers of clips and contents that an index tells of. */
async function numbersIn(bytes: Uint8Array) {
  const clips: number[] = []
  const contents: number[] = []
  const { found } = await openIndex(
    { files: withBytes(bytes), entropy: seededEntropy(1), key },
    {
      record: () => {},
      clips: (table) => void clips.push(...table.numbers.subarray(0, table.rows)),
      contents: (table) => void contents.push(...table.numbers.subarray(0, table.rows)),
      changesLost: () => {},
    },
  )
  return { damage: found.damage, clips, contents }
}

const changesOf = ({ told }: Read) => told.filter((it) => it === 'lost' || it > 1_000_000)

function withBytes(bytes: Uint8Array): SimFiles {
  const files = simFiles()
  files.put(indexFile, bytes)
  return files
}

const flipped = (bytes: Buffer, at: number): Buffer => {
  const changed = Buffer.from(bytes)
  changed[at] = (changed[at] ?? 0) ^ 0x10
  return changed
}

describe('the index', () => {
  it('is missing at first, and takes nothing before it is written anew', async () => {
    const files = simFiles()
    const { found, log } = await open(files)
    expect(found).toEqual({ state: 'missing', damage: 'none' })
    expect(log.overgrown).toBe(true)
    expect(await codeOf(log.append([seen(1)]))).toBe('EB-CLIP-INDEX')
    await log.rewrite([seen(1)])
    expect(log.overgrown).toBe(false)
    await log.append([seen(2)])
    expect(await read(files)).toEqual({ found: { state: 'read', damage: 'none' }, told: [1, 2] })
    expect(await files.list()).toEqual([indexFile])
  })

  it('tells everything in the order in which it was written', async () => {
    const { files, count } = await sample()
    const { found, told } = await read(files)
    expect(found).toEqual({ state: 'read', damage: 'none' })
    const snapshot = Array.from({ length: count }, (_, index) => index)
    expect(told).toEqual([...snapshot, ...[1, 2, 3, 4, 5].map((it) => 1_000_000 + it)])
  })

  it('whose head is damaged is told of as lost, whichever byte of it', async () => {
    const { bytes } = await sample()
    for (let at = 0; at < firstFrameOffset; at += 1) {
      const { found, told } = await read(withBytes(flipped(bytes, at)))
      expect(found.state, `byte ${at}`).toBe('foreign')
      expect(told).toEqual([])
    }
    for (const short of [0, 1, firstFrameOffset - 1, firstFrameOffset]) {
      expect((await read(withBytes(bytes.subarray(0, short)))).found.state).toBe('foreign')
    }
  })

  it('that lost a frame of its snapshot knows all but that, and trusts the changes', async () => {
    const { bytes, offsets, perFrame, count } = await sample()
    for (const frame of [0, 1]) {
      const it = await read(withBytes(flipped(bytes, (offsets[frame] ?? 0) + 100)))
      expect(it.found.damage).toBe('inside')
      expect(changesOf(it)).toEqual([1, 2, 3, 4, 5].map((change) => 1_000_000 + change))
      expect(it.told.filter((one) => one !== 'lost' && one < count)).toHaveLength(count - perFrame)
    }
  })

  it('tells of clips and contents in tables, and one that lost a frame knows all others', async () => {
    const files = simFiles()
    const { log } = await open(files)
    const count = 3_000
    await log.rewrite(pairs(count))
    const bytes = Buffer.from(files.content(indexFile) ?? [])
    const frames: number[] = []
    for (let at = firstFrameOffset; at < bytes.length; at += 12 + bytes.readUInt32LE(at + 8)) frames.push(at)
    expect(frames.length).toBeGreaterThan(3)
    const whole = await numbersIn(bytes)
    const all = Array.from({ length: count }, (_, at) => at + 1)
    expect(whole).toEqual({ damage: 'none', clips: all, contents: all })
    for (const frame of frames.slice(0, -1)) {
      const it = await numbersIn(flipped(bytes, frame + 100))
      expect(it.damage).toBe('inside')
      const lost = count - it.clips.length
      expect(lost > 200 && lost < 1_000, `${lost}`).toBe(true)
      // A content may lie at the end of a frame, and its clip in the next.
      const apart = it.clips.filter((clip) => !it.contents.includes(clip))
      expect(apart.length + Math.abs(it.contents.length - it.clips.length)).toBeLessThanOrEqual(2)
    }
  })

  it('that lost the last frame of its snapshot cannot tell it from a change, and trusts nothing before it', async () => {
    const { bytes, offsets } = await sample()
    const it = await read(withBytes(flipped(bytes, (offsets[2] ?? 0) + 20)))
    expect(it.found.damage).toBe('inside')
    expect(changesOf(it)).toEqual(['lost', ...[1, 2, 3, 4, 5].map((change) => 1_000_000 + change)])
  })

  it('that lost a change trusts nothing before it, and all that follows', async () => {
    const { bytes, offsets } = await sample()
    for (const change of [1, 2, 3, 4]) {
      for (const inside of [0, 5, 9, 12, 20]) {
        const it = await read(withBytes(flipped(bytes, (offsets[2 + change] ?? 0) + inside)))
        expect(it.found.damage).toBe('inside')
        const before = [1, 2, 3, 4, 5].slice(0, change - 1).map((one) => 1_000_000 + one)
        const after = [1, 2, 3, 4, 5].slice(change).map((one) => 1_000_000 + one)
        expect(changesOf(it)).toEqual([...before, 'lost', ...after])
      }
    }
  })

  it('whose end is damaged, cut off or zeroed lost that end, as a loss of power leaves it', async () => {
    const { bytes, offsets } = await sample()
    const last = offsets[7] ?? 0
    for (let at = last; at < bytes.length; at += 1) {
      const zeroed = Buffer.from(bytes).fill(0, at)
      for (const damaged of [flipped(bytes, at), bytes.subarray(0, at), zeroed]) {
        const it = await read(withBytes(damaged))
        // A byte that was 0 anyway, and a frame that is not there at all, are no damage.
        const none = damaged.equals(bytes) || damaged.length === last
        expect(it.found.damage, `at ${at}`).toBe(none ? 'none' : 'end')
        expect(changesOf(it)).toHaveLength(damaged.equals(bytes) ? 5 : 4)
      }
    }
  })

  it('with a frame twice, frames in another order, or frames of another file tells each change once', async () => {
    const { bytes, offsets } = await sample()
    const frame = (change: number) =>
      bytes.subarray(offsets[2 + change] ?? 0, offsets[3 + change] ?? bytes.length)
    const before = bytes.subarray(0, offsets[3] ?? 0)
    const twice = Buffer.concat([before, frame(1), frame(2), frame(2), frame(3)])
    expect(changesOf(await read(withBytes(twice)))).toEqual([1_000_001, 1_000_002, 1_000_003])
    const swapped = Buffer.concat([before, frame(1), frame(3), frame(2), frame(4)])
    // What came too late is not told any more.
    expect(changesOf(await read(withBytes(swapped)))).toEqual([1_000_001, 'lost', 1_000_003, 1_000_004])
    const other = simFiles()
    const { log } = await open(other, 77)
    await log.rewrite([seen(8)])
    for (const change of [1, 2, 3, 4]) await log.append([seen(2_000_000 + change)])
    const foreign = Buffer.from(other.content(indexFile) ?? []).subarray(firstFrameOffset)
    const mixed = Buffer.concat([before, frame(1), foreign, frame(2)])
    const it = await read(withBytes(mixed))
    expect(it.found.damage).toBe('inside')
    expect(changesOf(it)).toEqual([1_000_001, 1_000_002])
  })

  it('takes nothing behind damage, but is whole again when it was written anew', async () => {
    const { bytes, offsets } = await sample()
    const files = withBytes(flipped(bytes, (offsets[4] ?? 0) + 15))
    const { log } = await open(files)
    expect(await codeOf(log.append([seen(6)]))).toBe('EB-CLIP-INDEX')
    await log.rewrite([seen(1)])
    await log.append([seen(2)])
    expect(await read(files)).toEqual({ found: { state: 'read', damage: 'none' }, told: [1, 2] })
  })

  it.each(['append', 'syncFile'] as const)(
    'takes nothing behind an %s that failed before it is written anew',
    async (operation) => {
      const { files, log } = await sample()
      files.fault = (now, name) => {
        if (now === operation && name === indexFile) raise('EB-DATA-IO', 'planted')
      }
      expect(await codeOf(log.append([seen(6)]))).toBe('EB-DATA-IO')
      files.fault = () => {}
      expect(log.overgrown).toBe(true)
      expect(await codeOf(log.append([seen(7)]))).toBe('EB-CLIP-INDEX')
      await log.rewrite([seen(8)])
      await log.append([seen(9)])
      expect((await read(files)).told).toEqual([8, 9])
    },
  )

  it.each(['write', 'append', 'syncFile', 'rename', 'syncDir'] as const)(
    'that cannot be written anew for a failing %s is the old or the new one, and leaves nothing beside it',
    async (operation) => {
      const { files, log } = await sample()
      const before = (await read(files)).told
      files.fault = (now, name) => {
        if (now === operation && (name === nextIndexFile || name === '')) raise('EB-DATA-FULL', 'planted')
      }
      expect(await codeOf(log.rewrite([seen(8)]))).toBe('EB-DATA-FULL')
      files.fault = () => {}
      expect(await files.list()).toEqual([indexFile])
      const after = await read(files)
      expect(after.found).toEqual({ state: 'read', damage: 'none' })
      expect(after.told).toEqual(operation === 'syncDir' ? [8] : before)
      await log.rewrite([seen(9)])
      await log.append([seen(10)])
      expect((await read(files)).told).toEqual([9, 10])
    },
  )

  it('refuses more changes at once than a frame takes, and takes others afterwards', async () => {
    const { files, log } = await sample()
    const many = Array.from({ length: indexLimits.recordsBytesMax / 7 + 1 }, (_, index) => seen(index))
    expect(await codeOf(log.append(many))).toBe('EB-LIMIT')
    await log.append([seen(1_000_006)])
    expect(changesOf(await read(files))).toHaveLength(6)
  })

  it('is overgrown when its changes are longer than its snapshot, or very many', async () => {
    const files = simFiles()
    const { log } = await open(files)
    await log.rewrite([seen(1)])
    const some = Array.from({ length: 1_000 }, (_, index) => seen(index))
    let appended = 0
    for (; !log.overgrown; appended += 1) await log.append(some)
    const tail = (files.content(indexFile)?.length ?? 0) - firstFrameOffset
    expect(tail).toBeGreaterThan(indexLimits.tailBytesMin)
    expect(appended).toBe(Math.floor(indexLimits.tailBytesMin / (7_000 + 29)) + 1)
    // A program that opens it anew sees the same.
    expect((await open(files)).log.overgrown).toBe(true)
    await log.rewrite([seen(1)])
    expect(log.overgrown).toBe(false)
  })

  it('is durable as far as it was read, also when the program before it was killed between write and sync', async () => {
    const { files, log } = await sample()
    files.fault = (operation) => {
      if (operation === 'syncFile') raise('EB-DATA-IO', 'killed here')
    }
    await codeOf(log.append([seen(1_000_006)]))
    files.fault = () => {}
    const first = await read(files)
    expect(changesOf(first)).toContain(1_000_006)
    files.crash(files.pending().map(() => 'lost' as const))
    expect((await read(files)).told).toEqual(first.told)
  })
})
