/**
 * Updates of a whole Debian system by the agent itself, as a service of its systemd: a good release is downloaded,
 * tried and kept, a sick one gives way. The device stays who it is: machine id, SSH host keys, name, listed state.
 * The bootloader is the real boot decision, the hub a real process; the machine is systemd-nspawn.
 */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../../demo/adapters/desk.ts'
import type { DeviceDetailView } from '../../hub/http/views.ts'
import type { BuiltRelease } from '../../images/build/adapters/build-release.ts'
import { commands } from '../../images/package/cli.ts'
import { remains } from '../bootloader-sim/real-board.ts'
import { runCommand } from '../run-command.ts'
import { boardSettings, type DebianBoard, handOverPath, openDebianBoard } from './debian-board.ts'
import { buildDebian, deviceId } from './debian-factory.ts'
import {
  type DebianSystem,
  debianArch,
  debianSystem,
  noDebian,
  type RunningSystem,
  rebooted,
  tool,
} from './debian-system.ts'

if (noDebian !== null) console.info(`skipped: updates of Debian: no ${noDebian}`)

const unit = 'everboot-agent.service'
/** What makes this device this one; says it of itself wherever it runs. */
const who = '/usr/lib/app/who'
const selfTest = '/usr/lib/app/self-test'
const endsMs = 120_000

let system: DebianSystem
let board: DebianBoard
let releases: readonly BuiltRelease[] = []

/** The package, its configuration, and a service that this device is for. */
async function furnish(): Promise<void> {
  const made = await runCommand(commands, [
    ...['package', 'agent', '--arch', debianArch, '--out', system.room, '--json'],
  ])
  expect(made.status, made.err).toBe(0)
  tool('cp', JSON.parse(made.out).path, join(system.root, 'root/agent.deb'))
  system.chroot('dpkg', '-i', '/root/agent.deb')
  tool('rm', join(system.root, 'root/agent.deb'))
  mkdirSync(join(system.root, 'data'))
  system.put(handOverPath, '')
  system.put('etc/machine-id', '')
  system.put('etc/hostname', 'factory\n')
  system.put('etc/everboot/trust.json', tool('cat', join(system.room, 'keys/trust.json')))
  const { mount: _, ...list } = JSON.parse(tool('cat', 'images/package/files/state.json'))
  list.keep[1].names.push('lib/app')
  // Where the container has its data partition mounted already.
  system.put('etc/everboot/state.json', JSON.stringify(list))
  system.put(
    who,
    '#!/bin/sh\ncat /etc/machine-id\nfor k in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $k; done\n',
    0o755,
  )
  system.put(selfTest, `#!/bin/sh\n${who}\nexec systemctl is-active app.service\n`, 0o755)
}

/** What differs between releases. @param program of the service */
function becomeVersion(version: number, program: string, health: object): void {
  system.put('etc/release', `v${version}\n`)
  const words = ['[Service]', 'Type=oneshot', 'RemainAfterExit=yes', `ExecStart=${program}`]
  system.put('etc/systemd/system/app.service', `${words.join('\n')}\n[Install]\nWantedBy=multi-user.target\n`)
  system.chroot('systemctl', 'enable', 'app.service')
  const config = { ...JSON.parse(tool('cat', 'images/package/files/agent.json')), ...boardSettings }
  system.put('etc/everboot/agent.json', JSON.stringify({ ...config, health, rebootDelayMs: 500 }))
}

describe.skipIf(noDebian !== null)('an update of Debian by its own agent', () => {
  beforeAll(async () => {
    system = debianSystem()
    board = await openDebianBoard(system.room)
    await furnish()
    const sick = { deadlineMs: 4_000, checks: [{ name: 'app', program: [selfTest] }] }
    const build = (version: number): Promise<BuiltRelease> =>
      buildDebian(system.root, join(system.room, `v${version}.ebr`), board.keys, version)
    becomeVersion(1, '/bin/true', { checks: [] })
    const first = await build(1)
    becomeVersion(2, '/bin/true', { checks: [] })
    const second = await build(2)
    becomeVersion(3, '/bin/false', sick)
    releases = [first, second, await build(3)]
    await board.leaveFactory(first)
  })
  afterAll(async () => {
    try {
      await board?.close()
    } finally {
      system?.remove()
    }
    const left = system === undefined ? [] : await remains(system.room)
    expect(left).toEqual([])
    expect(existsSync(system?.room ?? '')).toBe(false)
  })

  let on: RunningSystem
  let identity = ''
  const device = (): Promise<DeviceDetailView> => board.desk.device(deviceId)
  const rollOut = async (version: number): Promise<void> => {
    const file = releases[version - 1]?.file ?? ''
    await board.desk.rollOut(await board.desk.publish(file), deviceId)
  }
  /** The system has to reboot, by itself, and did. */
  const reboots = async (): Promise<void> => {
    const status = await Promise.race([board.ended(), sleep(endsMs, 'late', { ref: false })])
    expect(status, JSON.stringify((await device()).reported)).toBe(rebooted)
  }
  /** Waits until its agent has come to rest. */
  const settled = async (): Promise<void> => {
    await until('the agent has settled', async () => {
      const status = await on.property(unit, 'StatusText').catch(() => '')
      return /^IDLE; .*hub connected$/.test(status) && !status.includes('not settled')
    })
  }
  const expectTheSame = async (version: number): Promise<void> => {
    expect(await on.run(who)).toBe(identity)
    expect(identity).toContain(await on.run('systemd-id128', 'machine-id'))
    expect(await on.run('cat', '/etc/hostname', '/var/lib/app/file')).toBe('my-name\nmine')
    expect(await on.run('hostname')).toBe('my-name')
    expect(await on.run('sh', '-c', 'ls -d /etc/unlisted /var/lib/unlisted 2>/dev/null || echo gone')).toBe(
      'gone',
    )
    expect(await on.run('cat', '/etc/release')).toBe(`v${version}`)
    expect(await on.run('sh', '-c', 'grep " / " /proc/mounts')).toMatch(/ squashfs ro,/)
    expect(await on.property(unit, 'ActiveState')).toBe('active')
    expect(await on.property(unit, 'NRestarts')).toBe('0')
  }

  it('begins with the factory system in slot a, which makes itself a machine id and keys', async () => {
    on = await board.powerOn()
    await until('the hub knows version 1', async () => (await device()).running?.version === '1')
    await settled()
    identity = await on.run(who)
    expect(identity).toMatch(/^[0-9a-f]{32}\n(\d+ SHA256:.*\n){2}\d+ SHA256:.*$/)
    await on.run(
      'sh',
      '-c',
      'mkdir /var/lib/app && echo mine > /var/lib/app/file && echo my-name > /etc/hostname && touch /etc/unlisted /var/lib/unlisted',
    )
    expect(board.boots).toEqual(['a'])
  })

  it('downloads a release, writes it to slot b, reboots, proves itself and commits', async () => {
    await rollOut(2)
    await reboots()
    on = await board.powerOn()
    await until('the hub hears of it', async () => (await device()).attempt?.state === 'succeeded')
    await settled()
    const { running, reported, attempt } = await device()
    expect(running?.version).toBe('2')
    expect(attempt?.code).toBeNull()
    expect(reported?.slot).toBe('b')
    expect(await board.record()).toMatch(/^a ok sv=1 tries=\d, b ok sv=2 tries=8, floor=1 priority=b /)
    expect(board.boots).toEqual(['a', 'b'])
    await expectTheSame(2)
  })

  it('is still the same device after a restart in good order', async () => {
    await on.run('systemctl', 'reboot')
    await reboots()
    on = await board.powerOn()
    await settled()
    expect(board.boots).toEqual(['a', 'b', 'b'])
    await expectTheSame(2)
  })

  it('tries a sick release once, as the same device, goes back and says why', async () => {
    await rollOut(3)
    await reboots()
    on = await board.powerOn()
    await reboots()
    on = await board.powerOn()
    await until('the hub hears of it', async () => (await device()).attempt?.state === 'failed')
    await settled()
    const { running, attempt, evidences } = await device()
    expect(running?.version).toBe('2')
    expect(attempt).toMatchObject({ code: 'EB-HEALTH', release: releases[2]?.manifest.id })
    // Said by the sick system itself, in its only boot.
    expect(evidences.at(-1)?.evidence).toMatchObject({
      check: 'app',
      output: expect.stringContaining(identity),
    })
    expect(await board.record()).toMatch(/^a not ok sv=3 tries=0, b ok sv=2 tries=8, floor=1 priority=b /)
    expect(board.boots).toEqual(['a', 'b', 'b', 'a', 'b'])
    await expectTheSame(2)
  })
})
