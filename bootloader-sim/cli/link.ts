/**
 * `everboot emulator link`: the bad line as a program of its own.
 * Leaves to others: the line itself (adapters/link.ts).
 */
import {
  type Command,
  type CommandInput,
  numberOption,
  requiredOption,
  textOption,
} from '../../core/command.ts'
import { raise } from '../../core/errors.ts'
import { linkLimits } from '../../core/limits.ts'
import { seededRandom } from '../../core/prng.ts'
import { bytesText } from '../../core/units.ts'
import { type LinkOptions, openLink } from '../adapters/link.ts'

const portMax = 65_535

export const link: Command = {
  name: 'emulator link',
  summary: 'Stand between device and hub as a bad line',
  positionals: '',
  positionalsMin: 0,
  positionalsMax: 0,
  options: {
    listen: { type: 'string', value: 'PORT', means: 'port on this machine, 0 for any (required)' },
    to: { type: 'string', value: 'HOST:PORT', means: 'where it leads (required)' },
    rate: { type: 'string', value: 'BYTES', means: 'bytes per second in each direction (default: no limit)' },
    latency: { type: 'string', value: 'MS', means: 'round trip in milliseconds (default 0)' },
    cut: { type: 'string', value: 'SHARE', means: 'share of connections that break, 0 to 1 (default 0)' },
    seed: { type: 'string', value: 'N', means: 'of what breaks where (default 1)' },
  },
  notes:
    'Example, 64 kbit/s by satellite: everboot emulator link --listen 9000 --to 127.0.0.1:8883 --rate 8000 --latency 600 --cut 0.02',
  async run(input) {
    const opened = await openLink(linkOptions(input))
    input.io.out(
      input.json ? JSON.stringify({ ready: true, port: opened.port }) : `listens on port ${opened.port}`,
    )
    await new Promise<void>((resolve) => {
      if (input.io.interrupted.aborted) resolve()
      input.io.interrupted.addEventListener('abort', () => resolve())
    })
    const counted = opened.counters()
    await opened.close()
    const { up, down, connections, broken } = counted
    const text = `${bytesText(up)} up, ${bytesText(down)} down, ${connections} connections, ${broken} broken`
    input.io.out(input.json ? JSON.stringify(counted) : text)
    return 0
  },
}

function linkOptions(input: CommandInput): LinkOptions {
  const to = requiredOption(input, 'to')
  const [, host = '', port = ''] = /^\[?([^\]]+)\]?:(\d{1,5})$/.exec(to) ?? []
  if (host === '' || Number(port) > portMax) raise('EB-USAGE', `--to is ${JSON.stringify(to)}, not HOST:PORT`)
  const cut = textOption(input, 'cut') ?? '0'
  if (!/^(0(\.\d{1,6})?|1(\.0{1,6})?)$/.test(cut))
    raise('EB-USAGE', `--cut is ${JSON.stringify(cut)}, not 0 to 1`)
  requiredOption(input, 'listen')
  return {
    listenPort: numberOption(input, 'listen', 0, portMax) ?? 0,
    to: { host, port: Number(port) },
    rate: numberOption(input, 'rate', 1, Number.MAX_SAFE_INTEGER) ?? null,
    latencyMs: numberOption(input, 'latency', 0, linkLimits.latencyMsMax) ?? 0,
    cutShare: Number(cut),
    random: seededRandom(numberOption(input, 'seed', 0, Number.MAX_SAFE_INTEGER) ?? 1),
  }
}
