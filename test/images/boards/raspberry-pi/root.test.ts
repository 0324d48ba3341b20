/** Roots that cannot run on the board are told before anything is made of them. */
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { decodeSystemConfig } from '../../../../device/config.ts'
import { inspectRoot, ownSettings } from '../../../../images/boards/raspberry-pi/adapters/root.ts'
import { piAgentSettings, piChoices } from '../../../../images/boards/raspberry-pi/agent-settings.ts'
import { restartProgram } from '../../../../images/boards/raspberry-pi/restart-program.ts'
import { inspectKernel, orderKernels } from '../../../../images/boards/raspberry-pi/root.ts'

const refused = { fault: { code: 'EB-BOARD-ROOT' } }
const program = (machine: number): Uint8Array => {
  const head = new Uint8Array(64)
  head.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  head[18] = machine
  return head
}
const kernel = (more = ''): Uint8Array => {
  const file = Buffer.alloc(4096)
  file.write('ARMd', 56, 'latin1')
  file.write(more, 1000, 'latin1')
  return file
}

describe('a root', () => {
  let root = ''
  const put = async (path: string, content: Uint8Array | string): Promise<void> => {
    await mkdir(join(root, path, '..'), { recursive: true })
    await writeFile(join(root, path), content)
  }
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'everboot-pi-root-'))
    await put('usr/bin/env', program(183))
    await put('usr/lib/modules/6.12-arm64/modules.dep', '')
    await put('boot/vmlinuz-6.12-arm64', kernel())
    await mkdir(join(root, 'sbin'))
    await symlink('/usr/lib/systemd/systemd', join(root, 'sbin/init'))
  })
  afterEach(() => rm(root, { recursive: true }))

  test('for arm64 with a kernel and its modules is taken', async () => {
    expect(await inspectRoot(root)).toMatchObject({
      release: '6.12-arm64',
      tryboot: false,
      deviceTrees: null,
    })
  })

  test('is not judged by a link that leads out of it', async () => {
    await rm(join(root, 'usr/bin/env'))
    await symlink('/bin/sh', join(root, 'usr/bin/env'))
    await expect(inspectRoot(root)).rejects.toMatchObject(refused)
  })

  test.each([
    [62, /usr\/bin\/env is for amd64, not arm64/],
    [40, /is for arm \(32 bits\), not arm64/],
  ])('for processor %i is refused', async (machine, message) => {
    await put('usr/bin/env', program(machine))
    await expect(inspectRoot(root)).rejects.toMatchObject({
      ...refused,
      message: expect.stringMatching(message),
    })
  })

  test.each(['sbin/init', 'boot/vmlinuz-6.12-arm64', 'usr/lib/modules', 'usr/bin/env'])(
    'without %s is refused',
    async (path) => {
      await rm(join(root, path), { recursive: true })
      await expect(inspectRoot(root)).rejects.toMatchObject(refused)
    },
  )

  test('may bring settings for the agent, as a JSON object', async () => {
    expect(await ownSettings(root)).toBeNull()
    await put('etc/everboot/agent.json', '{"hooks":"/etc/everboot/hooks"}')
    expect(await ownSettings(root)).toEqual({ hooks: '/etc/everboot/hooks' })
    await put('etc/everboot/agent.json', '[]')
    await expect(ownSettings(root)).rejects.toMatchObject({ fault: { code: 'EB-CONFIG' } })
  })
})

describe('a kernel', () => {
  test('may be packed by gzip, and says by its text whether it can ask for a trial', () => {
    expect(inspectKernel(kernel(), 'k')).toEqual({ tryboot: false })
    expect(inspectKernel(gzipSync(kernel(' tryboot\0')), 'k')).toEqual({ tryboot: true })
  })

  test('of another form is refused', () => {
    const efi = Buffer.from(kernel())
    efi.write('zimg', 4, 'latin1')
    for (const bad of [new Uint8Array(100), efi, Buffer.from([0x1f, 0x8b, 8, 0, 0])])
      expect(() => inspectKernel(bad, 'k')).toThrow(/^EB-BOARD-ROOT: k /)
  })

  test('that starts every board comes first, then the newest', () => {
    const releases = ['6.6.9+rpt-rpi-v8', '6.12.1+rpt-rpi-2712', '6.6.51+rpt-rpi-v8', '6.12.1+rpt-rpi-v8']
    expect(orderKernels(releases)).toEqual([releases[3], releases[2], releases[0], releases[1]])
    expect(orderKernels(['6.9-arm64', '6.12-arm64'])).toEqual(['6.12-arm64', '6.9-arm64'])
  })
})

describe('the agent on the board', () => {
  const choices = { ...piChoices, product: 'lamp' }

  test('has settings that it reads, trials apart, with the seal behind the root', () => {
    const { tryboot, reboot, ...rest } = piAgentSettings(choices, { hooks: '/etc/everboot/hooks' })
    const text = JSON.stringify({ ...rest, reboot: { command: ['reboot'] } })
    const read = decodeSystemConfig(Buffer.from(text), 'agent.json')
    expect(read).toMatchObject({
      ok: true,
      value: { hooks: '/etc/everboot/hooks', hardware: ['raspberry-pi'] },
    })
    expect(Object.keys((rest['slots'] as { readonly a: object }).a)).toEqual(['rootfs', 'boot'])
    expect({ tryboot, reboot }).toEqual({
      tryboot: {
        autoboot: { device: '/dev/everboot/autoboot' },
        partitions: { a: 2, b: 3 },
        flags: '/proc/device-tree/chosen/bootloader',
      },
      reboot: { command: ['reboot'], trial: ['reboot', '0 tryboot'] },
    })
  })

  test('cannot be told other slots by the root', () => {
    expect(() => piAgentSettings(choices, { slots: {} })).toThrow(/sets slots/)
  })
})

test('the program that restarts with an argument is the one that its source makes', () => {
  const words = [...restartProgram().slice(120)].map((it) => it.toString(16).padStart(2, '0'))
  const code = words.join('').match(/.{8}/g)
  // As `as` of binutils 2.40 assembles it: sync, reboot(…, argv[1]), exit(1).
  expect(code).toEqual([
    ...['280a80d2', '010000d4', 'a0d59bd2', '20dcbff2', '212d83d2', '4102a5f2', '827a98d2', '4236b4f2'],
    ...['e30b40f9', 'c81180d2', '010000d4', '200080d2', 'a80b80d2', '010000d4'],
  ])
})
