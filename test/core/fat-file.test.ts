/** autoboot.txt in real FAT file systems: found as mtools finds it, overwritten in its one sector, else refused. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fatImage, fatImageFileOffset } from '../../bootloader-sim/tryboot/fat-image.ts'
import { autobootBytes, printAutoboot } from '../../core/autoboot.ts'
import { EverbootError, fault } from '../../core/errors.ts'
import { autobootName, findFatFile, overwriteFatFile, readFatFile } from '../../core/fat-file.ts'
import { MiB } from '../../core/units.ts'
import { type MemoryDevice, memoryDevice } from './memory-device.ts'

const before = printAutoboot({ partition: 2, trial: 3 })
const after = printAutoboot({ partition: 3, trial: 2 })

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'everboot-fat-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

const tool = (program: string, ...args: string[]): string =>
  execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

/** A file system by mkfs.fat with autoboot.txt behind other files, one of them with a long name. */
function cardWith(bytes: number, options: readonly string[], content: Uint8Array | null = before): string {
  const path = join(directory, 'card')
  writeFileSync(path, '')
  truncateSync(path, bytes)
  tool('mkfs.fat', ...options, path)
  const put = (name: string, what: Uint8Array): void => {
    writeFileSync(join(directory, 'content'), what)
    tool('mcopy', '-o', '-i', path, join(directory, 'content'), `::${name}`)
  }
  put('a file with quite a long name.txt', Buffer.alloc(5000, 1))
  put('gone.txt', Buffer.alloc(700, 2))
  tool('mdel', '-i', path, '::gone.txt')
  if (content !== null) put(autobootName, content)
  put('last.bin', Buffer.alloc(3000, 3))
  return path
}

function deviceOf(path: string, sectorBytes: number): MemoryDevice {
  const bytes = readFileSync(path)
  return memoryDevice(Math.ceil(bytes.length / sectorBytes) * sectorBytes, sectorBytes, bytes)
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'taken',
    (caught: unknown) => {
      if (caught instanceof EverbootError) return caught.fault.code
      throw caught
    },
  )
}

describe.each([
  ['FAT12', MiB, ['-F', '12']],
  ['FAT16', 16 * MiB, ['-F', '16', '-s', '2']],
  ['FAT32', 34 * MiB, ['-F', '32', '-s', '1']],
  ['FAT16 of large sectors', 20 * MiB, ['-F', '16', '-S', '4096', '-s', '1']],
] as const)('on %s', (_, bytes, options) => {
  it.each([512, 4096])(
    'the file is overwritten in its sector, as mtools reads it (sectors of %i)',
    async (sector) => {
      const path = cardWith(bytes, options)
      const device = deviceOf(path, sector)
      const place = await findFatFile(device, autobootName)
      expect(Buffer.from(await readFatFile(device, place))).toEqual(Buffer.from(before))
      const was = device.medium.slice()
      await overwriteFatFile(device, place, after)
      const now = device.medium
      const changed: number[] = []
      for (let at = 0; at < was.length; at += 1) if (was[at] !== now[at]) changed.push(at)
      expect(changed.length).toBe(2)
      expect(changed.every((at) => at >= place.offset && at < place.offset + place.bytes)).toBe(true)
      writeFileSync(path, device.medium)
      expect(tool('mtype', '-i', path, `::${autobootName}`)).toBe(Buffer.from(after).toString())
    },
  )
})

describe('the file', () => {
  it('is found in a root directory of several clusters', async () => {
    const path = cardWith(34 * MiB, ['-F', '32', '-s', '1'], null)
    writeFileSync(join(directory, 'small'), 'x')
    for (let one = 0; one < 40; one += 1)
      tool('mcopy', '-i', path, join(directory, 'small'), `::file${one}.x`)
    writeFileSync(join(directory, 'content'), before)
    tool('mcopy', '-i', path, join(directory, 'content'), `::${autobootName}`)
    const device = deviceOf(path, 512)
    expect(await readFatFile(device, await findFatFile(device, autobootName))).toEqual(new Uint8Array(before))
  })

  it('is looked for to the end of a directory, and no further', async () => {
    const image = fatImage(autobootName, before)
    // Every entry is one that was removed.
    image.fill(0xe5, 3 * 512, 8 * 512)
    expect(await codeOf(findFatFile(memoryDevice(image.length, 512, image), autobootName))).toBe(
      'EB-AUTOBOOT',
    )
  })

  it.each([
    ['is not there', null],
    ['is too short', before.subarray(1)],
    ['is longer than what the firmware reads', Buffer.concat([before, Buffer.alloc(512)])],
    ['is empty', new Uint8Array(0)],
  ])('that %s is refused', async (_, content) => {
    const device = deviceOf(cardWith(MiB, ['-F', '12'], content), 512)
    expect(await codeOf(findFatFile(device, autobootName))).toBe('EB-AUTOBOOT')
  })

  it('is refused where there is no FAT, or a damaged one; nothing hangs on it', async () => {
    expect(await codeOf(findFatFile(memoryDevice(MiB), autobootName))).toBe('EB-AUTOBOOT')
    const image = fatImage(autobootName, before)
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(4095), fc.nat(255)), { minLength: 1, maxLength: 40 }),
        async (damage) => {
          const bytes = Uint8Array.from(image)
          for (const [at, value] of damage) bytes[at] = value
          expect(await codeOf(findFatFile(memoryDevice(bytes.length, 512, bytes), autobootName))).toMatch(
            /^(taken|EB-AUTOBOOT)$/,
          )
        },
      ),
    )
  })

  it.each([
    ['no tables', (view: DataView) => view.setUint8(16, 0)],
    [
      'tables without sectors',
      (view: DataView) => [22, 36].forEach((at) => void view.setUint16(at, 0, true)),
    ],
    ['more tables than it has room for', (view: DataView) => view.setUint16(22, 0xffff, true)],
    ['more sectors than the partition', (view: DataView) => view.setUint16(19, 0xffff, true)],
  ])('is refused in a FAT with %s', async (_, damage) => {
    const bytes = Uint8Array.from(fatImage(autobootName, before))
    damage(new DataView(bytes.buffer))
    expect(await codeOf(findFatFile(memoryDevice(bytes.length, 512, bytes), autobootName))).toBe(
      'EB-AUTOBOOT',
    )
  })

  it('that the medium does not keep is an error, and so is another length', async () => {
    const device = memoryDevice(65_536, 4096, fatImage(autobootName, before))
    const place = await findFatFile(device, autobootName)
    expect(place).toEqual({ offset: fatImageFileOffset, bytes: autobootBytes })
    expect(await codeOf(overwriteFatFile(device, place, after.subarray(1)))).toBe('EB-AUTOBOOT')
    const forgetful = { ...device, write: async (_: number, bytes: Uint8Array) => bytes.length }
    expect(await codeOf(overwriteFatFile(forgetful, place, after))).toBe('EB-AUTOBOOT')
    device.fail('write', () => {
      throw new EverbootError(fault('EB-SLOT-IO', 'EIO'))
    })
    expect(await codeOf(overwriteFatFile(device, place, after))).toBe('EB-SLOT-IO')
  })

  it('is where the emulated card has it, also for mtools', () => {
    const path = join(directory, 'image')
    writeFileSync(path, fatImage(autobootName, before))
    expect(tool('mtype', '-i', path, `::${autobootName}`)).toBe(Buffer.from(before).toString())
    expect(tool('fsck.fat', '-n', path)).toContain('1 files')
  })
})
