/**
 * Writes down everything that happens in a scene, a line each, and the hash over all lines: two runs of one
 * seed have the same hash, or something outside the simulation has crept in.
 * Promise: lines hold virtual time and no secret; only the last ones are kept, the hash covers all.
 * Leaves to others: printing.
 */
import { createHash } from 'node:crypto'
import type { Scene } from '../scene.ts'

const keptMax = 400

export interface Chronicle {
  note(what: string): void
  /** From now on nothing is noted. */
  close(): void
  /** The last lines, oldest first. */
  lines(): readonly string[]
  count(): number
  /** SHA-256 over all lines so far, hex. */
  digest(): string
}

export function chronicle(nowMs: () => number): Chronicle {
  const hash = createHash('sha256')
  const kept: string[] = []
  let count = 0
  let closed = false
  return {
    close() {
      closed = true
    },
    note(what) {
      if (closed) return
      const line = `${nowMs()} ${what}`
      hash.update(`${line}\n`)
      kept.push(line)
      count += 1
      if (kept.length > 2 * keptMax) kept.splice(0, keptMax)
    },
    lines: () => kept.slice(-keptMax),
    count: () => count,
    digest: () => hash.copy().digest('hex'),
  }
}

/** Notes operations, boots, the agent's log, what the hub keeps and says. */
export function watch({ world, board }: Scene, into: Chronicle): void {
  const { power } = board
  const begin = power.onBegin
  power.onBegin = (name) => {
    into.note(`op ${power.operations.length} ${name}`)
    begin(name)
  }
  const boot = board.onBoot
  board.onBoot = (outcome) => {
    into.note(outcome.kind === 'start' ? `boot ${outcome.slot} ${outcome.bootId}` : `boot ${outcome.kind}`)
    boot(outcome)
  }
  const log = board.onLog
  board.onLog = (event) => {
    into.note(`agent ${JSON.stringify(event)}`)
    log(event)
  }
  const kept = world.onKept
  world.onKept = (device, status) => {
    into.note(
      `hub keeps ${device} ${status.bootId} ${status.seq} ${status.state} ${status.report?.result ?? ''}`,
    )
    kept(device, status)
  }
  const said = world.onSaid
  world.onSaid = (topic, payload) => {
    into.note(`hub says ${topic} ${payload.length}`)
    said(topic, payload)
  }
  const crash = board.onCrash
  board.onCrash = () => {
    into.note('power off')
    crash()
  }
}
