/**
 * `everboot hub serve`: runs the hub until it is told to stop.
 * Promise: one line when it is ready; SIGINT and SIGTERM end it within the deadline, with what was acknowledged
 * on the disk.
 */
import { type Command, flagOption, numberOption, requiredOption, textOption } from '../../core/command.ts'
import { hubLimits } from '../../core/limits.ts'
import { jsonEvents, systemClock, systemEntropy } from '../adapters/system.ts'
import { defaultPorts } from '../config.ts'
import { startHub } from '../main.ts'

export const serve: Command = {
  name: 'hub serve',
  summary: 'Run a hub: MQTT broker, HTTP API and release server',
  positionals: '',
  positionalsMin: 0,
  positionalsMax: 0,
  options: {
    data: { type: 'string', value: 'DIR', means: 'data directory (default: ./everboot-hub)' },
    trust: { type: 'string', value: 'FILE', means: 'trust.json: whose releases are taken (required)' },
    host: { type: 'string', value: 'HOST', means: 'address to listen on (default: 127.0.0.1)' },
    'mqtt-port': {
      type: 'string',
      value: 'N',
      means: `MQTT port, 0 for any (default: ${defaultPorts.mqtt})`,
    },
    'http-port': {
      type: 'string',
      value: 'N',
      means: `HTTP port, 0 for any (default: ${defaultPorts.http})`,
    },
    insecure: { type: 'boolean', means: 'no TLS, on loopback only' },
    quiet: { type: 'boolean', means: 'no log on standard error' },
  },
  notes: `The log is JSON lines on standard error. The first start makes a CA and an operator's token;
client.json in the data directory holds what the other commands need.`,
  async run(input) {
    const { io } = input
    const config = {
      data: textOption(input, 'data') ?? './everboot-hub',
      trust: requiredOption(input, 'trust'),
      host: textOption(input, 'host') ?? '127.0.0.1',
      mqttPort: numberOption(input, 'mqtt-port', 0, 65_535) ?? defaultPorts.mqtt,
      httpPort: numberOption(input, 'http-port', 0, 65_535) ?? defaultPorts.http,
      insecure: flagOption(input, 'insecure'),
    }
    const events = flagOption(input, 'quiet') ? { emit: () => undefined } : jsonEvents(io.err)
    const hub = await startHub(config, { clock: systemClock, entropy: systemEntropy, events })
    const { url, mqtt } = hub.client
    io.out(
      input.json
        ? JSON.stringify({ ready: true, url, mqtt })
        : `hub ready: ${url} ${mqtt} (data in ${config.data})`,
    )
    const stop = Promise.withResolvers<void>()
    if (io.interrupted.aborted) stop.resolve()
    io.interrupted.addEventListener('abort', () => stop.resolve(), { once: true })
    try {
      await Promise.race([stop.promise, hub.ended])
    } finally {
      // Whatever still holds the process after this is cut off.
      setTimeout(() => process.exit(), 2 * hubLimits.shutdownMs).unref()
      await hub.close()
    }
    return 0
  },
}
