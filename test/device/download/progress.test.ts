/**
 * Progress: the slot is flushed before a mark is saved, marks come as often as promised, and none is under way
 * when a download has ended.
 */
import { describe, expect, it } from 'vitest'
import { type VirtualTime, virtualTime } from '../../../bootloader-sim/devices/clock.ts'
import { downloadLimits } from '../../../core/limits.ts'
import { MiB } from '../../../core/units.ts'
import { progressKeeper } from '../../../device/download/progress.ts'
import { newTurn } from '../../../proof/adapters/turn.ts'

const pieceBytes = MiB

function made(flushMs = 0) {
  const time: VirtualTime = virtualTime(newTurn(), 0)
  const done: string[] = []
  const shown: number[] = []
  let written = 0
  const writer = {
    write: async () => {},
    writeZeros: async () => {},
    async flush() {
      const covered = written
      if (flushMs > 0) await time.clock.sleep(flushMs)
      done.push(`flush ${covered}`)
    },
  }
  const keeper = progressKeeper(
    {
      planned: { blob: { pieceBytes }, image: { paddedBytes: 64 * MiB } },
      saveMark: async (mark) => void done.push(`mark ${mark}`),
      onProgress: (bytes) => void shown.push(bytes),
    },
    writer,
    time.clock,
  )
  /** A piece in the slot, after so much time. */
  const piece = async (afterMs: number, fetched = pieceBytes): Promise<void> => {
    await time.pass(afterMs)
    written += 1
    keeper.fetched(fetched)
    keeper.useful(fetched)
    let over = false
    void keeper.done(written, pieceBytes).then(() => {
      over = true
    })
    await time.until(() => over, 60_000)
  }
  return { time, done, shown, keeper, piece }
}

describe('progress', () => {
  it('flushes before every mark, and a mark never claims more than was written before its flush', async () => {
    const { done, keeper, piece, time } = made(300)
    for (let count = 0; count < 40; count += 1) await piece(count % 5 === 0 ? 700 : 10)
    let finished = false
    void keeper.finish(40).then(() => {
      finished = true
    })
    await time.until(() => finished, 60_000)
    expect(done.at(-1)).toBe('mark 40')
    expect(done.length).toBeGreaterThan(8)
    done.forEach((it, index) => {
      const [what, number] = it.split(' ')
      if (what !== 'mark') return
      const [before, covered] = (done[index - 1] ?? '').split(' ')
      expect(before, done.join(', ')).toBe('flush')
      expect(Number(covered)).toBeGreaterThanOrEqual(Number(number))
    })
  })

  it('is saved every 8 MiB on a fast link', async () => {
    const { done, piece } = made()
    for (let count = 0; count < 33; count += 1) await piece(1)
    expect(done.filter((it) => it.startsWith('mark'))).toEqual(['mark 8', 'mark 16', 'mark 24', 'mark 32'])
  })

  it('is saved every two seconds, and at every piece on a slow link', async () => {
    const medium = made()
    for (let count = 0; count < 20; count += 1) await medium.piece(500)
    expect(medium.done.filter((it) => it.startsWith('mark'))).toHaveLength(5)
    const slow = made()
    for (let count = 0; count < 20; count += 1) await slow.piece(100, 1000)
    expect(slow.done.filter((it) => it.startsWith('mark')).length).toBeGreaterThanOrEqual(19)
  })

  it('lets the download run ahead of a slow medium by so much and no more', async () => {
    const { piece, done, time } = made(10_000)
    for (let count = 0; count < 8; count += 1) await piece(1)
    const from = time.nowMs()
    const ahead = downloadLimits.progressAheadBytes / pieceBytes
    for (let count = 0; count < ahead - 1; count += 1) await piece(1)
    expect(time.nowMs() - from).toBeLessThan(100)
    expect(done).toEqual([])
    await piece(1)
    expect(time.nowMs() - from).toBeGreaterThan(9_000)
    expect(done).toEqual(['flush 8', 'mark 8'])
  })

  it('has no save under way when it rests', async () => {
    const { piece, keeper, done, time } = made(5_000)
    for (let count = 0; count < 8; count += 1) await piece(1)
    expect(done).toEqual([])
    let rested = false
    void keeper.rest().then(() => {
      rested = true
    })
    await time.until(() => rested, 60_000)
    expect(done).toEqual(['flush 8', 'mark 8'])
    expect(time.timers()).toBe(0)
  })
})
