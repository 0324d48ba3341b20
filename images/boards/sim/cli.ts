/**
 * `everboot image rootfs`: the root directory of an image for the emulated board.
 * Leaves to others: `image build`, which turns a directory into a release.
 */
import {
  type Command,
  type CommandInput,
  flagOption,
  numberOption,
  requiredOption,
  textOption,
} from '../../../core/command.ts'
import { raise } from '../../../core/errors.ts'
import { boardLimits } from '../../../core/limits.ts'
import { safeName } from '../../../core/units.ts'
import { makeRootfs, type RootfsOptions } from './adapters/rootfs.ts'
import { agentNodeOptions } from './agent-node-options.ts'
import { simChoices } from './agent-settings.ts'

const rootfs: Command = {
  name: 'image rootfs',
  summary: 'Make the root directory of an image for a board',
  positionals: '',
  positionalsMin: 0,
  positionalsMax: 0,
  options: {
    board: { type: 'string', value: 'sim', means: 'the board it is for: sim' },
    out: { type: 'string', value: 'DIR', means: 'new or empty directory (required)' },
    version: { type: 'string', value: 'V', means: 'version of the system (required)' },
    product: { type: 'string', value: 'P', means: `product (default ${simChoices.product})` },
    trust: { type: 'string', value: 'FILE', means: 'trust.json of the publisher, for the agent' },
    service: {
      type: 'string',
      value: 'healthy|sick',
      means: 'whether the service is in order (default healthy)',
    },
    init: { type: 'string', value: 'normal|hang', means: 'whether init gets on with it (default normal)' },
    'no-agent': { type: 'boolean', means: 'leave the agent out' },
    clips: { type: 'boolean', means: 'with a cache of audio clips' },
    agent: { type: 'string', value: 'FILE', means: 'a ready agent bundle instead of the own one' },
    'health-ms': {
      type: 'string',
      value: 'MS',
      means: `deadline of a trial (default ${simChoices.healthDeadlineMs})`,
    },
    'network-ms': {
      type: 'string',
      value: 'MS',
      means: `the same while only the hub is missing (default ${simChoices.networkDeadlineMs})`,
    },
    'reboot-ms': {
      type: 'string',
      value: 'MS',
      means: `pause before a reboot (default ${simChoices.rebootDelayMs})`,
    },
  },
  notes: 'Example: everboot image rootfs --board sim --out rootfs --version 1.0 --trust keys/trust.json',
  async run(input) {
    const options = rootfsOptions(input)
    await makeRootfs(options)
    const { out, version, product } = options
    if (input.json) input.io.out(JSON.stringify({ out, board: 'sim', product, version }))
    else input.io.out(`${out} holds ${product} ${version} for board sim`)
    return 0
  },
}

export const commands: readonly Command[] = [rootfs]

function rootfsOptions(input: CommandInput): RootfsOptions {
  oneOf(input, 'board', ['sim'])
  const file = textOption(input, 'agent')
  const milliseconds = (option: string, otherwise: number): number =>
    numberOption(input, option, 0, boardLimits.settingMsMax) ?? otherwise
  return {
    out: requiredOption(input, 'out'),
    version: name(requiredOption(input, 'version'), 'version'),
    product: name(textOption(input, 'product') ?? simChoices.product, 'product'),
    service: oneOf(input, 'service', ['healthy', 'sick']),
    init: oneOf(input, 'init', ['normal', 'hang']),
    clips: flagOption(input, 'clips'),
    agent: flagOption(input, 'no-agent') ? 'none' : file === undefined ? 'bundle' : { file },
    trust: textOption(input, 'trust') ?? null,
    agentNodeOptions,
    healthDeadlineMs: milliseconds('health-ms', simChoices.healthDeadlineMs),
    networkDeadlineMs: milliseconds('network-ms', simChoices.networkDeadlineMs),
    rebootDelayMs: milliseconds('reboot-ms', simChoices.rebootDelayMs),
  }
}

/** The first of `allowed` is the default. */
function oneOf<const T extends string>(
  input: CommandInput,
  option: string,
  allowed: readonly [T, ...T[]],
): T {
  const [otherwise] = allowed
  const value = textOption(input, option) ?? otherwise
  const found = allowed.find((it) => it === value)
  return found ?? raise('EB-USAGE', `--${option} is ${JSON.stringify(value)}, not ${allowed.join(' or ')}`)
}

function name(text: string, option: string): string {
  if (safeName.test(text)) return text
  raise('EB-USAGE', `--${option} is ${JSON.stringify(text)}, not 1 to 64 letters, digits, dots or dashes`)
}
