/**
 * `everboot image disk --board raspberry-pi`: a card to flash, and what `image build --board raspberry-pi` adds.
 * Promise: every option is checked before work begins; a kernel that cannot ask for a trial is said.
 * Leaves to others: the work (adapters/).
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import {
  type Command,
  type CommandInput,
  type CommandOption,
  listOption,
  numberOption,
  requiredOption,
  textOption,
} from '../../../core/command.ts'
import { piLimits } from '../../../core/disk-limits.ts'
import { raise } from '../../../core/errors.ts'
import { releaseLimits } from '../../../core/limits.ts'
import { bytesText, MiB } from '../../../core/units.ts'
import { keyDirectory } from '../../../keys/adapters/key-directory.ts'
import type { BuiltRelease } from '../../build/adapters/build-release.ts'
import { phaseReporter } from '../../cli/phase.ts'
import { choice, releaseOptionHelp, releaseOptions } from '../../cli/release-options.ts'
import type { FactoryKeys } from '../arm64/adapters/factory.ts'
import { makePiDisk, type PiDisk } from './adapters/disk.ts'
import { readIdentity } from './adapters/identity.ts'
import { buildPiRelease, type PiRelease } from './adapters/release.ts'
import { hardwareId } from './agent-settings.ts'
import { checkConfig, commandLineText } from './boot-files.ts'
import { partitionNames } from './layout.ts'

/** Options of a release for the board. */
export const piReleaseHelp = {
  firmware: { type: 'string', value: 'DIR', means: 'with start*.elf; a disk image may bring its own' },
  'config-lines': { type: 'string', value: 'FILE', means: 'more lines for config.txt' },
  'kernel-words': { type: 'string', value: 'WORDS', means: 'more words for the kernel' },
  'watchdog-seconds': {
    type: 'string',
    value: 'N',
    means: `until the watchdog bites (default ${piLimits.watchdogSeconds})`,
  },
  'boot-bytes': { type: 'string', value: 'BYTES', means: 'of each boot partition (default 256 MiB)' },
} as const satisfies Readonly<Record<string, CommandOption>>

/** `image build INPUT --board raspberry-pi`. */
export async function buildForPi(input: CommandInput): Promise<BuiltRelease> {
  for (const it of ['hardware', 'filesystem', 'size', 'reproducible', 'release-dir']) {
    if (input.values[it] !== undefined) raise('EB-USAGE', `--${it} does not go with --board raspberry-pi`)
  }
  const release = await makeRelease(input, input.positionals[0] ?? '', requiredOption(input, 'out'))
  return release.built
}

async function makeRelease(input: CommandInput, rootfs: string, out: string): Promise<PiRelease> {
  const lines = textOption(input, 'config-lines')
  const words = textOption(input, 'kernel-words')
  const watchdogSeconds = numberOption(input, 'watchdog-seconds', 1, piLimits.watchdogSecondsMax)
  const bootBytes = bytesOption(input, 'boot-bytes')
  const configLines = lines === undefined ? '' : await textOf(lines)
  checkConfig(configLines)
  commandLineText(watchdogSeconds ?? piLimits.watchdogSeconds, words ?? '')
  const release = await buildPiRelease({
    rootfs,
    firmware: textOption(input, 'firmware') ?? null,
    out,
    keys: requiredOption(input, 'keys'),
    options: releaseOptions(input, [hardwareId]),
    configLines,
    kernelWords: words ?? '',
    ...(watchdogSeconds === undefined ? {} : { watchdogSeconds }),
    ...(bootBytes === undefined ? {} : { bootBytes }),
    devices: input.values['device'] === undefined ? null : listOption(input, 'device'),
    signal: input.io.interrupted,
    phase: phaseReporter(input),
  })
  if (!release.kernel.tryboot) {
    input.io.err(
      `warning: kernel ${release.kernel.release} cannot ask the firmware for a trial (no tryboot); it boots, but updates are never tried. Take Raspberry Pi's kernel, linux-image-rpi-v8.`,
    )
  }
  return release
}

async function textOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: Error) =>
    raise('EB-FILE', `${path} cannot be read: ${cause.message}`, { cause }),
  )
}

function bytesOption(input: CommandInput, name: string): number | undefined {
  return numberOption(input, name, MiB, releaseLimits.imageBytesMax)
}

const disk: Command = {
  name: 'image disk',
  summary: 'Make a disk to flash, with a factory release in slot a',
  positionals: '',
  positionalsMin: 0,
  positionalsMax: 0,
  options: {
    board: { type: 'string', value: 'NAME', means: 'the board it is for: raspberry-pi (required)' },
    out: { type: 'string', value: 'FILE', means: 'the disk to make (required)' },
    keys: { type: 'string', value: 'DIR', means: 'the key directory of the publisher (required)' },
    rootfs: {
      type: 'string',
      value: 'PATH',
      means: 'make the release from a root: directory, tar or disk image',
    },
    release: { type: 'string', value: 'FILE.ebr', means: 'or take a release that was built' },
    'release-out': {
      type: 'string',
      value: 'FILE.ebr',
      means: 'keep the release that is made, to publish it',
    },
    ...releaseOptionHelp,
    ...piReleaseHelp,
    device: {
      type: 'string',
      value: 'ID',
      multiple: true,
      means: 'wrap the key for it; default: all in DIR',
    },
    identity: {
      type: 'string',
      value: 'FILE',
      means: 'identity of the device; default: comes with --first-boot',
    },
    'root-bytes': {
      type: 'string',
      value: 'BYTES',
      means: 'of each root partition; default: a quarter more',
    },
    'data-bytes': { type: 'string', value: 'BYTES', means: 'of the data partition (default 512 MiB)' },
  },
  notes: `Then: everboot flash FILE /dev/sdX --first-boot …
Example: everboot image disk --board raspberry-pi --rootfs raspios-lite.img.xz --keys keys --product lamp
  --version 1.0 --security-version 1 --out card.img --release-out lamp-1.0.ebr`,
  async run(input) {
    const started = performance.now()
    if (choice(input, 'board', ['raspberry-pi']) === undefined) raise('EB-USAGE', '--board is missing')
    const made = await makeDisk(input)
    print(input, made, (performance.now() - started) / 1000)
    return 0
  },
}

export const commands: readonly Command[] = [disk]

async function makeDisk(input: CommandInput): Promise<PiDisk> {
  const [ready, rootfs] = [textOption(input, 'release'), textOption(input, 'rootfs')]
  if ((ready === undefined) === (rootfs === undefined))
    raise('EB-USAGE', 'give either --rootfs, to make the release, or --release')
  const identityFile = textOption(input, 'identity')
  const keys = keyDirectory(requiredOption(input, 'keys'))
  const identity = identityFile === undefined ? null : await readIdentity(identityFile, keys)
  if (ready !== undefined) return diskOf(input, ready, await someDevice(keys, identity?.deviceId), identity)
  const kept = textOption(input, 'release-out')
  const work = await mkdtemp(
    join(kept === undefined ? dirname(requiredOption(input, 'out')) : tmpdir(), '.everboot-'),
  )
  try {
    const file = kept ?? join(work, 'factory.ebr')
    const { built } = await makeRelease(input, rootfs ?? '', file)
    return await diskOf(input, file, built.contentKeys, identity)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** Any device will do: the content key is the same for all. */
async function someDevice(keys: ReturnType<typeof keyDirectory>, own: string | undefined): Promise<string> {
  const [first] = own === undefined ? await keys.deviceIds() : [own]
  return (
    first ??
    raise('EB-KEY', 'the key directory has no device, so the release cannot be opened', {
      todo: 'everboot keys init --device ID, then build the release again; or give --rootfs',
    })
  )
}

async function diskOf(
  input: CommandInput,
  release: string,
  openBy: FactoryKeys,
  identity: Readonly<Record<string, unknown>> | null,
): Promise<PiDisk> {
  const [bootBytes, dataBytes] = [bytesOption(input, 'boot-bytes'), bytesOption(input, 'data-bytes')]
  return makePiDisk({
    out: requiredOption(input, 'out'),
    release,
    keys: requiredOption(input, 'keys'),
    openBy,
    identity,
    rootBytes: bytesOption(input, 'root-bytes') ?? null,
    ...(bootBytes === undefined ? {} : { bootBytes }),
    ...(dataBytes === undefined ? {} : { dataBytes }),
  })
}

function print(input: CommandInput, { file, layout, releaseId }: PiDisk, seconds: number): void {
  const { bytes, partitions } = layout
  if (input.json) {
    input.io.out(JSON.stringify({ file, bytes, release: releaseId, partitions, seconds }))
    return
  }
  input.io.out(`release  ${releaseId}, in slot a`)
  for (const name of partitionNames) {
    const it = partitions[name]
    input.io.out(`part ${it.number}   ${name.padEnd(9)}${bytesText(it.bytes)} at ${bytesText(it.offset)}`)
  }
  input.io.out(`disk     ${file}, ${bytesText(bytes)}, ${seconds.toFixed(1)} s`)
}
