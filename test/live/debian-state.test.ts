/**
 * Two read-only Debian systems, A and B, that take turns over one data partition: machine id, SSH host keys and
 * listed state stay, everything else is the release's own. systemd itself is pid 1 and reads the machine id.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { commands } from '../../images/package/cli.ts'
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

let system: DebianSystem
let running: RunningSystem | null = null
const undo: (() => void)[] = []
const init = ['/usr/lib/everboot/init']

/** A loop mount that goes with the test. */
function mounted(name: string, file: string, options: string): string {
  const at = join(system.room, name)
  mkdirSync(at)
  tool('mount', '-o', options, file, at)
  undo.push(() => void tool('umount', '-l', at))
  return at
}

describe.skipIf(noDebian !== null)(
  `kept state on Debian${noDebian === null ? '' : ` (no ${noDebian})`}`,
  () => {
    let a = ''
    let b = ''
    let data = ''
    beforeAll(async () => {
      system = debianSystem()
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
      tool('cp', JSON.parse(made.out).path, join(system.root, 'root/agent.deb'))
      system.chroot('dpkg', '-i', '/root/agent.deb')
      tool('rm', join(system.root, 'root/agent.deb'))
      mkdirSync(join(system.root, 'data'))
      const { mount: _, ...list } = JSON.parse(tool('cat', 'images/package/files/state.json'))
      list.keep[1].names.push('lib/app')
      // Where the container has its data partition mounted already.
      system.put('etc/everboot/state.json', JSON.stringify(list))
      system.put('etc/machine-id', '')
      system.put('var/lib/app/.keep', '')
      for (const slot of ['a', 'b']) {
        system.put('etc/hostname', `factory-${slot}\n`)
        system.put('etc/release-of-this-slot', `${slot}\n`)
        const image = join(system.room, `${slot}.squashfs`)
        const fast = ['-noappend', '-quiet', '-no-progress', '-comp', 'lz4']
        tool('mksquashfs', system.root, image, ...fast)
      }
      a = mounted('a', join(system.room, 'a.squashfs'), 'ro,loop')
      b = mounted('b', join(system.room, 'b.squashfs'), 'ro,loop')
      const disk = join(system.room, 'data.ext4')
      tool('truncate', '-s', '64M', disk)
      tool('mkfs.ext4', '-q', disk)
      data = mounted('data', disk, 'loop')
    })
    afterAll(async () => {
      await running?.stop('at once')
      for (const it of undo.reverse()) it()
      system?.remove()
    })

    const boot = async (root: string): Promise<RunningSystem> => {
      running = await bootSystem(root, ['--read-only', `--bind=${data}:/data`, '--tmpfs=/tmp'], init)
      return running
    }
    const keys = (on: RunningSystem): Promise<string> =>
      on.run('sh', '-c', 'for k in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $k; done')
    let id = ''
    let before = ''

    it('is made in the first boot, before systemd reads it', async () => {
      const on = await boot(a)
      id = await on.run('cat', '/etc/machine-id')
      expect(id).toMatch(/^[0-9a-f]{32}$/)
      // The one that systemd and its journal have.
      expect(await on.run('systemd-id128', 'machine-id')).toBe(id)
      before = await keys(on)
      expect(before.split('\n')).toHaveLength(3)
      expect(await on.run('cat', '/etc/hostname')).toBe('factory-a')
      await on.run(
        'sh',
        '-c',
        'echo mine > /etc/hostname; echo x > /etc/unlisted; echo app > /var/lib/app/file; echo x > /var/lib/unlisted; sync',
      )
      expect(await on.property('everboot-state.service', 'Result')).toBe('success')
    })

    it('is the same after a power cut and the change to the other slot', async () => {
      await running?.stop('at once')
      const on = await boot(b)
      expect(await on.run('cat', '/etc/release-of-this-slot')).toBe('b')
      expect(await on.run('cat', '/etc/machine-id')).toBe(id)
      expect(await keys(on)).toBe(before)
      expect(await on.run('cat', '/etc/hostname', '/var/lib/app/file')).toBe('mine\napp')
      expect(await on.run('sh', '-c', 'ls -d /etc/unlisted /var/lib/unlisted 2>/dev/null || echo gone')).toBe(
        'gone',
      )
      expect(await on.run('everboot-agent', 'state', 'list')).toContain(
        '/etc/hostname  (the release has another default)',
      )
      expect(await on.run('sh', '-c', 'grep " / " /proc/mounts')).toContain('ro,')
    })

    it('is forgotten when that is asked for, and only then', async () => {
      await running?.run('everboot-agent', 'state', 'reset')
      await running?.stop()
      const on = await boot(a)
      expect(await on.run('cat', '/etc/hostname')).toBe('factory-a')
      expect(await on.run('cat', '/etc/machine-id')).not.toBe(id)
      expect(await keys(on)).not.toBe(before)
      await on.stop()
      running = null
    })
  },
)
