/**
 * `everboot package …`: the agent as a Debian package or tarball, and the unit of the hub.
 * Leaves to others: making them (adapters/).
 */
import { readFile } from 'node:fs/promises'
import { type Command, type CommandInput, requiredOption, textOption } from '../../core/command.ts'
import { raise } from '../../core/errors.ts'
import { version as houseVersion } from '../../core/version.ts'
import { agentParts } from './adapters/package-parts.ts'
import { type PackageFormat, writeAgentPackage } from './adapters/write-package.ts'
import { type PackageArch, packageArchs, versionForm } from './agent-package.ts'

const agent: Command = {
  name: 'package agent',
  summary: 'Make a Debian package or a tarball of the agent, with its Node',
  positionals: '',
  positionalsMin: 0,
  positionalsMax: 0,
  options: {
    arch: { type: 'string', value: 'arm64|amd64', means: 'the machine it is for (required)' },
    format: { type: 'string', value: 'deb|tar', means: 'package for Debian or tarball (default deb)' },
    out: { type: 'string', value: 'DIR', means: 'where the file goes (required)' },
    version: { type: 'string', value: 'V', means: "version of the package (default: Everboot's)" },
    maintainer: { type: 'string', value: 'WHO', means: 'as in "Jane Doe <jane@example.org>"' },
  },
  notes: `The times in it are those of SOURCE_DATE_EPOCH (seconds since 1970) when that is set; then the same input gives the same bytes.
Example: everboot package agent --arch arm64 --out packages`,
  async run(input) {
    const arch = oneOf<PackageArch>(requiredOption(input, 'arch'), packageArchs, '--arch')
    const format = oneOf<PackageFormat>(textOption(input, 'format') ?? 'deb', ['deb', 'tar'], '--format')
    const out = requiredOption(input, 'out')
    const version = textOption(input, 'version') ?? houseVersion
    if (!versionForm.test(version)) raise('EB-USAGE', `--version ${version} is not a version for Debian`)
    const maintainer = textOption(input, 'maintainer') ?? 'Everboot <everboot@localhost>'
    if (!/^[^<>\n]+ <[^<>\s]+@[^<>\s]+>$/.test(maintainer)) {
      raise('EB-USAGE', '--maintainer is not of the form "Name <address@host>"')
    }
    const atSeconds = timeOf(input)
    const date = new Date(atSeconds * 1000).toUTCString().replace('GMT', '+0000')
    const parts = await agentParts(arch)
    const path = await writeAgentPackage(parts, { arch, version, maintainer, atSeconds, date }, format, out)
    input.io.out(input.json ? JSON.stringify({ path, arch, format, version }) : path)
    return 0
  },
}

const hubUnit: Command = {
  name: 'package hub-unit',
  summary: 'Print the systemd unit of the hub',
  positionals: '',
  positionalsMin: 0,
  positionalsMax: 0,
  options: {},
  notes: `Example: everboot package hub-unit > /etc/systemd/system/everboot-hub.service`,
  async run(input) {
    const unit = await readFile(new URL('files/everboot-hub.service', import.meta.url), 'utf8')
    input.io.out(input.json ? JSON.stringify({ unit }) : unit.trimEnd())
    return 0
  },
}

function oneOf<T extends string>(value: string, known: readonly T[], option: string): T {
  const found = known.find((it) => it === value)
  return found ?? raise('EB-USAGE', `${option} is ${JSON.stringify(value)}, not ${known.join(' or ')}`)
}

/** Seconds since 1970 that every file gets. */
function timeOf(input: CommandInput): number {
  const text = input.io.environment['SOURCE_DATE_EPOCH']
  if (text === undefined || text === '') return Math.floor(Date.now() / 1000)
  // The header of a tar entry has eleven octal digits for it.
  if (/^\d{1,10}$/.test(text) && Number(text) < 8 ** 11) return Number(text)
  return raise('EB-USAGE', `SOURCE_DATE_EPOCH is ${JSON.stringify(text)}, not seconds since 1970`)
}

export const commands: readonly Command[] = [agent, hubUnit]
