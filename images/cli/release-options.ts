/**
 * What a release is, from the options of a command: `image build`, and `image disk` where it makes one.
 * Promise: every option is checked before work begins.
 */
import {
  type CommandInput,
  type CommandOption,
  listOption,
  numberOption,
  requiredOption,
  textOption,
} from '../../core/command.ts'
import { raise } from '../../core/errors.ts'
import { releaseLimits, slotLimits } from '../../core/limits.ts'
import { blockBytes, KiB, MiB, safeName } from '../../core/units.ts'
import { shortNameForm } from '../release/manifest.ts'
import type { ReleaseOptions } from '../release/writer.ts'

const kindlePieceBytes = 8 * KiB
const levelDefault = 6
const levelMax = 19

/** Options of every command that makes a release. */
export const releaseOptionHelp = {
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
  profile: { type: 'string', value: 'NAME', means: 'standard (default) or kindle' },
  suite: { type: 'string', value: 'NAME', means: 'chacha20-poly1305 (default) or aes-256-gcm' },
  'piece-bytes': { type: 'string', value: 'N', means: 'bytes of a piece, 4096 to 1048576 (default)' },
  level: {
    type: 'string',
    value: 'N',
    means: `zstd level, 0 (none) to ${levelMax}; default ${levelDefault}`,
  },
} as const satisfies Readonly<Record<string, CommandOption>>

/** @param hardware of the board; absent: from `--hardware`. @throws EverbootError EB-USAGE */
export function releaseOptions(input: CommandInput, hardware?: readonly string[]): ReleaseOptions {
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
    hardware: hardware ?? hardwareFrom(input),
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

/** @throws EverbootError EB-USAGE */
export function choice<const T extends string>(
  input: CommandInput,
  name: string,
  known: readonly T[],
): T | undefined {
  const value = textOption(input, name)
  if (value === undefined) return undefined
  const found = known.find((it) => (it as string) === value)
  return found ?? raise('EB-USAGE', `--${name} is ${JSON.stringify(value)}, not ${known.join(' or ')}`)
}
