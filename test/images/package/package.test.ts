/**
 * The package of the agent, of small parts: read back by Debian's own tools, the same bytes every time, and Node's
 * real needs against what the control file asks for.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { pinnedNode } from '../../../images/boards/sim/adapters/host-files.ts'
import { writeAgentPackage } from '../../../images/package/adapters/write-package.ts'
import { type AgentParts, type PackageFacts, versionForm } from '../../../images/package/agent-package.ts'
import { commands } from '../../../images/package/cli.ts'
import { debArchive, tarArchive } from '../../../images/package/tar.ts'
import { runCommand } from '../../run-command.ts'

const own = new URL('../../../images/package/files/', import.meta.url)
const parts: AgentParts = {
  agent: Buffer.from('agent'),
  node: Buffer.from('node'),
  nodeLicense: Buffer.from('license of Node'),
  license: Buffer.from('license'),
  own: new Map(readdirSync(own).map((it) => [it, readFileSync(new URL(it, own))])),
}
const facts: PackageFacts = {
  arch: 'arm64',
  version: '1.2.3',
  maintainer: 'Jane Doe <jane@example.org>',
  atSeconds: 1_700_000_000,
  date: 'Tue, 14 Nov 2023 22:13:20 +0000',
}

let room = ''
beforeEach(() => {
  room = mkdtempSync(join(tmpdir(), 'everboot-package-'))
})
afterEach(() => rmSync(room, { recursive: true }))

const dpkg = (...args: string[]): string => execFileSync('dpkg-deb', args, { encoding: 'utf8' })

describe('the package of the agent', () => {
  it('is read by dpkg-deb, with control, checksums and configuration files that are true', async () => {
    const deb = await writeAgentPackage(parts, facts, 'deb', room)
    expect(deb).toBe(join(room, 'everboot-agent_1.2.3_arm64.deb'))
    expect(dpkg('--field', deb, 'Package', 'Version', 'Architecture')).toBe(
      'Package: everboot-agent\nVersion: 1.2.3\nArchitecture: arm64\n',
    )
    dpkg('-R', deb, join(room, 'tree'))
    expect(readFileSync(join(room, 'tree/DEBIAN/conffiles'), 'utf8')).toBe('/etc/everboot/agent.json\n')
    const sums = readFileSync(join(room, 'tree/DEBIAN/md5sums'), 'utf8')
    execFileSync('md5sum', ['-c', '--quiet'], { cwd: join(room, 'tree'), input: sums })
    expect(sums).toContain('  usr/lib/everboot/agent.mjs\n')
    expect(sums).not.toContain('etc/')
    expect(dpkg('-c', deb)).toMatch(/-rwxr-xr-x root\/root +\d+ 2023-11-14 22:13 .\/usr\/bin\/everboot-agent/)
  })

  it('is the same bytes every time, and other bytes at another time', async () => {
    const hash = async (format: 'deb' | 'tar', at = facts): Promise<string> =>
      createHash('sha256')
        .update(readFileSync(await writeAgentPackage(parts, at, format, room)))
        .digest('hex')
    for (const format of ['deb', 'tar'] as const) {
      const first = await hash(format)
      expect(await hash(format)).toBe(first)
      expect(await hash(format, { ...facts, atSeconds: 1_800_000_000 })).not.toBe(first)
    }
  })

  it('as a tarball has the same files for the root directory', async () => {
    const tar = await writeAgentPackage(parts, facts, 'tar', room)
    const deb = await writeAgentPackage(parts, facts, 'deb', room)
    execFileSync('mkdir', [join(room, 'a'), join(room, 'b')])
    execFileSync('tar', ['-xzf', tar, '-C', join(room, 'a')])
    dpkg('-x', deb, join(room, 'b'))
    execFileSync('diff', ['-r', join(room, 'a'), join(room, 'b')])
  })

  it('asks for the libraries that Node asks for', async () => {
    const versions = execFileSync('readelf', ['-V', pinnedNode()], { encoding: 'utf8', maxBuffer: 1 << 26 })
    const newest = (name: string): string =>
      [...versions.matchAll(new RegExp(`Name: ${name}_([0-9.]+) `, 'g'))]
        .map((it) => it[1] ?? '')
        .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
        .at(-1) ?? 'none'
    // GLIBCXX_3.4.21 came with GCC 5, CXXABI_1.3.11 with GCC 7.
    expect({ c: newest('GLIBC'), cxx: newest('GLIBCXX'), abi: newest('CXXABI') }).toEqual({
      c: '2.28',
      cxx: '3.4.21',
      abi: '1.3.11',
    })
    const deb = await writeAgentPackage(parts, facts, 'deb', room)
    expect(dpkg('--field', deb, 'Depends')).toBe(
      'libc6 (>= 2.28), libgcc-s1 (>= 3.4) | libgcc1, libstdc++6 (>= 7)\n',
    )
  })

  it('has scripts that a shell can read', () => {
    for (const name of ['postinst.sh', 'prerm.sh', 'postrm.sh']) {
      execFileSync('sh', ['-n'], { input: parts.own.get(name) ?? 'none' })
    }
  })
})

describe('the archives', () => {
  it('hold what tar and ar find in them', () => {
    const files = [
      { path: 'b/c/odd', mode: 0o600, content: Buffer.from('x'.repeat(513)) },
      { path: 'a', mode: 0o755, content: Buffer.alloc(0) },
    ]
    const tar = Buffer.concat(tarArchive(files, 1))
    const list = execFileSync('tar', ['-tvf', '-'], {
      input: tar,
      encoding: 'utf8',
      env: { ...process.env, TZ: 'UTC' },
    })
    expect(
      list
        .trim()
        .split('\n')
        .map((it) => it.replace(/ +/g, ' ')),
    ).toEqual([
      'drwxr-xr-x root/root 0 1970-01-01 00:00 ./',
      '-rwxr-xr-x root/root 0 1970-01-01 00:00 ./a',
      'drwxr-xr-x root/root 0 1970-01-01 00:00 ./b/',
      'drwxr-xr-x root/root 0 1970-01-01 00:00 ./b/c/',
      '-rw------- root/root 513 1970-01-01 00:00 ./b/c/odd',
    ])
    expect(() => tarArchive([{ path: 'x'.repeat(99), mode: 0, content: tar }], 1)).toThrow()
    const members = debArchive(Buffer.from('odd'), Buffer.from('even'), 1)
    expect(members.length).toBe(8 + 3 * 60 + 4 + 4 + 4)
  })
})

describe('everboot package', () => {
  it.each<[string[], RegExp]>([
    [['--arch', 'mips', '--out', 'x'], /--arch is "mips"/],
    [['--arch', 'arm64'], /--out is missing/],
    [['--arch', 'arm64', '--out', 'x', '--format', 'rpm'], /--format is "rpm"/],
    [['--arch', 'arm64', '--out', 'x', '--version', 'v1'], /not a version/],
    [['--arch', 'arm64', '--out', 'x', '--maintainer', 'me'], /--maintainer/],
  ])('agent refuses %j', async (args, what) => {
    expect(await runCommand(commands, ['package', 'agent', ...args])).toMatchObject({
      code: 'EB-USAGE',
      what: expect.stringMatching(what),
    })
  })

  it('takes versions that dpkg takes and file names can hold', () => {
    for (const it of ['1', '0.1.0', '1.0~rc1', '2.0-1+b1']) expect(it).toMatch(versionForm)
    for (const it of ['', 'a1', '1/2', '1:2', '1 2', `1${'0'.repeat(64)}`])
      expect(it).not.toMatch(versionForm)
  })

  it('hub-unit prints the unit of the hub', async () => {
    const { out } = await runCommand(commands, ['package', 'hub-unit'])
    expect(`${out}\n`).toBe(readFileSync(new URL('everboot-hub.service', own), 'utf8'))
  })
})
