/** Keys of a terminal on their way to a device. */
import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import { type KeyInput, takeKeys } from '../../../console/adapters/terminal.ts'
import type { Transport } from '../../../console/transport.ts'
import { consoleLimits } from '../../../core/limits.ts'

function bench() {
  const done: string[] = []
  const writes: { resolve: () => void; reject: (why: Error) => void }[] = []
  const input = Object.assign(new EventEmitter(), {
    setRawMode: (raw: boolean) => void done.push(raw ? 'raw' : 'cooked'),
    pause: () => void done.push('pause'),
    resume: () => void done.push('resume'),
  })
  const transport: Transport = {
    name: 'wire',
    listen: () => {},
    write(bytes) {
      done.push(`write ${JSON.stringify(Buffer.from(bytes).toString())}`)
      return new Promise((resolve, reject) => writes.push({ resolve, reject }))
    },
    reset: async () => {},
    close: async () => {},
  }
  const giveBack = takeKeys(input as unknown as KeyInput, transport, () => void done.push('end'))
  return { done, writes, input, giveBack }
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('the keys of a terminal', () => {
  it('go to the device, Ctrl-C too', () => {
    const { done, input } = bench()
    input.emit('data', Buffer.from('ls\x03'))
    expect(done).toEqual(['raw', 'resume', 'write "ls\\u0003"'])
  })

  it('wait in the terminal once the device has enough to take', async () => {
    const { done, writes, input } = bench()
    const many = Buffer.alloc(consoleLimits.keysBytesMax)
    input.emit('data', many)
    expect(done).not.toContain('pause')
    input.emit('data', Buffer.from('x'))
    expect(done).toContain('pause')
    writes[1]?.resolve()
    await turn()
    expect(done.at(-1)).toBe('resume')
  })

  it('end at Ctrl-], after what stood before it, though the device takes nothing', () => {
    const { done, input } = bench()
    input.emit('data', Buffer.from('wait'))
    input.emit('data', Buffer.from('exit\x1dnever sent'))
    expect(done.slice(2)).toEqual(['write "wait"', 'write "exit"', 'end'])
  })

  it('are given back', async () => {
    const { done, writes, input, giveBack } = bench()
    input.emit('data', Buffer.from('x'))
    giveBack()
    writes[0]?.resolve()
    await turn()
    input.emit('data', Buffer.from('y'))
    expect(done.slice(-2)).toEqual(['cooked', 'pause'])
  })
})
