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
import { releaseLimits, slotLimits } from '../../core/limits.ts'
import { blockBytes, bytesText, KiB, MiB, safeName } from '../../core/units.ts'
import { type BuiltRelease, buildRelease } from '../build/adapters/build-release.ts'
import { shortNameForm } from '../release/manifest.ts'
import type { ReleaseOptions } from '../release/writer.ts'
import { phaseReporter } from './phase.ts'

const kindlePieceBytes = 8 * KiB
const levelDefault = 6
const levelMax = 19

export const build: Command = {
  name: 'image build',
  summary: 'Make a release from a directory or an image',
  positionals: 'INPUT',
  positionalsMin: 1,
  positionalsMax: 1,
  options: {
    out: { type: 'string', value: 'FILE.ebr', means: 'the release file to make' },
    keys: { type: 'string', value: 'DIR', means: 'the key directory of the publisher' },
    product: { type: 'string', value: 'P', means: 'what the devices are' },
    version: { type: 'string', value: 'V', means: 'a name for people' },
    'security-version': {
      type: 'string',
      value: 'N',
      means: 'compared with the floor of devices, 1 or more',
    },
    'floor-after-commit': {
      type: 'string',
      value: 'N',
      means: 'bar releases below N once this one is committed',
    },
    hardware: { type: 'string', value: 'ID', multiple: true, means: 'a hardware id it is for' },
    profile: { type: 'string', value: 'NAME', means: 'standard (default) or kindle' },
    suite: { type: 'string', value: 'NAME', means: 'chacha20-poly1305 (default) or aes-256-gcm' },
    filesystem: { type: 'string', value: 'NAME', means: 'of a directory: ext4 (default) or squashfs' },
    size: { type: 'string', value: 'BYTES', means: 'of the ext4; default: what the content needs' },
    'piece-bytes': { type: 'string', value: 'N', means: 'bytes of a piece, 4096 to 1048576 (default)' },
    level: {
      type: 'string',
      value: 'N',
      means: `zstd level, 0 (none) to ${levelMax}; default ${levelDefault}`,
    },
    device: {
      type: 'string',
      value: 'ID',
      multiple: true,
      means: 'wrap the key for it; default: all in DIR',
    },
    reproducible: { type: 'string', value: 'SEED', means: 'same input, options and SEED: same bytes' },
    'release-dir': { type: 'string', value: 'DIR', means: 'also put the static files in DIR/RELEASE-ID' },
  },
  notes: `INPUT is a directory, a raw image, or an image in .gz, .zst, .xz or .zip.
The kindle profile is AES-256-CBC with pieces of 8 KiB, not compressed unless --level says so, and an RSA-PSS
signature over the clear image. SEED is a secret: with it and the clear image the content keys are known.
Built by a user who is not root, the files in the image belong to root.`,
  async run(input) {
    const started = performance.now()
    const report = phaseReporter(input)
    const built = await buildRelease({
      input: input.positionals[0] ?? '',
      out: requiredOption(input, 'out'),
      keys: requiredOption(input, 'keys'),
      options: optionsFrom(input),
      filesystem: choice(input, 'filesystem', ['ext4', 'squashfs']) ?? null,
      bytes: sizeFrom(input),
      devices: input.values['device'] === undefined ? null : listOption(input, 'device'),
      seed: seedFrom(input),
      releaseDirectory: textOption(input, 'release-dir') ?? null,
      signal: input.io.interrupted,
      phase: report,
    })
    print(input, built, (performance.now() - started) / 1000)
    return 0
  },
}

function optionsFrom(input: CommandInput): ReleaseOptions {
  const profile = choice(input, 'profile', ['standard', 'kindle']) ?? 'standard'
  const kindle = profile === 'kindle'
  const suite = choice(input, 'suite', ['chacha20-poly1305', 'aes-256-gcm', 'aes-256-cbc'])
  if (suite !== undefined && (suite === 'aes-256-cbc') !== kindle) {
    raise('EB-USAGE', `suite ${suite} does not go with profile ${profile}; kindle is aes-256-cbc`)
  }
  return {
    product: nameOption(input, 'product'),
    version: nameOption(input, 'version'),
    securityVersion:
      numberOption(input, 'security-version', 1, slotLimits.numberMax) ??
      raise('EB-USAGE', '--security-version is missing'),
    floorAfterCommit: numberOption(input, 'floor-after-commit', 0, slotLimits.numberMax) ?? null,
    hardware: hardwareFrom(input),
    profile,
    suite: suite ?? (kindle ? 'aes-256-cbc' : 'chacha20-poly1305'),
    pieceBytes: pieceBytesFrom(input, kindle),
    level: numberOption(input, 'level', 0, levelMax) ?? (kindle ? 0 : levelDefault),
  }
}

function pieceBytesFrom(input: CommandInput, kindle: boolean): number {
  const asked = numberOption(input, 'piece-bytes', blockBytes, releaseLimits.pieceBytesMax)
  if (asked === undefined) return kindle ? kindlePieceBytes : MiB
  if (asked % blockBytes !== 0) raise('EB-USAGE', `--piece-bytes ${asked} is not a multiple of ${blockBytes}`)
  if (kindle && asked !== kindlePieceBytes) {
    raise('EB-USAGE', `pieces of the kindle profile have ${kindlePieceBytes} bytes, not ${asked}`)
  }
  return asked
}

function hardwareFrom(input: CommandInput): readonly string[] {
  const ids = [...new Set(listOption(input, 'hardware'))]
  if (ids.length === 0) raise('EB-USAGE', '--hardware is missing')
  if (ids.length > releaseLimits.hardwareIdsMax) {
    raise('EB-USAGE', `${ids.length} hardware ids, limit ${releaseLimits.hardwareIdsMax}`)
  }
  const bad = ids.find((it) => !safeName.test(it))
  if (bad === undefined) return ids
  raise('EB-USAGE', `--hardware ${JSON.stringify(bad)} is not 1 to 64 of A-Z a-z 0-9 . _ -`)
}

function nameOption(input: CommandInput, name: string): string {
  const value = requiredOption(input, name)
  if (shortNameForm.test(value) && safeName.test(value)) return value
  raise('EB-USAGE', `--${name} ${JSON.stringify(value)} is not 1 to 31 of A-Z a-z 0-9 . _ -`)
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

function choice<const T extends string>(
  input: CommandInput,
  name: string,
  known: readonly T[],
): T | undefined {
  const value = textOption(input, name)
  if (value === undefined) return undefined
  const found = known.find((it) => (it as string) === value)
  return found ?? raise('EB-USAGE', `--${name} is ${JSON.stringify(value)}, not ${known.join(' or ')}`)
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
