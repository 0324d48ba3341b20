/**
 * An ear on the wire between device and hub: takes the device's connection with the hub's own certificate,
 * passes everything on to the hub, and hears every status and every acknowledgement on the way.
 * Promise: bytes are passed on unchanged; one side that ends ends the other. An acknowledgement is heard when
 * the hub has said it, whether or not the device still gets it.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createServer, type TLSSocket, connect as tlsConnect } from 'node:tls'
import { decodeAck, decodeStatus, type Status } from '../../../../core/wire/messages.ts'
import { parseDeviceTopic } from '../../../../core/wire/topics.ts'
import type { WireFacts } from '../facts.ts'
import { publishes } from '../publishes.ts'

export interface Tap {
  readonly port: number
  /** Statuses and acknowledgements heard so far. */
  counts(): { readonly statuses: number; readonly acknowledged: number }
  /** What was heard since the last call. */
  facts(): WireFacts
  close(): Promise<void>
}

/** @param hub its data directory; @param port where it listens for MQTT */
export async function openTap(hub: string, port: number): Promise<Tap> {
  const [cert, key, ca] = ['server.pem', 'server.key.pem', 'ca.pem'].map((it) => readFileSync(join(hub, it)))
  if (cert === undefined || key === undefined || ca === undefined) throw new Error('no certificate')
  const ear = new Ear()
  const open = new Set<TLSSocket>()
  const server = createServer({ cert, key, minVersion: 'TLSv1.2' }, (near) => {
    const far = tlsConnect({ host: '127.0.0.1', port, ca })
    for (const [socket, other] of [[near, far] as const, [far, near] as const]) {
      open.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => socket.destroy())
      socket.on('close', () => {
        open.delete(socket)
        other.destroy()
      })
    }
    near.on(
      'data',
      listening(
        publishes((topic, payload) => ear.fromDevice(topic, payload)),
        near,
      ),
    )
    far.on(
      'data',
      listening(
        publishes((topic, payload) => ear.fromHub(topic, payload)),
        far,
      ),
    )
    near.pipe(far)
    far.pipe(near)
  })
  server.on('tlsClientError', (_, socket) => socket.destroy())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    counts: () => ear.counts,
    facts: () => ear.facts(),
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}

/** What cannot be MQTT ends its connection, as it would at the hub. */
function listening(feed: (bytes: Uint8Array) => void, socket: TLSSocket): (bytes: Uint8Array) => void {
  return (bytes) => {
    try {
      feed(bytes)
    } catch (caught) {
      socket.destroy(caught as Error)
    }
  }
}

/** Keeps what was heard. */
class Ear {
  readonly #counts = { statuses: 0, acknowledged: 0 }
  /** What each number stood for, evidence apart, which may be left out when a status is sent again. */
  readonly #meant = new Map<number, string>()
  #acknowledged: string[] = []
  #ambiguous: string[] = []

  get counts(): { readonly statuses: number; readonly acknowledged: number } {
    return { ...this.#counts }
  }

  facts(): WireFacts {
    const heard = { acknowledged: this.#acknowledged, ambiguous: this.#ambiguous }
    this.#acknowledged = []
    this.#ambiguous = []
    return heard
  }

  fromDevice(topic: string, payload: Uint8Array): void {
    if (parseDeviceTopic(topic)?.kind !== 'status') return
    const decoded = decodeStatus(payload)
    if (!decoded.ok) {
      this.#ambiguous.push(`of a status that cannot be read: ${decoded.error.what}`)
      return
    }
    this.#counts.statuses += 1
    const { bootId, seq } = decoded.value
    const meaning = meaningOf(decoded.value)
    if ((this.#meant.get(seq) ?? meaning) !== meaning) this.#ambiguous.push(`${bootId} ${seq}`)
    this.#meant.set(seq, meaning)
  }

  fromHub(topic: string, payload: Uint8Array): void {
    if (parseDeviceTopic(topic)?.kind !== 'ack') return
    const decoded = decodeAck(payload)
    if (!decoded.ok) return
    this.#counts.acknowledged += 1
    this.#acknowledged.push(`${decoded.value.bootId} ${decoded.value.seq}`)
  }
}

function meaningOf({ report, notice, ...rest }: Status): string {
  const bare = [rest, report?.seq, report?.result, report?.code, notice?.code, notice?.what]
  return createHash('sha256').update(JSON.stringify(bare)).digest('base64')
}
