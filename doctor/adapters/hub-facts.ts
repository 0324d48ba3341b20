/**
 * Asks hub and broker of a device whether they are there: a handshake with the pinned CA, and one request.
 * Promise: the token goes to the hub's own address only, and never into a message; nothing changes at the hub.
 */
import { type IncomingMessage, get as plainGet, type RequestOptions } from 'node:http'
import { get as secureGet } from 'node:https'
import { connect as plainConnect, type Socket } from 'node:net'
import { connect as secureConnect } from 'node:tls'
import { EverbootError } from '../../core/errors.ts'
import { doctorLimits } from '../../core/limits.ts'
import { networkFault } from '../../device/adapters/network-fault.ts'
import type { Identity } from '../../device/config.ts'
import type { HubAnswer } from '../facts.ts'

/** A release that no hub has: the answer says whether the token is good. */
const nothing = '/blobs/everboot-doctor/manifest.json'

/** @throws EverbootError EB-HUB-UNREACHABLE, EB-TLS */
export function askHub({ http, ca, token }: Pick<Identity, 'http' | 'ca' | 'token'>): Promise<HubAnswer> {
  const headers = { authorization: `Bearer ${token}` }
  const settings: RequestOptions = { agent: false, headers, timeout: doctorLimits.answerMs }
  return new Promise((resolve, reject) => {
    const answered = (response: IncomingMessage): void => {
      const wallMs = Date.parse(response.headers.date ?? '')
      response.destroy()
      resolve({
        address: http,
        status: response.statusCode ?? 0,
        wallMs: Number.isNaN(wallMs) ? null : wallMs,
      })
    }
    const url = `${http}${nothing}`
    const request = http.startsWith('https:')
      ? secureGet(url, { ...settings, ca, minVersion: 'TLSv1.2' }, answered)
      : plainGet(url, settings, answered)
    request.on('timeout', () => request.destroy(new Error('no answer')))
    request.on('error', (cause) => reject(new EverbootError(networkFault(cause, http), { cause })))
  })
}

/** @returns its address. @throws EverbootError EB-HUB-UNREACHABLE, EB-TLS */
export function askBroker({ mqtt, ca }: Pick<Identity, 'mqtt' | 'ca'>): Promise<string> {
  const { protocol, hostname, port } = new URL(mqtt)
  const host = hostname.replace(/^\[|\]$/g, '')
  return new Promise((resolve, reject) => {
    const secure = protocol === 'mqtts:'
    const number = Number(port === '' ? (secure ? 8883 : 1883) : port)
    const there = (): void => {
      socket.destroy()
      resolve(mqtt)
    }
    const socket: Socket = secure
      ? secureConnect({ host, port: number, ca, minVersion: 'TLSv1.2' }, there)
      : plainConnect({ host, port: number }, there)
    socket.setTimeout(doctorLimits.answerMs, () => socket.destroy(new Error('no answer')))
    socket.on('error', (cause) => reject(new EverbootError(networkFault(cause, mqtt), { cause })))
  })
}
