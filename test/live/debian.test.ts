/**
 * The agent's package on a whole Debian system: installed, started by its systemd, watched over by it, removed.
 * The system is made once by debootstrap (some 80 s) and kept in the cache.
 */
import { mkdirSync, readdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { alignedMemory } from '../../core/aligned-memory.ts'
import { writeRecord, writeStamp } from '../../core/boot-partition.ts'
import { bootPartition, chooseCopy } from '../../core/boot-record.ts'
import { MiB } from '../../core/units.ts'
import { openBlockDevice } from '../../device/adapters/block-device.ts'
import { commands } from '../../images/package/cli.ts'
import { createKeyDirectory } from '../../keys/adapters/key-directory.ts'
import { runCommand } from '../run-command.ts'
import {
  bootSystem,
  type DebianSystem,
  debianArch,
  debianSystem,
  noDebian,
  type RunningSystem,
  tool,
} from './debian-system.ts'

const unit = 'everboot-agent.service'
let system: DebianSystem
let data = ''
let deb = ''

/** What an agent needs on the data partition and in /etc; slots and record are plain files. */
async function giveIdentity(): Promise<void> {
  await createKeyDirectory(join(system.room, 'keys'), [])
  mkdirSync(join(data, 'everboot'))
  for (const name of ['a', 'b', 'boot']) {
    writeFileSync(join(data, name), '')
    truncateSync(join(data, name), name === 'boot' ? bootPartition.bytesMin : MiB)
  }
  const boot = await openBlockDevice({ device: join(data, 'boot') }, 'write', alignedMemory())
  const record = {
    a: { ok: true, sv: 1, tries: 7 },
    b: { ok: false, sv: 0, tries: 0 },
    floor: 0,
    priority: 'a',
    sequence: 0,
    others: new Map(),
  } as const
  await writeRecord(boot, chooseCopy(null, null), record)
  await writeStamp(boot, { floor: 0, priority: 'a' })
  await boot.close()
  const identity = {
    v: 1,
    deviceId: 'board-1',
    mqtt: 'mqtt://127.0.0.1:9',
    http: 'http://127.0.0.1:9',
    ca: '',
    token: 'token',
    wrappingKey: 'ab'.repeat(32),
  }
  writeFileSync(join(data, 'everboot/device.json'), JSON.stringify(identity), { mode: 0o600 })
  system.put('etc/everboot/trust.json', tool('cat', join(system.room, 'keys/trust.json')))
  system.put('etc/everboot/cmdline', 'everboot.slot=a everboot.boot=boot-1\n')
  const config = JSON.parse(system.read('etc/everboot/agent.json'))
  const slots = { a: { rootfs: { device: '/data/a' } }, b: { rootfs: { device: '/data/b' } } }
  const change = { handOver: '/etc/everboot/cmdline', boot: { device: '/data/boot' }, slots }
  system.put('etc/everboot/agent.json', JSON.stringify({ ...config, ...change }))
}

/** Every path of the system but for the memory of dpkg and logs. */
function paths(): readonly string[] {
  const left = /^(\.\/)?(var\/(lib\/(dpkg|systemd)|log|cache)|run|tmp|proc|sys|dev|data|root)(\/|$)/
  return tool('find', system.root, '-xdev', '-printf', '%P\\n')
    .split('\n')
    .filter((it) => !left.test(it))
}

async function until(what: () => Promise<boolean>, limitMs = 20_000): Promise<void> {
  for (const end = Date.now() + limitMs; !(await what().catch(() => false)); ) {
    if (Date.now() > end) throw new Error('it did not come')
    await sleep(200)
  }
}

describe.skipIf(noDebian !== null)(
  `the agent on Debian${noDebian === null ? '' : ` (no ${noDebian})`}`,
  () => {
    let before: readonly string[] = []
    let running: RunningSystem | null = null
    beforeAll(async () => {
      system = debianSystem()
      data = join(system.room, 'data')
      mkdirSync(data)
      mkdirSync(join(system.root, 'data'))
      const made = await runCommand(commands, [
        'package',
        'agent',
        '--arch',
        debianArch,
        '--out',
        system.room,
        '--json',
      ])
      expect(made.status, made.err).toBe(0)
      deb = JSON.parse(made.out).path
      tool('cp', deb, join(system.root, 'root/agent.deb'))
      before = paths()
    })
    afterAll(async () => {
      await running?.stop('at once')
      system?.remove()
    })

    it('leaves nothing behind when it is purged before it ran', () => {
      system.chroot('dpkg', '-i', '/root/agent.deb')
      system.chroot('dpkg', '--purge', 'everboot-agent')
      // groupadd keeps the file before.
      expect(paths().filter((it) => !before.includes(it) && !/^etc\/(group|gshadow)-$/.test(it))).toEqual([])
    })

    it('installs, is enabled and not started, and its units are in order', () => {
      const said = system.chroot('dpkg', '-i', '/root/agent.deb')
      expect(said).not.toMatch(/warning|error/i)
      expect(system.chroot('dpkg', '--verify', 'everboot-agent')).toBe('')
      expect(system.chroot('systemctl', 'is-enabled', unit)).toBe('enabled')
      system.put(
        'etc/systemd/system/everboot-hub.service',
        tool('cat', 'images/package/files/everboot-hub.service'),
      )
      system.put('usr/local/bin/everboot', '#!/bin/sh\n', 0o755)
      for (const it of [unit, 'everboot-hub.service']) {
        expect(system.chroot('systemd-analyze', 'verify', '--man=no', it), it).toBe('')
      }
      expect(system.chroot('everboot-agent', 'run', '--help')).toContain('Run the agent')
    })

    it('leaves little of the system to agent and hub', () => {
      const exposure = (name: string): number => {
        const said = system.chroot('systemd-analyze', 'security', '--offline=yes', '--no-pager', name)
        return Number(/Overall exposure level for \S+: ([\d.]+)/.exec(said)?.[1])
      }
      const levels = { agent: exposure(unit), hub: exposure('everboot-hub.service') }
      process.stdout.write(
        `systemd-analyze security: agent ${levels.agent}, hub ${levels.hub} (unconfined: 9.6)\n`,
      )
      expect(levels.agent).toBeLessThan(4)
      expect(levels.hub).toBeLessThan(2)
      for (const it of ['usr/local/bin/everboot', 'etc/systemd/system/everboot-hub.service']) {
        tool('rm', join(system.root, it))
      }
    })

    it('does nothing without an identity, and with one it runs, is ready and says how it is', async () => {
      running = await bootSystem(system.root, [`--bind=${data}:/data`])
      expect(await running.property(unit, 'ActiveState')).toBe('inactive')
      expect(await running.property(unit, 'Result')).toBe('exec-condition')
      await giveIdentity()
      await running.run('systemctl', 'start', unit)
      expect(await running.property(unit, 'ActiveState')).toBe('active')
      expect(await running.property(unit, 'StatusText')).toMatch(
        /^IDLE; an unsealed system in slot a.*hub not connected/,
      )
      expect(await running.run('everboot-agent', 'status')).toContain('slot a  running')
      expect(await running.run('stat', '-c', '%a %G', '/run/everboot/agent.sock')).toBe('660 everboot')
      await running.run('everboot-agent', 'inhibit', '--who', 'player', '--why', 'a film')
      expect(await running.run('ls', '/run/everboot/inhibit')).toBe('player')
      await running.run('everboot-agent', 'release', 'player')
      expect(readdirSync(join(data, 'everboot/state'))).toContain('journal')
    })

    it('is started anew when its loop hangs, and only then', async () => {
      if (running === null) throw new Error('it does not run')
      const { run, property } = running
      await run('mkdir', '-p', `/run/systemd/system/${unit}.d`)
      await run(
        'sh',
        '-c',
        `printf '[Service]\\nWatchdogSec=2\\nRestartSec=1\\n' > /run/systemd/system/${unit}.d/fast.conf`,
      )
      await run('systemctl', 'daemon-reload')
      await run('systemctl', 'restart', unit)
      const pid = await property(unit, 'MainPID')
      await sleep(5_000)
      expect(await property(unit, 'MainPID')).toBe(pid)
      await run('kill', '-STOP', pid)
      await until(
        async () =>
          (await property(unit, 'MainPID')) !== pid && (await property(unit, 'SubState')) === 'running',
      )
      expect(Number(await property(unit, 'NRestarts'))).toBe(1)
    })

    it('is stopped and gone when it is purged; the data partition stays as it is', async () => {
      if (running === null) throw new Error('it does not run')
      await running.run('dpkg', '--purge', 'everboot-agent')
      expect(await running.run('sh', '-c', "pgrep -f '[a]gent.mjs' || echo none")).toBe('none')
      await running.stop()
      running = null
      const left = paths().filter((it) => /everboot/.test(it))
      expect([...left].sort()).toEqual(['etc/everboot', 'etc/everboot/cmdline', 'etc/everboot/trust.json'])
      expect(readdirSync(join(data, 'everboot'))).toEqual(['device.json', 'state'])
    })
  },
)
