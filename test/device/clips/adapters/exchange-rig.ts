/**
 * A server of clips over a socket for each test, clients that dawdle, and waiting for what must come.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect } from 'vitest'
import { clipLimits, servingLimits } from '../../../../core/clip-limits.ts'
import { EverbootError, fault } from '../../../../core/errors.ts'
import type { LogEvent } from '../../../../core/ports.ts'
import { type ClipServer, serveClips } from '../../../../device/clips/adapters/clip-server.ts'
import type { ClipService, Playable } from '../../../../device/clips/clip-service.ts'
import { type Workshop, workshop } from '../../adapters/real.ts'
import { serviceDouble } from '../serving.ts'

export interface ExchangeRig {
  readonly shop: Workshop
  readonly socket: string
  readonly events: readonly LogEvent[]
  readonly undo: (() => Promise<void>)[]
  server: ClipServer | null
  serve(service: ClipService, limits?: Partial<typeof servingLimits> | object): Promise<void>
  /** A connection that has asked for a clip and reads nothing. */
  dawdler(): Promise<Socket>
}

/** Set up and taken down around each test of the file. */
export function exchangeRig(): ExchangeRig {
  let shop: Workshop | null = null
  let events: LogEvent[] = []
  const undo: (() => Promise<void>)[] = []
  const opened = (): Workshop => {
    if (shop === null) throw new Error('there is a workshop inside a test only')
    return shop
  }
  const rig: ExchangeRig = {
    get shop() {
      return opened()
    },
    get socket() {
      return opened().path('clips.sock')
    },
    get events() {
      return events
    },
    undo,
    server: null,
    async serve(service, limits = {}) {
      const usual = { ...servingLimits, lingerMs: 500, ...limits }
      const where = { socket: rig.socket }
      rig.server = await serveClips(service, where, { emit: (event) => void events.push(event) }, usual)
    },
    async dawdler() {
      const client = connect(rig.socket)
      undo.push(async () => void client.destroy())
      client.on('error', () => {})
      client.pause()
      client.write('GET /clips/a HTTP/1.1\r\nHost: x\r\n\r\n')
      await once(client, 'connect')
      return client
    },
  }
  beforeEach(() => {
    shop = workshop()
    events = []
  })
  afterEach(async () => {
    await rig.server?.close()
    rig.server = null
    for (const it of undo.splice(0)) await it()
    shop?.close()
  })
  return rig
}

export const playing = (playable: Playable): ClipService => serviceDouble({ get: async () => playable })

export async function until(what: () => boolean, withinMs = 5_000): Promise<void> {
  for (let waited = 0; !what(); waited += 10) {
    expect(waited).toBeLessThan(withinMs)
    await sleep(10)
  }
}

export const unreachable = () => new EverbootError(fault('EB-HUB-UNREACHABLE', 'the connection is down'))

/** Parts of 64 KiB, as many as are wanted; tells how many were taken and whether reading was ended. */
export function endless() {
  const seen = { parts: 0, ended: false }
  const read = async function* (start: number, endExclusive: number) {
    try {
      for (let at = start; at < endExclusive; at += clipLimits.pieceBytes) {
        seen.parts += 1
        yield Buffer.alloc(Math.min(clipLimits.pieceBytes, endExclusive - at), 1)
      }
    } finally {
      seen.ended = true
    }
  }
  return { seen, read }
}
