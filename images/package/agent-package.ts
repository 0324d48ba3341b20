/**
 * The package of the agent: which files it has, what Debian is told about it.
 * Promise: one list of files for the .deb and the tarball; the control file asks for the libraries that the pinned
 * Node really asks for; the checksums are of these files.
 * Leaves to others: where the bytes come from (adapters/package-parts.ts), writing archives (tar.ts).
 */
import { createHash } from 'node:crypto'
import { raise } from '../../core/errors.ts'
import { agentNodeOptions } from '../boards/sim/agent-node-options.ts'
import type { PackedFile } from './tar.ts'

export const packageName = 'everboot-agent'

export type PackageArch = 'amd64' | 'arm64'
export const packageArchs: readonly PackageArch[] = ['amd64', 'arm64']

/** What the files are made of. */
export interface AgentParts {
  readonly agent: Uint8Array
  readonly node: Uint8Array
  /** The license of Node and of what it contains. */
  readonly nodeLicense: Uint8Array
  /** The license of Everboot. */
  readonly license: Uint8Array
  /** Units, scripts, configuration and manual by their names in `files/`. */
  readonly own: ReadonlyMap<string, Uint8Array>
}

export interface PackageFacts {
  readonly arch: PackageArch
  readonly version: string
  /** `Name <address>` */
  readonly maintainer: string
  /** Time of every file, seconds since 1970. */
  readonly atSeconds: number
  /** The same as change logs write it: `Thu, 01 Jan 1970 00:00:00 +0000`. */
  readonly date: string
}

/** Symbols that Node 24 asks for: GLIBC_2.28, GLIBCXX_3.4.21 with CXXABI_1.3.11 (GCC 7), GCC_3.4. */
const depends = ['libc6 (>= 2.28)', 'libgcc-s1 (>= 3.4) | libgcc1', 'libstdc++6 (>= 7)']

/** A Debian version without an epoch: what a file name and `dpkg` both take. */
export const versionForm = /^\d[0-9A-Za-z.+~-]{0,63}$/

/** Name of `files/` → where it goes, and its mode. */
const places: Readonly<Record<string, readonly [path: string, mode: number]>> = {
  'everboot-agent.service': ['usr/lib/systemd/system/everboot-agent.service', 0o644],
  'everboot-state.service': ['usr/lib/systemd/system/everboot-state.service', 0o644],
  'init.sh': ['usr/lib/everboot/init', 0o755],
  'state.json': [`usr/share/doc/${packageName}/examples/state.json`, 0o644],
  'agent.json': ['etc/everboot/agent.json', 0o644],
}

/** Node is taken as its makers ship it, with its libraries, symbols and licenses. */
const overrides = [
  ...[
    'embedded-library',
    'unstripped-binary-or-object',
    'hardening-no-pie',
    'old-fsf-address-in-copyright-file',
  ],
  ...['copyright-file-contains-full-apache-2-license', 'copyright-not-using-common-license-for-gpl'],
]
  .map((tag) => `${packageName}: ${tag} *\n`)
  .join('')

/** Everything that is installed. The gzip of manual and change log is the caller's: it is not pure. */
export function agentFiles(
  parts: AgentParts,
  facts: PackageFacts,
  gzip: (bytes: Uint8Array) => Uint8Array,
): readonly PackedFile[] {
  const file = (path: string, content: Uint8Array | string, mode = 0o644): PackedFile => ({
    path,
    mode,
    content: typeof content === 'string' ? Buffer.from(content) : content,
  })
  const own = Object.entries(places).map(([name, [path, mode]]) => file(path, part(parts.own, name), mode))
  const doc = `usr/share/doc/${packageName}`
  return [
    ...own,
    file('usr/bin/everboot-agent', launcher(), 0o755),
    file('usr/lib/everboot/agent.mjs', parts.agent),
    file('usr/lib/everboot/node', parts.node, 0o755),
    file(`usr/share/lintian/overrides/${packageName}`, overrides),
    file(`${doc}/copyright`, Buffer.concat([parts.license, parts.nodeLicense])),
    file(`${doc}/changelog.gz`, gzip(Buffer.from(changeLog(facts)))),
    file('usr/share/man/man8/everboot-agent.8.gz', gzip(part(parts.own, 'everboot-agent.8'))),
  ]
}

/** The members of control.tar: control, checksums, configuration files, scripts. */
export function controlFiles(
  files: readonly PackedFile[],
  parts: AgentParts,
  facts: PackageFacts,
): readonly PackedFile[] {
  const text = (path: string, content: string | Uint8Array, mode = 0o644): PackedFile => ({
    path,
    mode,
    content: Buffer.from(content),
  })
  const configuration = files.filter((it) => it.path.startsWith('etc/'))
  const sums = files
    .filter((it) => !configuration.includes(it))
    .map((it) => `${createHash('md5').update(it.content).digest('hex')}  ${it.path}\n`)
    .sort((a, b) => (a.slice(34) < b.slice(34) ? -1 : 1))
  return [
    text('control', control(files, facts)),
    text('conffiles', configuration.map((it) => `/${it.path}\n`).join('')),
    text('md5sums', sums.join('')),
    ...['postinst', 'prerm', 'postrm'].map((name) => text(name, part(parts.own, `${name}.sh`), 0o755)),
  ]
}

function control(files: readonly PackedFile[], { arch, version, maintainer }: PackageFacts): string {
  const kibibytes = files.reduce((sum, it) => sum + Math.ceil(it.content.length / 1024), 0)
  const fields = {
    Package: packageName,
    Version: version,
    Architecture: arch,
    Maintainer: maintainer,
    'Installed-Size': String(kibibytes),
    Depends: depends.join(', '),
    Recommends: 'systemd',
    Section: 'admin',
    Priority: 'optional',
    Description: `A/B over-the-air updates that always boot: the device agent
 Downloads signed and encrypted releases in resumable pieces into the spare
 slot, reads back what it wrote, has the bootloader try it, proves the new
 system healthy, and commits it or gives way to the old one.
 .
 The machine must have been laid out for A/B: two slots, a boot record, a data
 partition. Node comes with the package.`,
  }
  return Object.entries(fields)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join('')
}

function launcher(): string {
  return `#!/bin/sh\nexec /usr/lib/everboot/node ${agentNodeOptions.join(' ')} /usr/lib/everboot/agent.mjs "$@"\n`
}

function changeLog({ version, maintainer, date }: PackageFacts): string {
  return `${packageName} (${version}) stable; urgency=medium\n\n  * Everboot ${version}.\n\n -- ${maintainer}  ${date}\n`
}

function part(own: ReadonlyMap<string, Uint8Array>, name: string): Uint8Array {
  return own.get(name) ?? raise('EB-INTERNAL', `the package has no file ${name}`)
}
