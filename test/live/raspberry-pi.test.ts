/**
 * A Raspberry Pi from a root directory: release and disk, started as far as QEMU's raspi3b goes. The firmware's part is played (pi-rig.ts), not run.
 */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { slotLimits } from '../../core/limits.ts'
import { MiB } from '../../core/units.ts'
import { openWindow } from '../../images/boards/arm64/adapters/disk-window.ts'
import { kernelLists } from '../../images/boards/arm64/adapters/initramfs.ts'
import { boardPackages } from '../../images/boards/arm64/adapters/packages.ts'
import { presentModules } from '../../images/boards/arm64/modules.ts'
import { makePiDisk, type PiDisk } from '../../images/boards/raspberry-pi/adapters/disk.ts'
import {
  buildPiRelease,
  type PiRelease,
  type PiReleaseOptions,
} from '../../images/boards/raspberry-pi/adapters/release.ts'
import type { PartitionName } from '../../images/boards/raspberry-pi/layout.ts'
import { neededModules, usefulModules } from '../../images/boards/raspberry-pi/modules.ts'
import { sealOffset } from '../../images/release/slot-layout.ts'
import { createKeyDirectory } from '../../keys/adapters/key-directory.ts'
import { bootPi, makeFirmware, makeSmallRoot, whyNoPi } from './pi-rig.ts'

const run = promisify(execFile)
const missing = await whyNoPi()
if (missing !== null) console.info(`skipped: the Raspberry Pi: ${missing}`)
const deadlineMs = 280_000

/** Busybox has no systemd's `reboot`; and nothing here runs long enough for a trial. */
function withoutTrials({ tryboot: _, ...settings }: Record<string, unknown>): Record<string, unknown> {
  return { ...settings, reboot: { command: ['reboot', '-f'] } }
}

describe.skipIf(missing !== null)('the Raspberry Pi', () => {
  let room = ''
  let release: PiRelease
  let disk: PiDisk
  beforeAll(async () => {
    room = await mkdtemp(join(tmpdir(), 'everboot-pi-'))
    await createKeyDirectory(join(room, 'keys'), ['pi-1'])
    const packages = await boardPackages(undefined, 'any')
    const lists = await kernelLists(join(packages.root, 'lib/modules', packages.kernel))
    const modules = [...neededModules, ...presentModules(lists, usefulModules)]
    await mkdir(join(room, 'root'))
    await makeSmallRoot(join(room, 'root'), packages, modules)
    await makeFirmware(join(room, 'firmware'))
    release = await buildPiRelease({ ...options(), adjust: withoutTrials })
    const nowhere = { mqtt: 'mqtt://127.0.0.1:9', http: 'http://127.0.0.1:9', ca: '', token: 'none' }
    disk = await makePiDisk({
      out: join(room, 'disk.img'),
      release: release.built.file,
      keys: join(room, 'keys'),
      openBy: 'pi-1',
      identity: { v: 1, deviceId: 'pi-1', ...nowhere, wrappingKey: '00'.repeat(32) },
      dataBytes: 16 * MiB,
    })
  })
  afterAll(() => rm(room, { recursive: true, force: true }))

  function options(): PiReleaseOptions {
    return {
      rootfs: join(room, 'root'),
      firmware: join(room, 'firmware'),
      out: join(room, 'release.ebr'),
      keys: join(room, 'keys'),
      options: {
        ...{ product: 'lamp', version: '1.0', securityVersion: 3, floorAfterCommit: null },
        ...{ profile: 'standard', suite: 'aes-256-gcm', pieceBytes: MiB, level: 1 },
      },
    }
  }

  async function sectorOf(name: PartitionName, sector: number): Promise<string> {
    const window = await openWindow(disk.file, disk.layout.partitions[name])
    const bytes = new Uint8Array(512)
    await window.read(sector * 512, bytes)
    await window.close()
    return Buffer.from(bytes).toString('latin1').replace(/\0*$/, '')
  }

  it('has a boot partition that names neither root nor slot', async () => {
    const at = `${disk.file}@@${disk.layout.partitions['boot-a'].offset}`
    const { stdout } = await run('mdir', ['-b', '-i', at, '::'])
    const names =
      'bcm2837-rpi-3-b.dtb bootcode.bin cmdline.txt config.txt fixup.dat fixup4.dat initrd.img start.elf start4.elf vmlinuz'
    expect(stdout.trim().split('\n').sort()).toEqual(names.split(' ').map((name) => `::/${name}`))
    const { stdout: config } = await run('mcopy', ['-i', at, '::config.txt', '-'])
    expect(config).toMatch(/^kernel=vmlinuz\ninitramfs initrd.img followkernel$/m)
    const { stdout: words } = await run('mcopy', ['-i', at, '::cmdline.txt', '-'])
    expect(`${config}${words}`).not.toMatch(/root=|slot=|mmcblk|PARTUUID/)
    // Debian's kernel lacks Raspberry Pi's code for it, and the command says so.
    expect(release.kernel.tryboot).toBe(false)
  })

  it('starts slot a: seal, dm-verity, watchdog, root; the agent is healthy', async () => {
    const until = /"event":"health","verdict":"healthy"/
    const work = join(room, 'boot-1')
    const console = await bootPi({
      ...disk,
      disk: disk.file,
      partition: 2,
      tryboot: false,
      until,
      deadlineMs,
      work,
    })
    expect(console).toMatch(/^initramfs: slot a holds lamp-1\.0-\w+, security version 3, floor 0\r?$/m)
    expect(console).toMatch(/watchdog0: watchdog did not stop/)
    // The boot is counted, and the agent has yet to learn to set it back.
    expect(await sectorOf('record', 5120)).toBe('a 1\n')
    expect(console).toMatch(/"slot":"a","standing":"committed","boot":"boot-[0-9a-f]{16}"/)
    expect(console).toMatch(until)
  })

  it('refuses a slot whose seal is damaged, and asks the firmware for the other one', async () => {
    const { bytes } = disk.layout.partitions['root-a']
    // Slot b gets what slot a holds: without a good one to give way to nothing is asked for.
    const [from, to] = [disk.layout.partitions['root-a'], disk.layout.partitions['root-b']]
    const places = ['skip', 'seek'].map((it, index) => `${it}=${(index === 0 ? from : to).offset / MiB}`)
    await run('dd', [
      `if=${disk.file}`,
      `of=${disk.file}`,
      'bs=1M',
      'conv=notrunc',
      ...places,
      `count=${bytes / MiB}`,
    ])
    const window = await openWindow(disk.file, disk.layout.partitions['root-a'])
    const area = new Uint8Array(slotLimits.sealAreaBytes)
    await window.read(sealOffset(bytes), area)
    // A bit of the signature: behind head, two images and the id of the key.
    const signature = 168 + 2 * 80 + 32
    area[signature] = (area[signature] ?? 0) ^ 1
    await window.write(sealOffset(bytes), area)
    await window.close()
    const until = /reboot: Restarting system with command '3'/
    const work = join(room, 'boot-2')
    const console = await bootPi({
      ...disk,
      disk: disk.file,
      partition: 2,
      tryboot: false,
      until,
      deadlineMs,
      work,
    })
    expect(console).toMatch(/^initramfs: slot a is refused: the seal has a wrong signature\r?$/m)
    expect(console).toMatch(/^initramfs: asks the firmware for boot partition 3\r?$/m)
    expect(console).toMatch(until)
    expect(console).not.toMatch(/hands over/)
    expect(await sectorOf('record', 5120)).toBe('b 0\n')
  })

  it('is not made where there is no room', async () => {
    const small = join(room, 'small')
    await mkdir(small)
    await run('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'small', small])
    try {
      await expect(buildPiRelease({ ...options(), out: join(small, 'r.ebr') })).rejects.toMatchObject({
        fault: { code: 'EB-DISK-FULL' },
      })
      const made = makePiDisk({
        out: join(small, 'disk.img'),
        release: release.built.file,
        keys: join(room, 'keys'),
        openBy: 'pi-1',
        identity: null,
      })
      await expect(made).rejects.toMatchObject({ fault: { code: 'EB-DISK-FULL' } })
    } finally {
      await run('umount', [small])
    }
  })
})
