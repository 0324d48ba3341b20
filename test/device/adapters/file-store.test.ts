/**
 * The file store on real file systems: full, read-only, and as it should be.
 */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openFileStore } from '../../../device/adapters/file-store.ts'
import { openJournal } from '../../../device/update/journal.ts'
import { codeOf, noRoot, type Workshop, workshop } from './real.ts'

let shop: Workshop
beforeEach(() => {
  shop = workshop()
})
afterEach(() => shop.close())

describe('a file store', () => {
  it('makes its directory and files for their owner only', async () => {
    const files = await openFileStore(shop.path('state/deep'))
    await files.write('journal', Buffer.from('x'))
    expect(statSync(shop.path('state/deep')).mode & 0o777).toBe(0o700)
    expect(statSync(shop.path('state/deep/journal')).mode & 0o777).toBe(0o600)
  })

  it('reads, replaces, renames, removes, lists and syncs', async () => {
    const files = await openFileStore(shop.path('state'))
    expect(await files.read('journal')).toBeNull()
    await files.write('new', Buffer.from('longer content'))
    await files.write('new', Buffer.from('short'))
    await files.syncFile('new')
    await files.rename('new', 'journal')
    await files.syncDir()
    expect(Buffer.from((await files.read('journal')) ?? []).toString()).toBe('short')
    expect(await files.list()).toEqual(['journal'])
    await files.remove('journal')
    await files.remove('journal')
    expect(await files.read('journal')).toBeNull()
  })

  it('has a code for everything that fails', async () => {
    const files = await openFileStore(shop.path('state'))
    expect(await codeOf(() => files.rename('none', 'other'))).toBe('EB-DATA-IO')
    expect(await codeOf(() => files.syncFile('none'))).toBe('EB-DATA-IO')
    writeFileSync(shop.path('plain'), '')
    expect(await codeOf(() => openFileStore(shop.path('plain/state')))).toBe('EB-DATA-IO')
    shop.tool('mkdir', shop.path('state/directory'))
    expect(await codeOf(() => files.read('directory'))).toBe('EB-DATA-IO')
    expect(await codeOf(() => files.write('directory', Buffer.from('x')))).toBe('EB-DATA-IO')
  })
})

describe.skipIf(noRoot !== null)(`a full data partition (${noRoot ?? 'root'})`, () => {
  /** Fills what is left, down to the last byte. */
  function fill(directory: string): void {
    for (const bytes of [65_536, 4096, 512, 1]) {
      try {
        for (;;) writeFileSync(join(directory, 'filler'), Buffer.alloc(bytes), { flag: 'a' })
      } catch {
        // No room for this much.
      }
    }
  }
  const mounts: Readonly<Record<string, () => string>> = {
    tmpfs: () => shop.mount('data', '-t', 'tmpfs', '-o', 'size=256k', 'none'),
    ext4: () => {
      const loop = shop.loop(shop.file('disk', 1024 * 1024))
      shop.tool('mkfs.ext4', '-q', '-m', '0', '-O', '^has_journal', loop)
      return shop.mount('data', loop)
    },
  }
  for (const [kind, mount] of Object.entries(mounts)) {
    it(`of ${kind} is EB-DATA-FULL, keeps the journal, and takes it again when there is room`, async () => {
      const directory = mount()
      const files = await openFileStore(join(directory, 'state'))
      const { journal } = await openJournal(files, 0)
      await journal.save((it) => ({ ...it, connection: 1 }))
      fill(directory)
      const large = 'x'.repeat(50_000)
      expect(await codeOf(() => journal.save((it) => ({ ...it, lived: large })))).toBe('EB-DATA-FULL')
      expect(journal.current.lived).toBeNull()
      const again = await openJournal(await openFileStore(join(directory, 'state')), 0)
      expect(again.lost).toBeNull()
      expect(again.journal.current.connection).toBe(1)
      shop.tool('rm', join(directory, 'filler'))
      await again.journal.save((it) => ({ ...it, lived: large }))
      expect(readFileSync(join(directory, 'state/journal')).includes(large)).toBe(true)
      expect(existsSync(join(directory, 'state/journal.new'))).toBe(false)
    })
  }

  it('that became read-only still tells where the device stands', async () => {
    const directory = mounts['tmpfs']?.() ?? ''
    const { journal } = await openJournal(await openFileStore(join(directory, 'state')), 0)
    await journal.save((it) => ({ ...it, connection: 5 }))
    writeFileSync(join(directory, 'state/journal.new'), 'cut')
    shop.tool('mount', '-o', 'remount,ro', directory)
    const files = await openFileStore(join(directory, 'state'))
    const again = await openJournal(files, 0)
    expect(again.journal.current.connection).toBe(5)
    expect(await codeOf(() => again.journal.save((it) => it))).toBe('EB-DATA-IO')
  })
})
