/**
 * The kept state over two read-only roots that take turns, with real overlays; and what a power cut leaves.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  askForReset,
  keptPaths,
  mountState,
  newerDefaults,
  readKeepList,
} from '../../../../device/state/adapters/kept-state.ts'
import type { KeepList } from '../../../../device/state/keep-list.ts'
import { codeOf, noRoot, type Workshop, workshop } from '../../adapters/real.ts'

let shop: Workshop
let list: KeepList
beforeEach(() => {
  shop = workshop()
  list = {
    v: 1,
    data: shop.path('data/kept'),
    keep: [
      { directory: '/etc', names: ['machine-id', 'hostname', 'ssh/ssh_host_*'] },
      { directory: '/var', names: ['lib/app'] },
    ],
    fresh: [],
    make: [],
  }
  for (const slot of ['a', 'b']) {
    for (const it of ['etc/ssh', 'var/lib', 'run']) mkdirSync(shop.path(`${slot}/${it}`), { recursive: true })
    put(slot, 'etc/hostname', `default-${slot}\n`)
    put(slot, 'etc/ssh/sshd_config', `config of ${slot}\n`)
    put(slot, 'etc/machine-id', '')
  }
})
afterEach(() => {
  for (const slot of ['a', 'b']) unmount(slot)
  shop.close()
})

const put = (slot: string, at: string, text: string): void => writeFileSync(shop.path(`${slot}/${at}`), text)
const read = (slot: string, at: string): string => readFileSync(shop.path(`${slot}/${at}`), 'utf8')
const boot = (slot: string) => mountState(list, shop.path(slot))
function unmount(slot: string): void {
  for (const it of ['etc', 'var/log', 'var']) {
    try {
      shop.tool('umount', shop.path(`${slot}/${it}`))
    } catch {
      // Not mounted.
    }
  }
}

describe.skipIf(noRoot !== null)(`kept state${noRoot === null ? '' : ` (${noRoot})`}`, () => {
  it('outlives a change of the slot; what is not listed does not', async () => {
    const first = await boot('a')
    expect(first).toMatchObject({ mounted: ['/etc', '/var'], made: ['/etc/machine-id'], newer: [] })
    const id = read('a', 'etc/machine-id')
    expect(id).toMatch(/^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}\n$/)
    put('a', 'etc/ssh/ssh_host_ed25519_key', 'key')
    chmodSync(shop.path('a/etc/ssh/ssh_host_ed25519_key'), 0o600)
    put('a', 'etc/ssh/sshd_config', 'changed')
    put('a', 'etc/passwd', 'changed')
    // As most programs do it: a new file, renamed over the old one.
    put('a', 'etc/hostname.new', 'mine\n')
    renameSync(shop.path('a/etc/hostname.new'), shop.path('a/etc/hostname'))
    mkdirSync(shop.path('a/var/lib/app/deep'), { recursive: true })
    put('a', 'var/lib/app/deep/file', 'app')
    put('a', 'var/lib/other', 'other')
    expect(await boot('a')).toMatchObject({ mounted: [], made: [], dropped: 0 })
    unmount('a')
    expect(read('a', 'etc/hostname'), 'the root itself').toBe('default-a\n')

    expect(await boot('b')).toMatchObject({ made: [], newer: ['/etc/hostname'], dropped: 3 })
    expect(read('b', 'etc/machine-id')).toBe(id)
    expect(read('b', 'etc/hostname')).toBe('mine\n')
    expect(read('b', 'etc/ssh/ssh_host_ed25519_key')).toBe('key')
    expect(read('b', 'etc/ssh/sshd_config')).toBe('config of b\n')
    expect(read('b', 'var/lib/app/deep/file')).toBe('app')
    expect(existsSync(shop.path('b/etc/passwd'))).toBe(false)
    expect(existsSync(shop.path('b/var/lib/other'))).toBe(false)
    expect(keptPaths(list)).toEqual([
      '/etc/hostname',
      '/etc/machine-id',
      '/etc/ssh/ssh_host_ed25519_key',
      '/var/lib/app/deep/file',
    ])
  })

  it('tells which defaults are newer than what the device keeps', async () => {
    await boot('a')
    put('a', 'etc/hostname', 'mine\n')
    unmount('a')
    expect((await boot('b')).newer).toEqual(['/etc/hostname'])
    expect(newerDefaults(list)).toEqual(['/etc/hostname'])
    unmount('b')
    expect((await boot('a')).newer).toEqual([])
  })

  it('keeps a removed file removed', async () => {
    await boot('a')
    rmSync(shop.path('a/etc/hostname'))
    rmSync(shop.path('a/etc/ssh/sshd_config'))
    unmount('a')
    await boot('b')
    expect(existsSync(shop.path('b/etc/hostname'))).toBe(false)
    expect(read('b', 'etc/ssh/sshd_config')).toBe('config of b\n')
  })

  it('takes the machine id that systemd has thought of, once', async () => {
    put('a', 'run/machine-id', `${'ab'.repeat(16)}\n`)
    await boot('a')
    unmount('a')
    put('a', 'run/machine-id', `${'cd'.repeat(16)}\n`)
    await boot('a')
    expect(read('a', 'etc/machine-id')).toBe(`${'ab'.repeat(16)}\n`)
  })

  it('makes a machine id again that a power cut has torn', async () => {
    await boot('a')
    unmount('a')
    for (const torn of ['', 'uninitialized\n', '0123']) {
      writeFileSync(shop.path('data/kept/etc/upper/machine-id'), torn)
      expect((await boot('a')).made).toEqual(['/etc/machine-id'])
      expect(read('a', 'etc/machine-id')).toMatch(/^[0-9a-f]{32}\n$/)
      unmount('a')
    }
  })

  it('makes nothing that is there, drops what was cut off, and says when a program makes nothing', async () => {
    const key = '/etc/ssh/ssh_host_test_key'
    // There is no such program in this root.
    list = { ...list, make: [{ missing: key, program: ['false'] }] }
    expect(await codeOf(() => boot('a'))).toBe('EB-STATE')
    put('a', 'etc/ssh/ssh_host_test_key', 'key')
    expect((await boot('a')).made).toEqual([])
    put('a', 'etc/ssh/ssh_host_test_key', '')
    expect(await codeOf(() => boot('a'))).toBe('EB-STATE')
    expect(existsSync(shop.path('a/etc/ssh/ssh_host_test_key'))).toBe(false)
  })

  it('forgets everything when it is asked to, also when a power cut comes in between', async () => {
    await boot('a')
    const id = read('a', 'etc/machine-id')
    put('a', 'etc/hostname', 'mine\n')
    askForReset(list)
    expect(read('a', 'etc/hostname'), 'not before the next boot').toBe('mine\n')
    unmount('a')
    // Cut off in the middle: one layer is gone, the request is still there.
    rmSync(shop.path('data/kept/var'), { recursive: true })
    expect(await boot('a')).toMatchObject({ wasReset: true, made: ['/etc/machine-id'] })
    expect(read('a', 'etc/hostname')).toBe('default-a\n')
    expect(read('a', 'etc/machine-id')).not.toBe(id)
    unmount('a')
    expect(await boot('a')).toMatchObject({ wasReset: false, made: [] })
  })

  it('is left alone when a later release has made it', async () => {
    await boot('a')
    unmount('a')
    writeFileSync(shop.path('data/kept/format'), '2\n')
    expect(await codeOf(() => boot('a'))).toBe('EB-STATE')
    expect(read('a', 'etc/hostname')).toBe('default-a\n')
  })

  it('empties what is to be fresh at each boot, and keeps it from the data partition', async () => {
    mkdirSync(shop.path('a/var/log'))
    list = { ...list, fresh: ['/var/log'] }
    await boot('a')
    put('a', 'var/log/syslog', 'x')
    expect(existsSync(shop.path('data/kept/var/upper/log'))).toBe(false)
    unmount('a')
    await boot('a')
    expect(existsSync(shop.path('a/var/log/syslog'))).toBe(false)
  })

  it('says what is wrong with its configuration', async () => {
    expect(await codeOf(() => readKeepList(shop.path('none.json')))).toBe('EB-CONFIG')
    writeFileSync(shop.path('state.json'), '{}')
    expect(await codeOf(() => readKeepList(shop.path('state.json')))).toBe('EB-CONFIG')
    expect(readKeepList('images/package/files/state.json').keep).toHaveLength(2)
  })
})
