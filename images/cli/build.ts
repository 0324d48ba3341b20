/**
 * `everboot image build`: from a directory or an image to a signed, sealed `.ebr`.
 * Promise: every option is checked before work begins.
 * Leaves to others: the work (build/adapters/build-release.ts).
 */
import {
  type Command,
  type CommandInput,
  listOption,
  numberOption,
  requiredOption,
  textOption,
} from '../../core/command.ts'
import { raise } from '../../core/errors.ts'
import { releaseLimits } from '../../core/limits.ts'
import { blockBytes, bytesText, MiB } from '../../core/units.ts'
import { buildForPi, piReleaseHelp } from '../boards/raspberry-pi/cli.ts'
import { type BuiltRelease, buildRelease } from '../build/adapters/build-release.ts'
import { phaseReporter } from './phase.ts'
import { choice, releaseOptionHelp, releaseOptions } from './release-options.ts'

export const build: Command = {
  name: 'image build',
  summary: 'Make a release from a directory or an image',
  positionals: 'INPUT',
  positionalsMin: 1,
  positionalsMax: 1,
  options: {
    out: { type: 'string', value: 'FILE.ebr', means: 'the release file to make' },
    keys: { type: 'string', value: 'DIR', means: 'the key directory of the publisher' },
    ...releaseOptionHelp,
    hardware: { type: 'string', value: 'ID', multiple: true, means: 'a hardware id it is for' },
    board: { type: 'string', value: 'NAME', means: 'make it for a board: raspberry-pi' },
    ...piReleaseHelp,
    filesystem: { type: 'string', value: 'NAME', means: 'of a directory: ext4 (default) or squashfs' },
    size: { type: 'string', value: 'BYTES', means: 'of the ext4; default: what the content needs' },
    device: {
      type: 'string',
      value: 'ID',
      multiple: true,
      means: 'wrap the key for it; default: all in DIR',
    },
    reproducible: { type: 'string', value: 'SEED', means: 'same input, options and SEED: same bytes' },
    'release-dir': { type: 'string', value: 'DIR', means: 'also put the static files in DIR/RELEASE-ID' },
  },
  notes: `INPUT is a directory, a raw image, or an image in .gz, .zst, .xz or .zip; for --board raspberry-pi it is a
root: a directory, a tar, or a disk image such as Raspberry Pi OS Lite.
The kindle profile is AES-256-CBC with pieces of 8 KiB, not compressed unless --level says so, and an RSA-PSS
signature over the clear image. SEED is a secret: with it and the clear image the content keys are known.
Built by a user who is not root, the files in the image belong to root.`,
  async run(input) {
    const started = performance.now()
    const built = await made(input)
    print(input, built, (performance.now() - started) / 1000)
    return 0
  },
}

async function made(input: CommandInput): Promise<BuiltRelease> {
  if (choice(input, 'board', ['raspberry-pi']) !== undefined) return buildForPi(input)
  const foreign = Object.keys(piReleaseHelp).find((it) => textOption(input, it) !== undefined)
  if (foreign !== undefined) raise('EB-USAGE', `--${foreign} needs --board raspberry-pi`)
  return buildRelease({
    input: input.positionals[0] ?? '',
    out: requiredOption(input, 'out'),
    keys: requiredOption(input, 'keys'),
    options: releaseOptions(input),
    filesystem: choice(input, 'filesystem', ['ext4', 'squashfs']) ?? null,
    bytes: sizeFrom(input),
    devices: input.values['device'] === undefined ? null : listOption(input, 'device'),
    seed: seedFrom(input),
    releaseDirectory: textOption(input, 'release-dir') ?? null,
    signal: input.io.interrupted,
    phase: phaseReporter(input),
  })
}

function sizeFrom(input: CommandInput): number | null {
  const bytes = numberOption(input, 'size', MiB, releaseLimits.imageBytesMax) ?? null
  if (bytes === null || bytes % blockBytes === 0) return bytes
  raise('EB-USAGE', `--size ${bytes} is not a multiple of ${blockBytes}`)
}

function seedFrom(input: CommandInput): string | null {
  const seed = textOption(input, 'reproducible')
  if (seed === '') raise('EB-USAGE', '--reproducible needs a seed')
  return seed ?? null
}

function print(input: CommandInput, built: BuiltRelease, seconds: number): void {
  const { manifest, file, bytes, form, devices, directory } = built
  if (input.json) {
    const { id, images, blobs } = manifest
    input.io.out(
      JSON.stringify({ release: id, file, bytes, form, images, blobs, devices, directory, seconds }),
    )
    return
  }
  const line = (name: string, text: string): void => input.io.out(`${name.padEnd(9)}${text}`)
  line('release', manifest.id)
  for (const image of manifest.images) {
    line('image', `${image.name}, ${bytesText(image.bytes)}, from ${form}`)
    line('root', image.verityRoot)
  }
  for (const blob of manifest.blobs) {
    line('blob', `${bytesText(blob.bytes)} in ${blob.pieces} pieces, ${blob.suite}`)
  }
  line('devices', devices.length === 0 ? 'none: the file carries no key wraps' : listText(devices))
  line('file', `${file}, ${bytesText(bytes)}, ${seconds.toFixed(1)} s`)
  if (directory !== null) line('static', directory)
}

function listText(names: readonly string[]): string {
  const shown = names.slice(0, 4).join(' ')
  return names.length > 4 ? `${shown} and ${names.length - 4} more` : shown
}
