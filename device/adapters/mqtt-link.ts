/**
 * The MQTT connection by mqtt.js, one client object per connection, reconnecting with full jitter.
 * Promise: also after a refused CONNACK (where mqtt.js by itself would stop for good); each connection has
 * its own will; a publish is settled: by PUBACK, or rejected when its connection ends.
 * Leaves to others: topics and payloads.
 */
import mqtt, { type MqttClient } from 'mqtt'
import { backoffMs } from '../../core/backoff.ts'
import { EverbootError, type Fault, fault } from '../../core/errors.ts'
import { wireLimits } from '../../core/limits.ts'
import type { Link, LinkListener, LinkMessage, Random } from '../../core/ports.ts'
import { networkFault } from './network-fault.ts'

export interface MqttLinkOptions {
  readonly url: string
  readonly deviceId: string
  readonly token: string
  /** PEM of the pinned CA. */
  readonly ca: string
}

export function mqttLink(options: MqttLinkOptions, random: Random): Link {
  let client: MqttClient | null = null
  let closed = false
  let tries = 0
  let retryTimer: NodeJS.Timeout | undefined
  /** What is asked of the present connection and not answered: each call ends one of them. */
  const underWay = new Set<() => void>()
  const address = addressOf(options.url)

  const connect = (listener: LinkListener, will: () => LinkMessage): void => {
    const { topic, payload, qos, retain } = will()
    const mine = mqtt.connect({
      ...address,
      clientId: options.deviceId,
      username: options.deviceId,
      password: options.token,
      ca: options.ca,
      clean: true,
      // Else mqtt-packet keeps 65,536 small buffers from the first packet on.
      writeCache: false,
      protocolVersion: 4,
      keepalive: wireLimits.keepAliveSeconds,
      connectTimeout: wireLimits.connectMs,
      reconnectPeriod: 0,
      queueQoSZero: false,
      will: { topic, payload: Buffer.from(payload), qos, retain },
    })
    client = mine
    let reason: Fault = fault('EB-HUB-UNREACHABLE', `${options.url} closed the connection`)
    mine.on('connect', () => {
      tries = 0
      listener.up()
    })
    mine.on('message', (name, bytes) => listener.message(name, bytes))
    mine.on('error', (caught) => {
      reason = connectFault(caught, options.url)
    })
    mine.once('close', () => {
      mine.end(true)
      for (const lose of [...underWay]) lose()
      if (client !== mine) return
      client = null
      listener.down(reason)
      if (closed) return
      tries += 1
      const limits = { baseMs: wireLimits.reconnectBaseMs, ceilingMs: wireLimits.reconnectCeilingMs }
      retryTimer = setTimeout(() => connect(listener, will), backoffMs(tries, limits, random))
    })
  }

  /** Runs `action` on the present connection; rejects when that ends first. */
  const onConnection = (
    action: (mine: MqttClient, done: (error?: Error | null) => void) => void,
  ): Promise<void> =>
    new Promise((resolve, reject) => {
      const mine = client
      const lost = (): void => {
        underWay.delete(lost)
        reject(new EverbootError(fault('EB-HUB-UNREACHABLE', `the connection to ${options.url} is down`)))
      }
      if (mine === null || !mine.connected) return lost()
      underWay.add(lost)
      action(mine, (error) => {
        underWay.delete(lost)
        if (error === undefined || error === null) resolve()
        else reject(new EverbootError(networkFault(error, options.url), { cause: error }))
      })
    })

  return {
    open: connect,
    publish: ({ topic, payload, qos, retain }) =>
      onConnection((mine, done) =>
        mine.publish(topic, Buffer.from(payload), { qos, retain }, (error) => done(error)),
      ),
    subscribe: (topics) =>
      onConnection((mine, done) => mine.subscribe([...topics], { qos: 1 }, (error) => done(error))),
    async close() {
      closed = true
      clearTimeout(retryTimer)
      const mine = client
      client = null
      if (mine !== null) await endInTime(mine)
    },
  }
}

/** In order where the broker answers; it waits for acknowledgements, which may never come. */
async function endInTime(client: MqttClient): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, wireLimits.closeMs)
  })
  await Promise.race([client.endAsync(false).catch(() => {}), late])
  clearTimeout(timer)
  client.end(true)
}

/** mqtt.js would take a URL apart by the deprecated `url.parse`. */
function addressOf(url: string): { protocol: 'mqtt' | 'mqtts'; host: string; port: number } {
  const { protocol, hostname, port } = new URL(url)
  const secure = protocol === 'mqtts:'
  const host = hostname.replace(/^\[|\]$/g, '')
  return {
    protocol: secure ? 'mqtts' : 'mqtt',
    host,
    port: port === '' ? (secure ? 8883 : 1883) : Number(port),
  }
}

/** CONNACK codes 4 and 5 are refusals of the credentials. */
function connectFault(caught: Error, url: string): Fault {
  const { code } = caught as unknown as { code?: string | number }
  if (code === 4 || code === 5) return fault('EB-AUTH', `${url} refuses this device`)
  return networkFault(caught, url)
}
