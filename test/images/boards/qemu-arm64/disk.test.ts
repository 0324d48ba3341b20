/** Disk and flash of the QEMU board as files, looked at with the tools of others; and the boot script's own rules. */
import { execFile } from 'node:child_process'
import { mkdtemp, open, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decodeEnvironment } from '../../../../core/environment-block.ts'
import { MiB } from '../../../../core/units.ts'
import { copyInto } from '../../../../images/boards/arm64/adapters/disk-file.ts'
import { openWindow } from '../../../../images/boards/arm64/adapters/disk-window.ts'
import {
  makeDisk,
  makeEnvironmentFlash,
  putScript,
} from '../../../../images/boards/qemu-arm64/adapters/disk.ts'
import { type BootScriptPlan, bootScript } from '../../../../images/boards/qemu-arm64/boot-script.ts'
import {
  flashBytes,
  flashEnvironmentBytes,
  layOutDisk,
  partitionNames,
  partitionNumbers,
} from '../../../../images/boards/qemu-arm64/layout.ts'
import { ensureHostTools } from '../../../../images/build/adapters/host-tools.ts'

const run = promisify(execFile)
const plan: BootScriptPlan = {
  partitions: partitionNumbers,
  files: { kernel: 'boot/Image', initramfs: 'boot/initrd.img' },
  commandLine: 'console=ttyAMA0',
  act: 'boot',
}

const signedPlan: BootScriptPlan = { ...plan, files: { fit: 'boot/kernel.itb' } }

describe.each([
  ['plain', plan],
  ['signed', signedPlan],
])('the %s boot script', (kind, it) => {
  const lines = bootScript(it).split('\n')

  test('keeps to the sixteen words that a command may have', () => {
    for (const line of lines) {
      if (line.startsWith('for ')) continue
      for (const command of line.split(/;|&&|\|\|/)) {
        expect(command.trim().split(/\s+/).length, line).toBeLessThanOrEqual(16)
      }
    }
  })

  test('closes what it opens', () => {
    const words = lines.flatMap((line) => line.replace(/"[^"]*"/g, '').split(/[\s;]+/))
    const count = (word: string): number => words.filter((it) => it === word).length
    expect(count('fi')).toBe(count('if'))
    expect(count('done')).toBe(count('for'))
  })

  test('loads kernel and initramfs of the slot that it names to the kernel', () => {
    for (const slot of ['a', 'b'] as const) {
      const load = lines.findIndex((it) => it.includes(`ext4load virtio 0:${partitionNumbers[slot]} `))
      expect(lines.slice(load, load + 5).join('\n')).toContain(`everboot.slot=${slot} `)
    }
  })

  test('starts a kernel in one way only, with an environment that nothing of the record is left in', () => {
    const starts = lines.filter((line) => /^boot/.test(line))
    expect(starts.map((line) => line.split(' ')[0])).toEqual(
      kind === 'signed' ? ['bootm', 'bootm'] : ['booti', 'booti'],
    )
    for (const [index, line] of lines.entries()) {
      if (!starts.includes(line)) continue
      const [cleared, bootargs, told] = lines.slice(index - 3, index)
      expect(cleared).toMatch(/&& env import -d -t 50600000$/)
      expect([bootargs, told]).toEqual([
        expect.stringMatching(/^setenv bootargs /),
        expect.stringMatching(/^echo /),
      ])
    }
  })
})

const missing = await ensureHostTools(['sgdisk', 'mkfs.vfat', 'mcopy', 'mkimage'], {
  install: process.getuid?.() === 0,
}).then(
  () => null,
  (caught: Error) => caught.message,
)
if (missing !== null) console.info(`skipped: the disk of the QEMU board: ${missing}`)

describe.skipIf(missing !== null)('the disk', () => {
  const layout = layOutDisk(4 * MiB, 4 * MiB)
  let room = ''
  let disk = ''
  beforeAll(async () => {
    room = await mkdtemp(join(tmpdir(), 'everboot-disk-'))
    disk = join(room, 'disk.img')
    await makeDisk(disk, layout)
  })
  afterAll(() => rm(room, { recursive: true, force: true }))

  test('has a partition table without a fault that names what the layout says', async () => {
    const { stdout } = await run('sgdisk', ['-v', '-p', disk])
    expect(stdout).toMatch(/No problems found/)
    for (const name of partitionNames) {
      const { number, offset, bytes } = layout.partitions[name]
      const line = new RegExp(`^ +${number} +${offset / 512} +${(offset + bytes) / 512 - 1} .* ${name}$`, 'm')
      expect(stdout).toMatch(line)
    }
    expect((await stat(disk)).size).toBe(layout.bytes)
  })

  test('holds the compiled script in its FAT, and nothing on the way', async () => {
    await putScript(disk, layout, bootScript(plan), room)
    const out = join(room, 'taken')
    await run('mcopy', ['-i', `${disk}@@${layout.partitions.loader.offset}`, '::boot.scr.uimg', out])
    const image = await readFile(out)
    expect(image.readUInt32BE(0)).toBe(0x27051956)
    expect(image.toString('latin1')).toContain(bootScript(plan))
    await expect(stat(join(room, 'boot.cmd'))).rejects.toThrow()
  })

  test('lets nothing out of a window', async () => {
    const window = await openWindow(disk, layout.partitions.record)
    await expect(window.write(window.sizeBytes - 512, new Uint8Array(1024))).rejects.toThrow(/outside/)
    await expect(window.read(-512, new Uint8Array(512))).rejects.toThrow(/outside/)
    await window.close()
  })

  test('takes a file whole and leaves holes where it is zero', async () => {
    const source = join(room, 'source')
    const file = await open(source, 'w')
    await file.write(Buffer.from('start'), 0, 5, 0)
    await file.write(Buffer.from('end'), 0, 3, 2 * MiB + 7)
    await file.close()
    await copyInto(disk, layout.partitions.data.offset, source)
    const window = await openWindow(disk, layout.partitions.data)
    const back = new Uint8Array(2 * MiB + 10)
    await window.read(0, back)
    await window.close()
    expect(Buffer.from(back).equals(await readFile(source))).toBe(true)
  })

  test("has a flash whose start is U-Boot's environment, with words for the kernel", async () => {
    const flash = join(room, 'flash1.img')
    await makeEnvironmentFlash(flash, 'quiet x=1')
    const bytes = await readFile(flash)
    expect(bytes.length).toBe(flashBytes)
    const variables = decodeEnvironment(bytes.subarray(0, flashEnvironmentBytes))
    expect(variables?.get('everboot_args')).toBe('quiet x=1')
    expect(variables?.get('bootcmd')).toMatch(/^pci enum; virtio scan; run eb_script; .* reset$/)
    expect(variables?.get('eb_script')).toMatch(/^load virtio 0:1 .* && source /)
    await expect(makeEnvironmentFlash(flash, 'a\u0007b')).rejects.toThrow(/cannot hold/)
    await expect(makeEnvironmentFlash(flash, '1 2 3 4 5 6 7 8 9')).rejects.toThrow(/9 more words/)
  })
})
