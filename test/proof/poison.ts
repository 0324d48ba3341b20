/**
 * For `node --import`: from the first operation of a simulated board on, clocks, chance, timers, sockets and
 * programs throw.
 * Promise: what is poisoned throws an error that says so; nothing is restored.
 * Leaves to others: starting what must not touch them.
 */
import childProcess from 'node:child_process'
import crypto from 'node:crypto'
import dgram from 'node:dgram'
import http from 'node:http'
import { syncBuiltinESMExports } from 'node:module'
import net from 'node:net'

function poisoned(what: string): () => never {
  return () => {
    throw new Error(`${what} is poisoned: a simulation must not use it`)
  }
}

function poison(): void {
  const PoisonedDate = (): never => {
    throw new Error('Date is poisoned: a simulation must not use it')
  }
  PoisonedDate.now = poisoned('Date.now')
  PoisonedDate.parse = poisoned('Date.parse')
  Object.assign(globalThis, {
    Date: PoisonedDate,
    setTimeout: poisoned('setTimeout'),
    setInterval: poisoned('setInterval'),
    fetch: poisoned('fetch'),
  })
  Math.random = poisoned('Math.random')
  Object.assign(performance, { now: poisoned('performance.now') })
  for (const [of, names] of [
    [net, ['connect', 'createConnection', 'createServer', 'Socket']],
    [dgram, ['createSocket']],
    [http, ['request', 'get', 'createServer']],
    [childProcess, ['spawn', 'exec', 'execFile', 'fork', 'spawnSync', 'execFileSync']],
    [crypto, ['randomBytes', 'randomUUID', 'randomInt', 'randomFillSync', 'generateKeyPairSync']],
  ] as const) {
    for (const name of names) Object.assign(of, { [name]: poisoned(name) })
  }
  process.hrtime.bigint = poisoned('process.hrtime')
  syncBuiltinESMExports()
}

/** Called by tests of the poison itself. */
Object.assign(globalThis, { everbootPoison: poison })
if (process.env['EVERBOOT_POISON'] !== 'now') {
  // The first turn of a simulation's clock: everything is loaded, nothing has been played.
  const original = globalThis.setImmediate
  let done = false
  globalThis.setImmediate = ((run: () => void, ...rest: unknown[]) => {
    if (!done) {
      done = true
      poison()
    }
    return original(run, ...(rest as []))
  }) as typeof setImmediate
}
