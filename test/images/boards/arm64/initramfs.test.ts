/** What goes into the initramfs: the archive, the order of modules; and where the packages come from. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { cacheDirectory, nodePackage } from '../../../../images/boards/arm64/adapters/packages.ts'
import { type CpioEntry, cpio } from '../../../../images/boards/arm64/cpio.ts'
import { loadOrder, presentModules } from '../../../../images/boards/arm64/modules.ts'
import { runTool } from '../../../../images/build/adapters/run-tool.ts'

describe('the archive', () => {
  const entries: readonly CpioEntry[] = [
    { path: 'bin', kind: 'directory' },
    { path: 'bin/tool', kind: 'file', mode: 0o755, content: Buffer.from('12345') },
    { path: 'bin/sh', kind: 'link', to: 'tool' },
    { path: 'console', kind: 'character device', major: 5, minor: 1 },
    { path: 'empty', kind: 'file', mode: 0o600, content: new Uint8Array() },
  ]

  /** Reads the form by its documentation. */
  function unpack(bytes: Uint8Array): string[] {
    const buffer = Buffer.from(bytes)
    const found: string[] = []
    for (let at = 0; ; ) {
      expect(at % 4).toBe(0)
      expect(buffer.toString('latin1', at, at + 6)).toBe('070701')
      const field = (index: number): number =>
        Number.parseInt(buffer.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16)
      const [mode, size, major, minor, nameBytes] = [field(1), field(6), field(9), field(10), field(11)]
      const name = buffer.toString('latin1', at + 110, at + 109 + nameBytes)
      const start = Math.ceil((at + 110 + nameBytes) / 4) * 4
      if (name === 'TRAILER!!!') {
        expect(start + size).toBe(buffer.length)
        return found
      }
      const content = buffer.toString('latin1', start, start + size)
      found.push(`${name} ${mode.toString(8)} ${major}:${minor} ${content}`)
      at = Math.ceil((start + size) / 4) * 4
    }
  }

  test('holds what was put in', () => {
    expect(unpack(cpio(entries))).toEqual([
      'bin 40755 0:0 ',
      'bin/tool 100755 0:0 12345',
      'bin/sh 120777 0:0 tool',
      'console 20600 5:1 ',
      'empty 100600 0:0 ',
    ])
  })

  test('has the same bytes each time', () => {
    expect(cpio(entries)).toEqual(cpio(entries))
  })
})

describe('modules', () => {
  const dependencies = [
    'kernel/a/base.ko:',
    'kernel/a/ring.ko: kernel/a/base.ko',
    'kernel/b/disk-blk.ko: kernel/a/ring.ko kernel/a/base.ko',
    'kernel/b/blk.ko: kernel/a/base.ko',
    'kernel/c/sha2-ce.ko.xz:',
    '',
  ].join('\n')
  const lists = { dependencies, builtin: 'kernel/d/host_mmc.ko\n' }

  test('are loaded after what they need, each once', () => {
    expect(loadOrder(lists, ['disk-blk', 'blk'])).toEqual([
      'kernel/a/base.ko',
      'kernel/a/ring.ko',
      'kernel/b/disk-blk.ko',
      'kernel/b/blk.ko',
    ])
  })

  test('may be packed, spelt either way, or part of the kernel', () => {
    expect(loadOrder(lists, ['sha2_ce', 'host-mmc'])).toEqual(['kernel/c/sha2-ce.ko.xz'])
    expect(presentModules(lists, ['host-mmc', 'none', 'sha2-ce', 'lk'])).toEqual(['host-mmc', 'sha2-ce'])
  })

  test('one that the kernel lacks is named', () => {
    expect(() => loadOrder(lists, ['lk'])).toThrow('no module lk')
  })
})

describe('packages', () => {
  test('Node for the board is the one that the lock file pins', () => {
    const lock = JSON.parse(readFileSync(new URL('../../../../package-lock.json', import.meta.url), 'utf8'))
    const { version, integrity } = lock.packages[`node_modules/${nodePackage.name}`]
    expect({ version, integrity }).toEqual({
      version: nodePackage.version,
      integrity: nodePackage.integrity,
    })
  })

  test('are kept where the user wants', () => {
    expect(cacheDirectory({ EVERBOOT_CACHE: '/c', XDG_CACHE_HOME: '/x' })).toBe('/c')
    expect(cacheDirectory({ XDG_CACHE_HOME: '/x' })).toBe('/x/everboot')
    expect(cacheDirectory({ XDG_CACHE_HOME: 'relative', EVERBOOT_CACHE: '' })).toMatch(/\/\.cache\/everboot$/)
  })
})

test.each([
  'qemu-arm64/files/initramfs.sh',
  'qemu-arm64/files/start.sh',
  'raspberry-pi/files/initramfs.sh',
  'raspberry-pi/files/count.sh',
  'arm64/files/seal.sh',
  'arm64/files/slot.sh',
])('%s is one that a shell takes', async (name) => {
  const path = fileURLToPath(new URL(`../../../../images/boards/${name}`, import.meta.url))
  expect(await runTool('bash', ['-n', path])).toMatchObject({ status: 0, errors: '' })
})
