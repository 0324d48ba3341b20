/**
 * Block devices: real loop devices by O_DIRECT, windows of plain files, file systems without O_DIRECT.
 */
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { alignedMemory } from '../../../core/aligned-memory.ts'
import { writeRecord } from '../../../core/boot-partition.ts'
import { type BootRecord, bootPartition, chooseCopy } from '../../../core/boot-record.ts'
import { KiB, MiB } from '../../../core/units.ts'
import { openBlockDevice } from '../../../device/adapters/block-device.ts'
import { configuredDisks } from '../../../device/adapters/disks.ts'
import { openBootControl } from '../../../device/boot/boot-control.ts'
import { recordLoader } from '../../../device/boot/loader.ts'
import { codeOf, noRoot, type Workshop, workshop } from './real.ts'

let shop: Workshop
beforeEach(() => {
  shop = workshop()
})
afterEach(() => shop.close())

/** Whether this process has the path open with O_DIRECT. */
function isDirect(path: string): boolean {
  const fds = readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path
    } catch {
      return false
    }
  })
  expect(fds.length).toBeGreaterThan(0)
  return fds.every((fd) => {
    const flags = /flags:\s+(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '0'
    return (Number.parseInt(flags, 8) & 0o40000) !== 0
  })
}

describe.skipIf(noRoot !== null)(`a loop device (${noRoot ?? 'root'})`, () => {
  it('is read and written past the page cache, and knows its size', async () => {
    const loop = shop.loop(shop.file('disk', 2 * MiB))
    const device = await openBlockDevice({ device: loop }, 'exclusive', alignedMemory())
    expect(device.sizeBytes).toBe(2 * MiB)
    expect(isDirect(loop)).toBe(true)
    const buffer = device.allocate(8 * KiB)
    buffer.fill(7)
    expect(await device.write(MiB, buffer)).toBe(8 * KiB)
    await device.flush()
    const again = device.allocate(16 * KiB)
    expect(await device.read(MiB - 4 * KiB, again)).toBe(16 * KiB)
    expect([again[4095], again[4096], again[12_287], again[12_288]]).toEqual([0, 7, 7, 0])
    await device.close()
    expect(
      readFileSync(shop.path('disk'))
        .subarray(MiB, MiB + 8 * KiB)
        .every((it) => it === 7),
    ).toBe(true)
  })

  it('takes whole blocks at whole blocks only, and nothing past its end', async () => {
    const loop = shop.loop(shop.file('disk', MiB))
    const device = await openBlockDevice({ device: loop }, 'write', alignedMemory())
    const buffer = device.allocate(8 * KiB)
    expect(await codeOf(() => device.write(100, buffer))).toBe('EB-SLOT-IO')
    expect(await codeOf(() => device.write(0, buffer.subarray(0, 100)))).toBe('EB-SLOT-IO')
    expect(await codeOf(() => device.write(0, Buffer.alloc(8 * KiB + 1).subarray(1)))).toBe('EB-SLOT-IO')
    expect(await codeOf(() => device.write(MiB - 4 * KiB, buffer))).toBe('EB-SLOT-IO')
    expect(await codeOf(() => device.write(MiB, buffer))).toBe('EB-SLOT-IO')
    await device.close()
    expect(await codeOf(() => device.flush())).toBe('EB-SLOT-IO')
  })

  it('that is mounted is busy for an installer, not for a reader', async () => {
    const loop = shop.loop(shop.file('disk', 4 * MiB))
    shop.tool('mkfs.ext4', '-q', loop)
    shop.mount('mounted', '-o', 'ro,noload', loop)
    expect(await codeOf(() => openBlockDevice({ device: loop }, 'exclusive', alignedMemory()))).toBe(
      'EB-SLOT-BUSY',
    )
    const reader = await openBlockDevice({ device: loop }, 'read', alignedMemory())
    // A reader writes nothing, but may see to it that what others wrote outlives a loss of power.
    await reader.flush()
    await reader.close()
  })

  it('that an installer has open is busy for another, and free when it is closed', async () => {
    const loop = shop.loop(shop.file('disk', MiB))
    const first = await openBlockDevice({ device: loop }, 'exclusive', alignedMemory())
    expect(await codeOf(() => openBlockDevice({ device: loop }, 'exclusive', alignedMemory()))).toBe(
      'EB-SLOT-BUSY',
    )
    await first.close()
    const second = await openBlockDevice({ device: loop }, 'exclusive', alignedMemory())
    await second.close()
  })

  it('that is read-only can be read, not written', async () => {
    const loop = shop.loop(shop.file('disk', MiB), '-r')
    for (const mode of ['write', 'exclusive'] as const) {
      expect(await codeOf(() => openBlockDevice({ device: loop }, mode, alignedMemory()))).toBe(
        'EB-SLOT-READ-ONLY',
      )
    }
    const reader = await openBlockDevice({ device: loop }, 'read', alignedMemory())
    expect(await reader.read(0, reader.allocate(4 * KiB))).toBe(4 * KiB)
    await reader.close()
  })

  it('may have a window too: nothing outside is reached', async () => {
    const loop = shop.loop(shop.file('disk', 2 * MiB))
    const window = { device: loop, offset: MiB, bytes: 64 * KiB }
    const device = await openBlockDevice(window, 'exclusive', alignedMemory())
    expect(device.sizeBytes).toBe(64 * KiB)
    const buffer = device.allocate(64 * KiB)
    buffer.fill(9)
    await device.write(0, buffer)
    expect(await codeOf(() => device.write(4 * KiB, buffer))).toBe('EB-SLOT-IO')
    await device.close()
    const disk = readFileSync(shop.path('disk'))
    expect(disk.indexOf(9)).toBe(MiB)
    expect(disk.lastIndexOf(9)).toBe(MiB + 64 * KiB - 1)
  })

  it('on a file system without O_DIRECT works through the cache', async () => {
    shop.mount('tmpfs', '-t', 'tmpfs', '-o', 'size=4m', 'none')
    const path = `${shop.path('tmpfs')}/disk`
    writeFileSync(path, Buffer.alloc(MiB))
    const device = await openBlockDevice({ device: path }, 'exclusive', alignedMemory())
    const buffer = device.allocate(4 * KiB)
    buffer.fill(3)
    await device.write(0, buffer)
    await device.flush()
    await device.close()
    expect(
      readFileSync(path)
        .subarray(0, 4 * KiB)
        .every((it) => it === 3),
    ).toBe(true)
  })
})

describe('a plain file', () => {
  it('is a device, or many of them by windows', async () => {
    const path = shop.file('disk', 3 * MiB)
    const disks = configuredDisks(
      { device: path, offset: 0, bytes: MiB },
      {
        a: { rootfs: { device: path, offset: MiB, bytes: MiB } },
        b: { rootfs: { device: path, offset: 2 * MiB } },
      },
    )
    const a = await disks.openSlot('a', 'rootfs', 'exclusive')
    const b = await disks.openSlot('b', 'rootfs', 'exclusive')
    const boot = await disks.openBoot()
    expect([a.sizeBytes, b.sizeBytes, boot.sizeBytes]).toEqual([MiB, MiB, MiB])
    for (const [device, value] of [
      [boot, 1],
      [a, 2],
      [b, 3],
    ] as const) {
      const buffer = device.allocate(4 * KiB)
      buffer.fill(value)
      await device.write(0, buffer)
      await device.flush()
      await device.close()
    }
    const disk = readFileSync(path)
    expect([disk[0], disk[MiB], disk[2 * MiB]]).toEqual([1, 2, 3])
  })

  it('that is missing, has no such partition or no room for its window is EB-SLOT-MISSING', async () => {
    const path = shop.file('disk', MiB)
    const open = (it: { device: string; offset?: number; bytes?: number }): Promise<string> =>
      codeOf(() => openBlockDevice(it, 'read', alignedMemory()))
    expect(await open({ device: shop.path('none') })).toBe('EB-SLOT-MISSING')
    expect(await open({ device: '/dev/null' })).toBe('EB-SLOT-MISSING')
    expect(await open({ device: shop.directory })).not.toBe('done')
    expect(await open({ device: path, offset: MiB })).toBe('EB-SLOT-MISSING')
    expect(await open({ device: path, offset: 2 * MiB })).toBe('EB-SLOT-MISSING')
    expect(await open({ device: path, offset: 100 })).toBe('EB-SLOT-MISSING')
    expect(await open({ device: path, bytes: 2 * MiB })).toBe('EB-SLOT-MISSING')
    expect(await open({ device: path, offset: 4 * KiB, bytes: MiB })).toBe('EB-SLOT-MISSING')
    expect(await open({ device: shop.file('odd', MiB + 100) })).toBe('EB-SLOT-MISSING')
    const disks = configuredDisks({ device: path }, { a: {}, b: {} })
    for (const name of ['rootfs', 'constructor', '__proto__']) {
      expect(await codeOf(() => disks.openSlot('a', name, 'read'))).toBe('EB-SLOT-MISSING')
    }
  })
})

const record: BootRecord = {
  a: { ok: true, sv: 1, tries: 8 },
  b: { ok: false, sv: 0, tries: 0 },
  floor: 0,
  priority: 'a',
  sequence: 0,
  others: new Map(),
}

describe('aligned memory', () => {
  it('uses given back buffers again, and never hands one out twice', () => {
    const memory = alignedMemory()
    const first = memory.take(4096)
    const second = memory.take(4096)
    expect(first.buffer).not.toBe(second.buffer)
    memory.giveBack(first)
    expect(memory.take(100).buffer).toBe(first.buffer)
    const large = memory.take(3 * 65_536)
    expect(large.length).toBe(3 * 65_536)
    expect(large.buffer).not.toBe(second.buffer)
  })

  it('does not grow with the writes to the boot partition', async () => {
    const path = shop.file('boot', bootPartition.bytesMin)
    const memory = alignedMemory()
    const buffers = new Set<unknown>()
    const counting = {
      ...memory,
      take(bytes: number) {
        const buffer = memory.take(bytes)
        buffers.add(buffer.buffer)
        return buffer
      },
    }
    const disks = { openBoot: () => openBlockDevice({ device: path }, 'write', counting) }
    await writeRecord(await disks.openBoot(), chooseCopy(null, null), record)
    const control = await openBootControl(disks, recordLoader)
    for (let writes = 0; writes < 50; writes += 1) await control.writeBoth({ ...record, floor: writes })
    expect(control.record.floor).toBe(49)
    // Each of them is address space that the kernel has to give.
    expect(buffers.size).toBeLessThan(10)
  })
})
