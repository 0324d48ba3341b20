/**
 * The disk of a Raspberry Pi from a small release, looked at with the tools of others: partitions, FATs, autoboot.txt
 * in one sector, record, both images under one seal; and what cannot become a disk.
 */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseAutoboot } from '../../../../core/autoboot.ts'
import { readRecord, readStamp } from '../../../../core/boot-partition.ts'
import { MiB } from '../../../../core/units.ts'
import { tool } from '../../../../images/boards/arm64/adapters/disk-file.ts'
import { openWindow } from '../../../../images/boards/arm64/adapters/disk-window.ts'
import {
  makePiDisk,
  type PiDisk,
  type PiDiskOptions,
} from '../../../../images/boards/raspberry-pi/adapters/disk.ts'
import type { PartitionName } from '../../../../images/boards/raspberry-pi/layout.ts'
import { type BuiltRelease, buildRelease } from '../../../../images/build/adapters/build-release.ts'
import { findMcopy, putFatFile } from '../../../../images/flash/adapters/fat-file.ts'
import { findFat } from '../../../../images/flash/partition-table.ts'
import { openFileSource } from '../../../../images/release/adapters/file-bytes.ts'
import { openSeal } from '../../../../images/release/seal.ts'
import { sealOffset } from '../../../../images/release/slot-layout.ts'
import { verityBuilder } from '../../../../images/release/verity.ts'
import { createKeyDirectory, keyDirectory } from '../../../../keys/adapters/key-directory.ts'
import { verifyEd25519 } from '../../../../keys/verify-node.ts'

const run = promisify(execFile)
let room = ''
let built: BuiltRelease
let disk: PiDisk

beforeAll(async () => {
  room = await mkdtemp(join(tmpdir(), 'everboot-pi-disk-'))
  await createKeyDirectory(join(room, 'keys'), ['pi-1'])
  await mkdir(join(room, 'root'))
  await writeFile(join(room, 'root/hello'), 'hello\n'.repeat(1000))
  await writeFile(join(room, 'boot.img'), '')
  await truncate(join(room, 'boot.img'), 34 * MiB)
  await tool('mkfs.vfat', ['-F', '32', '-s', '1', join(room, 'boot.img')])
  for (const name of ['config.txt', 'bootcode.bin']) {
    await writeFile(join(room, name), `this is ${name}\n`)
    await tool('mcopy', ['-i', join(room, 'boot.img'), join(room, name), `::${name}`])
  }
  built = await release('raspberry-pi', ['boot'])
  disk = await makePiDisk(options())
})
afterAll(() => rm(room, { recursive: true, force: true }))

async function release(hardware: string, more: readonly string[]): Promise<BuiltRelease> {
  return buildRelease({
    input: join(room, 'root'),
    more: more.map((name) => ({ name, path: join(room, 'boot.img') })),
    out: join(room, `${hardware}-${more.length}.ebr`),
    keys: join(room, 'keys'),
    options: {
      ...{
        product: 'lamp',
        version: '1.0',
        securityVersion: 7,
        floorAfterCommit: null,
        hardware: [hardware],
      },
      ...{ profile: 'standard', suite: 'aes-256-gcm', pieceBytes: MiB, level: 1 },
    },
    ...{ filesystem: 'ext4', bytes: null, devices: null, seed: null, releaseDirectory: null },
    signal: new AbortController().signal,
    phase: () => {},
  })
}

function options(): PiDiskOptions {
  return {
    out: join(room, 'disk.img'),
    release: built.file,
    keys: join(room, 'keys'),
    openBy: built.contentKeys,
    identity: { v: 1, deviceId: 'pi-1' },
    bootBytes: 40 * MiB,
    dataBytes: 16 * MiB,
  }
}

const at = (name: PartitionName): string => `${disk.file}@@${disk.layout.partitions[name].offset}`

/** A partition as a file of its own, for tools that know no offsets. */
async function partition(name: PartitionName): Promise<string> {
  const { offset, bytes } = disk.layout.partitions[name]
  const out = join(room, `${name}.part`)
  await run('dd', [
    `if=${disk.file}`,
    `of=${out}`,
    'bs=1M',
    `skip=${offset / MiB}`,
    `count=${bytes / MiB}`,
    'conv=sparse',
  ])
  return out
}

describe('the disk', () => {
  test('has sound FATs on partitions 1 and 2, nothing on 3, sound ext4 in root and data', async () => {
    for (const name of ['autoboot', 'boot-a'] as const) await run('fsck.vfat', ['-n', await partition(name)])
    await expect(run('mdir', ['-b', '-i', at('boot-b'), '::'])).rejects.toThrow()
    for (const name of ['root-a', 'data'] as const) await run('e2fsck', ['-fn', await partition(name)])
    expect(await tool('debugfs', ['-R', 'cat /everboot/device.json', join(room, 'data.part')])).toContain(
      '"pi-1"',
    )
  })

  test('starts the boards before the Pi 4 from the first partition, too', async () => {
    expect((await tool('mdir', ['-b', '-i', at('autoboot'), '::'])).trim().split('\n')).toEqual([
      '::/autoboot.txt',
      '::/bootcode.bin',
    ])
    expect(await tool('mcopy', ['-i', at('autoboot'), '::bootcode.bin', '-'])).toBe('this is bootcode.bin\n')
  })

  test('has autoboot.txt in one sector, which stays where it is when a file for the first boot is added', async () => {
    const look = async (): Promise<readonly [string, string]> => {
      const { stdout } = await run('mshowfat', ['-i', at('autoboot'), '::autoboot.txt'])
      return [stdout, await tool('mcopy', ['-i', at('autoboot'), '::autoboot.txt', '-'])]
    }
    const before = await look()
    expect(before[0]).toMatch(/^::\/autoboot.txt <2>\s*$/)
    expect(parseAutoboot(Buffer.from(before[1]))).toEqual({ partition: 2, trial: 3 })
    const source = await openFileSource(disk.file)
    const fat = await findFat(source)
    await source.close()
    if (fat === null) throw new Error('no FAT partition is found')
    expect(fat.number).toBe(1)
    await putFatFile(await findMcopy(), disk.file, fat, { name: 'everboot-first-boot.json', text: '{}\n' })
    expect(await look()).toEqual(before)
  })

  test('says in record and stamp that slot a is committed', async () => {
    const window = await openWindow(disk.file, disk.layout.partitions.record)
    const { copies } = await readRecord(window)
    const stamp = await readStamp(window)
    await window.close()
    for (const it of copies)
      expect(it).toMatchObject({
        a: { ok: true, sv: 7, tries: 8 },
        b: { ok: false, sv: 0, tries: 0 },
        priority: 'a',
      })
    expect(stamp).toEqual({ floor: 0, priority: 'a' })
  })

  test('has one seal, behind root a, that holds for the images in root a and boot a', async () => {
    const { bytes } = disk.layout.partitions['root-a']
    const root = await openWindow(disk.file, disk.layout.partitions['root-a'])
    const area = new Uint8Array(64 * 1024)
    await root.read(sealOffset(bytes), area)
    const seal = openSeal(area, (await keyDirectory(join(room, 'keys')).trust()).seal, verifyEd25519)
    if (!seal.ok) throw new Error(seal.error.what)
    expect(seal.value.images.map((it) => it.name)).toEqual(['rootfs', 'boot'])
    for (const [index, name] of (['root-a', 'boot-a'] as const).entries()) {
      const image = seal.value.images[index]
      const window = await openWindow(disk.file, disk.layout.partitions[name])
      const content = new Uint8Array(image?.paddedBytes ?? 0)
      await window.read(0, content)
      await window.close()
      const verity = verityBuilder(content.length)
      verity.update(content)
      expect(verity.finish()).toBe(image?.verityRoot)
    }
    await root.close()
  })

  test('is made in the same way from a release that is opened by the key of a device', async () => {
    const again = await makePiDisk({ ...options(), out: join(room, 'again.img'), openBy: 'pi-1' })
    const [one, two] = await Promise.all([digest(disk.file, 'boot-a'), digest(again.file, 'boot-a')])
    expect(one).toBe(two)
  })

  async function digest(file: string, name: PartitionName): Promise<string> {
    const window = await openWindow(file, disk.layout.partitions[name])
    const content = new Uint8Array(34 * MiB)
    await window.read(0, content)
    await window.close()
    return Buffer.from(await crypto.subtle.digest('SHA-256', content)).toString('hex')
  }
})

describe('no disk is made, and nothing is left behind,', () => {
  const codeOf = (change: Partial<PiDiskOptions>): Promise<string> =>
    makePiDisk({ ...options(), out: join(room, 'bad.img'), ...change }).then(
      () => 'made',
      (caught) => caught.fault?.code ?? caught.message,
    )
  const left = async (): Promise<readonly string[]> =>
    (await readdir(room)).filter((it) => it.startsWith('.everboot') || it.startsWith('bad'))

  test('of a release for another board, or with other images', async () => {
    const other = await release('sim', ['boot'])
    expect(await codeOf({ release: other.file, openBy: other.contentKeys })).toBe('EB-WRONG-HARDWARE')
    const single = await release('raspberry-pi', [])
    expect(await codeOf({ release: single.file, openBy: single.contentKeys })).toBe('EB-WRONG-HARDWARE')
    expect(await left()).toEqual([])
  })

  test('when root or boot files are too large for their partitions', async () => {
    expect(await codeOf({ rootBytes: MiB })).toBe('EB-TOO-LARGE')
    expect(await codeOf({ bootBytes: 34 * MiB })).toBe('EB-TOO-LARGE')
    expect(await left()).toEqual([])
  })

  test('of a release with a damaged byte', async () => {
    const bytes = await readFile(built.file)
    const file = join(room, 'damaged.ebr')
    await writeFile(file, bytes)
    const handle = await open(file, 'r+')
    await handle.write(Buffer.from([(bytes[bytes.length - 2000] ?? 0) ^ 1]), 0, 1, bytes.length - 2000)
    await handle.close()
    expect(await codeOf({ release: file })).toMatch(/^EB-(BLOB|PIECE|INDEX)$/)
    expect(await left()).toEqual([])
  })
})
