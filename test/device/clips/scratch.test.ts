/** Memory that is used again: never by two at once, never by somebody who still has it. */
import { describe, expect, it } from 'vitest'
import { clipLimits } from '../../../core/clip-limits.ts'
import { letGo, Scratch } from '../../../device/clips/scratch.ts'

const roomOf = (scratch: Scratch, bytes: number): Promise<Buffer> =>
  scratch.lend(bytes, async (room) => Buffer.from(room.buffer))

describe('memory for reading', () => {
  it('is the same again when the work is over, also when that failed', async () => {
    const scratch = new Scratch()
    const first = await roomOf(scratch, 1_000)
    expect((await roomOf(scratch, 400)).buffer).toBe(first.buffer)
    await expect(scratch.lend(10, () => Promise.reject(new Error('planted')))).rejects.toThrow('planted')
    expect((await roomOf(scratch, 1_000)).buffer).toBe(first.buffer)
    expect((await roomOf(scratch, 1_001)).buffer).not.toBe(first.buffer)
  })

  it('is not shared by two at once', async () => {
    const scratch = new Scratch()
    await scratch.lend(100, async (one) => {
      await scratch.lend(100, async (two) => {
        expect(two.buffer).not.toBe(one.buffer)
        expect([one.length, two.length]).toEqual([100, 100])
      })
    })
  })

  it('is not kept when it is large', async () => {
    const scratch = new Scratch()
    const large = await roomOf(scratch, clipLimits.scratchBytes + 1)
    expect((await roomOf(scratch, 1)).buffer).not.toBe(large.buffer)
  })
})

describe('memory that is let go', () => {
  it('is gone at once, unless others have a part in it', () => {
    const own = Buffer.allocUnsafeSlow(100)
    const part = Buffer.allocUnsafeSlow(100).subarray(1)
    letGo(own)
    letGo(part)
    expect([own.length, part.length]).toEqual([0, 99])
  })
})
