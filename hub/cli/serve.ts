/**
 * `everboot hub serve`: runs the hub until it is told to stop.
 * Promise: one line when it is ready; SIGINT and SIGTERM end it within the deadline, with what was acknowledged
 * on the disk.
 */
import {
  type Command,
  type CommandInput,
  flagOption,
  numberOption,
  requiredOption,
  textOption,
} from '../../core/command.ts'
import { orThrow, raise } from '../../core/errors.ts'
import { hubLimits } from '../../core/limits.ts'
import { jsonEvents, systemClock, systemEntropy } from '../adapters/system.ts'
import { type Bucket, bucketOf } from '../clips/bucket.ts'
import { defaultPorts } from '../config.ts'
import { startHub } from '../main.ts'

/** @throws EverbootError EB-USAGE, EB-CONFIG */
function bucketIn(input: CommandInput): { readonly bucket?: Bucket } {
  const clips = textOption(input, 'clips')
  const endpoint = textOption(input, 's3-endpoint') ?? null
  if (clips !== undefined) return { bucket: orThrow(bucketOf(clips, endpoint, input.io.environment)) }
  if (endpoint === null) return {}
  return raise('EB-USAGE', '--s3-endpoint is given without --clips', { todo: 'name the bucket with --clips' })
}

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
    clips: {
      type: 'string',
      value: 's3://BUCKET[/PREFIX]',
      means: 'keep the contents of clips in this bucket (default: in the data directory)',
    },
    's3-endpoint': {
      type: 'string',
      value: 'URL',
      means: 'server of the bucket, asked by path (default: Amazon in AWS_REGION)',
    },
    insecure: { type: 'boolean', means: 'no TLS, on loopback only' },
    quiet: { type: 'boolean', means: 'no log on standard error' },
  },
  notes: `The log is JSON lines on standard error. The first start makes a CA and an operator's token;
client.json in the data directory holds what the other commands need.
A bucket is asked with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION of the environment.`,
  async run(input) {
    const { io } = input
    const config = {
      data: textOption(input, 'data') ?? './everboot-hub',
      trust: requiredOption(input, 'trust'),
      host: textOption(input, 'host') ?? '127.0.0.1',
      mqttPort: numberOption(input, 'mqtt-port', 0, 65_535) ?? defaultPorts.mqtt,
      httpPort: numberOption(input, 'http-port', 0, 65_535) ?? defaultPorts.http,
      insecure: flagOption(input, 'insecure'),
      ...bucketIn(input),
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
