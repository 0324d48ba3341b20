/**
 * A client of QEMU's monitor (QMP) over a connected socket: greeting, capabilities, commands, events.
 * Promise: every command has a deadline and ends with its answer or a coded error, also when QEMU ends;
 * events that nobody has waited for are kept, the last of them.
 * Leaves to others: the messages (qmp-messages.ts).
 */
import type { Socket } from 'node:net'
import { EverbootError, fault, raise } from '../../../core/errors.ts'
import { machineLimits } from '../../../core/limits.ts'
import { type QmpMessage, qmpDecoder } from '../qmp-messages.ts'

export interface MonitorEvent {
  readonly name: string
  readonly data: unknown
}

export interface Monitor {
  /** From the greeting, as `[7, 2, 19]`. */
  readonly version: readonly number[]
  /** @throws EverbootError EB-QEMU (refused, or QEMU has ended), EB-TIMEOUT, EB-MESSAGE */
  execute(command: string, args?: Readonly<Record<string, unknown>>, deadlineMs?: number): Promise<unknown>
  /** Takes the oldest event of that name that was not taken. @throws EverbootError EB-TIMEOUT, EB-QEMU, EB-MESSAGE */
  event(name: string, deadlineMs?: number): Promise<MonitorEvent>
}

interface Waiter {
  readonly wants: (message: QmpMessage) => boolean
  readonly take: (message: QmpMessage) => void
  readonly fail: (why: EverbootError) => void
}

/** @throws EverbootError EB-TIMEOUT, EB-QEMU, EB-MESSAGE */
export async function openMonitor(socket: Socket): Promise<Monitor> {
  const waiters = new Set<Waiter>()
  const events: QmpMessage[] = []
  let ended: EverbootError | null = null
  let nextId = 1
  const end = (why: EverbootError): void => {
    ended ??= why
    for (const it of [...waiters]) it.fail(ended)
    socket.destroy()
  }
  const deliver = (message: QmpMessage): void => {
    if (message.kind === 'nonsense') {
      end(coded('EB-MESSAGE', `the monitor of QEMU says ${message.why}`))
      return
    }
    const waiter = [...waiters].find((it) => it.wants(message))
    if (waiter !== undefined) waiter.take(message)
    else if (message.kind === 'event') {
      if (events.length === machineLimits.eventsKept) events.shift()
      events.push(message)
    }
  }
  const wait = (what: string, deadlineMs: number, wants: Waiter['wants']): Promise<QmpMessage> => {
    if (ended !== null) return Promise.reject(ended)
    if (waiters.size === machineLimits.commandsMax) raise('EB-LIMIT', `${what}: too many wait already`)
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        waiter.fail(coded('EB-TIMEOUT', `${what}: no answer of QEMU within ${deadlineMs} ms`))
      }, deadlineMs)
      const done = (): void => {
        clearTimeout(late)
        waiters.delete(waiter)
      }
      const waiter: Waiter = {
        wants,
        take(message) {
          done()
          resolve(message)
        },
        fail(why) {
          done()
          reject(why)
        },
      }
      waiters.add(waiter)
    })
  }
  const decoder = qmpDecoder()
  socket.on('data', (bytes) => decoder.feed(bytes).forEach(deliver))
  socket.on('error', () => {})
  socket.on('close', () => end(coded('EB-QEMU', 'QEMU has closed its monitor')))
  const greeting = await wait('greeting', machineLimits.monitorMs, (it) => it.kind === 'greeting')
  const monitor: Monitor = {
    version: greeting.kind === 'greeting' ? greeting.version : [],
    async execute(command, args, deadlineMs = machineLimits.monitorMs) {
      const id = nextId
      nextId += 1
      const answer = wait(command, deadlineMs, (it) => 'id' in it && it.id === id)
      socket.write(`${JSON.stringify({ execute: command, ...(args && { arguments: args }), id })}\n`)
      const message = await answer
      if (message.kind === 'error') raise('EB-QEMU', `${command}: ${message.text}`)
      return message.kind === 'return' ? message.value : null
    },
    async event(name, deadlineMs = machineLimits.monitorMs) {
      const known = events.findIndex((it) => it.kind === 'event' && it.name === name)
      const [before] = known < 0 ? [] : events.splice(known, 1)
      const wants = (it: QmpMessage): boolean => it.kind === 'event' && it.name === name
      const message = before ?? (await wait(`event ${name}`, deadlineMs, wants))
      return { name, data: message.kind === 'event' ? message.data : null }
    },
  }
  await monitor.execute('qmp_capabilities')
  return monitor
}

function coded(code: 'EB-QEMU' | 'EB-TIMEOUT' | 'EB-MESSAGE', what: string): EverbootError {
  return new EverbootError(fault(code, what))
}
