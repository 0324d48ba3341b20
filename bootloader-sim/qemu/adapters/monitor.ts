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
  /** The events of that name so far count no more. */
  forget(name: string): void
}

/** @throws EverbootError EB-TIMEOUT, EB-QEMU, EB-MESSAGE */
export async function openMonitor(socket: Socket): Promise<Monitor> {
  const waiting = waitingList()
  const decoder = qmpDecoder()
  let events: QmpMessage[] = []
  let nextId = 1
  const deliver = (message: QmpMessage): void => {
    if (message.kind === 'nonsense') {
      waiting.end(coded('EB-MESSAGE', `the monitor of QEMU says ${message.why}`))
      socket.destroy()
    } else if (!waiting.take(message) && message.kind === 'event') {
      events = [...events.slice(1 - machineLimits.eventsKept), message]
    }
  }
  socket.on('data', (bytes) => decoder.feed(bytes).forEach(deliver))
  socket.on('error', () => {})
  socket.on('close', () => waiting.end(coded('EB-QEMU', 'QEMU has closed its monitor')))
  const greeting = await waiting.add('greeting', machineLimits.monitorMs, (it) => it.kind === 'greeting')
  const monitor: Monitor = {
    version: greeting.kind === 'greeting' ? greeting.version : [],
    async execute(command, args, deadlineMs = machineLimits.monitorMs) {
      const id = nextId
      nextId += 1
      const answer = waiting.add(command, deadlineMs, (it) => 'id' in it && it.id === id)
      socket.write(`${JSON.stringify({ execute: command, ...(args && { arguments: args }), id })}\n`)
      const message = await answer
      if (message.kind === 'error') raise('EB-QEMU', `${command}: ${message.text}`)
      return message.kind === 'return' ? message.value : null
    },
    async event(name, deadlineMs = machineLimits.monitorMs) {
      const wants = (it: QmpMessage): boolean => it.kind === 'event' && it.name === name
      const known = events.findIndex(wants)
      const [before] = known < 0 ? [] : events.splice(known, 1)
      const message = before ?? (await waiting.add(`event ${name}`, deadlineMs, wants))
      return { name, data: message.kind === 'event' ? message.data : null }
    },
    forget(name) {
      events = events.filter((it) => it.kind !== 'event' || it.name !== name)
    },
  }
  await monitor.execute('qmp_capabilities')
  return monitor
}

interface Waiter {
  readonly wants: (message: QmpMessage) => boolean
  /** Ends the wait. */
  readonly settle: (outcome: QmpMessage | EverbootError) => void
}

interface WaitingList {
  add(what: string, deadlineMs: number, wants: Waiter['wants']): Promise<QmpMessage>
  /** @returns whether somebody waited for it */
  take(message: QmpMessage): boolean
  /** Nobody need wait any more, now or later. */
  end(why: EverbootError): void
}

function waitingList(): WaitingList {
  const waiters = new Set<Waiter>()
  let ended: EverbootError | null = null
  return {
    async add(what, deadlineMs, wants) {
      if (ended !== null) throw ended
      if (waiters.size === machineLimits.commandsMax) raise('EB-LIMIT', `${what}: too many wait already`)
      return new Promise((resolve, reject) => {
        const waiter: Waiter = {
          wants,
          settle(outcome) {
            clearTimeout(late)
            waiters.delete(waiter)
            if (outcome instanceof EverbootError) reject(outcome)
            else resolve(outcome)
          },
        }
        const late = setTimeout(() => {
          waiter.settle(coded('EB-TIMEOUT', `${what}: no answer of QEMU within ${deadlineMs} ms`))
        }, deadlineMs)
        waiters.add(waiter)
      })
    },
    take(message) {
      const waiter = [...waiters].find((it) => it.wants(message))
      waiter?.settle(message)
      return waiter !== undefined
    },
    end(why) {
      ended ??= why
      for (const it of [...waiters]) it.settle(ended)
    },
  }
}

function coded(code: 'EB-QEMU' | 'EB-TIMEOUT' | 'EB-MESSAGE', what: string): EverbootError {
  return new EverbootError(fault(code, what))
}
