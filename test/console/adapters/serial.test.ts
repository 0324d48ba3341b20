/** What a serial transport does to its port, on a port of the test's own: control lines, losses, writes. */
import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import { type OpenPort, serialTransport } from '../../../console/adapters/serial.ts'
import type { Transport } from '../../../console/transport.ts'
import { faultOf } from '../../../core/errors.ts'

type Callback = (error: Error | null) => void

interface Bench {
  readonly transport: Transport
  readonly port: EventEmitter
  /** What was set, written, closed. */
  readonly done: unknown[]
  /** What the listener heard. */
  readonly heard: string[]
}

/** @param failing whether the port fails everything that it is asked for */
function bench(failing = false): Bench {
  const done: unknown[] = []
  const heard: string[] = []
  const answer = (what: unknown, callback?: Callback): void => {
    done.push(what)
    callback?.(failing ? new Error('Error: Inappropriate ioctl for device') : null)
  }
  const port = Object.assign(new EventEmitter(), {
    isOpen: true,
    set: (options: object, callback?: Callback) => answer(options, callback),
    write: (bytes: Buffer, callback: Callback) => answer(bytes.toString(), callback),
    close: (callback?: Callback) => answer('close', callback),
  })
  const transport = serialTransport(port as unknown as OpenPort, 'tty at 9600 baud', 'tty')
  transport.listen({
    data: (bytes) => void heard.push(Buffer.from(bytes).toString()),
    ended: (reason) => void heard.push(`${reason.code} ${reason.what}`),
  })
  return { transport, port, done, heard }
}

describe('a serial transport', () => {
  it.each([
    ['dtr', { dtr: false, rts: true }],
    ['rts', { dtr: true, rts: false }],
  ] as const)('resets by %s: drops that line only, and raises it again', async (line, dropped) => {
    const { transport, done } = bench()
    await transport.reset(line)
    expect(done).toEqual([dropped, { dtr: true, rts: true }])
  })

  it('says which line it has not', async () => {
    const caught = await bench(true)
      .transport.reset('rts')
      .catch((error: unknown) => error)
    expect(faultOf(caught)).toMatchObject({
      code: 'EB-CONSOLE-RESET',
      what: 'tty has no line RTS (Inappropriate ioctl for device)',
    })
  })

  it('tells of a loss once, and of nothing after it', () => {
    const { port, heard } = bench()
    port.emit('data', Buffer.from('text'))
    port.emit('close', new Error('unplugged'))
    port.emit('error', new Error('again'))
    port.emit('data', Buffer.from('ghost'))
    expect(heard).toEqual(['text', 'EB-CONSOLE-GONE tty went away (unplugged)'])
  })

  it('tells of a loss after a write that fails', async () => {
    const { transport, heard } = bench(true)
    await expect(transport.write(Buffer.from('x'))).rejects.toThrow('EB-CONSOLE-GONE')
    expect(heard).toHaveLength(1)
  })

  it('tells of nothing once it was closed', async () => {
    const { transport, port, done, heard } = bench()
    await transport.close()
    port.emit('close', null)
    expect(done).toEqual(['close'])
    expect(heard).toEqual([])
  })
})
