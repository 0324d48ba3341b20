/**
 * The serial console of a machine over a socket: kept line by line, waited on, written to.
 * Promise: a wait ends with the line, at its deadline, or when the machine ends, whichever is first.
 * Leaves to others: what is kept (console-log.ts).
 */
import type { Socket } from 'node:net'
import { EverbootError, fault } from '../../../core/errors.ts'
import { type ConsoleLog, consoleLog } from '../console-log.ts'

export interface MachineConsole {
  readonly log: ConsoleLog
  /**
   * Looks on from where the last wait ended. @returns the line that matches
   * @throws EverbootError EB-TIMEOUT or EB-QEMU, with the last lines
   */
  waitFor(pattern: RegExp, timeoutMs: number): Promise<string>
  /** Told of each line when it has ended. */
  onLine: (line: string) => void
  /** Types. */
  send(text: string): void
}

const lastLines = 8

/** @param ended resolves, in words, when the machine has ended */
export function openConsole(socket: Socket, ended: Promise<string>): MachineConsole {
  const log = consoleLog()
  const listeners = new Set<() => void>()
  socket.on('data', (bytes) => {
    for (const line of log.feed(bytes)) it.onLine(line)
    for (const listener of [...listeners]) listener()
  })
  socket.on('error', () => {})
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  const words = (): string => JSON.stringify(log.lines().slice(-lastLines).join('\n'))
  const it: MachineConsole = {
    log,
    onLine: () => {},
    waitFor: (pattern, timeoutMs) =>
      new Promise((resolve, reject) => {
        let seen = 0
        const stop = (): void => {
          clearTimeout(late)
          listeners.delete(look)
        }
        const look = (): boolean => {
          const line = log.find(pattern, seen)
          seen = log.ended()
          if (line === null) return false
          stop()
          resolve(line)
          return true
        }
        const fail = (code: 'EB-TIMEOUT' | 'EB-QEMU', why: string): void => {
          stop()
          const what = `console: ${pattern} ${why}; last lines ${words()}`
          reject(new EverbootError(fault(code, what)))
        }
        const late = setTimeout(() => fail('EB-TIMEOUT', `did not come within ${timeoutMs} ms`), timeoutMs)
        if (look()) return
        listeners.add(look)
        void Promise.all([ended, closed]).then(([how]) => {
          if (listeners.has(look) && !look())
            fail('EB-QEMU', `did not come before the machine ended (${how})`)
        })
      }),
    send: (text) => void socket.write(text),
  }
  return it
}
