/**
 * The files of a clip cache on real file systems.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { servingLimits } from '../../../../core/clip-limits.ts'
import { type OpenClipFiles, openClipFiles } from '../../../../device/clips/adapters/clip-files.ts'
import { codeOf, noRoot, type Workshop, workshop } from '../../adapters/real.ts'

let shop: Workshop
let files: OpenClipFiles
beforeEach(async () => {
  shop = workshop()
  files = await openClipFiles(shop.path('clips'))
})
afterEach(async () => {
  await files.close()
  shop.close()
})

async function text(name: string, offset: number, bytes: number): Promise<string | null> {
  const into = Buffer.alloc(bytes)
  const read = await files.readAt(name, offset, into)
  return read === null ? null : into.subarray(0, read).toString()
}

/** Files of the cache that this process has open. */
function openOnes(): readonly string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const to = readlinkSync(`/proc/self/fd/${fd}`)
      return to.startsWith(shop.path('clips/')) ? [to.slice(shop.path('clips/').length)] : []
    } catch {
      return []
    }
  })
}

describe('the files of a clip cache', () => {
  it('grow at their end and are read in parts', async () => {
    await files.append('c1', Buffer.from('one '))
    await files.append('c1', Buffer.from('two'))
    expect(readFileSync(shop.path('clips/c1'), 'utf8')).toBe('one two')
    expect(statSync(shop.path('clips/c1')).mode & 0o777).toBe(0o600)
    expect(await text('c1', 2, 3)).toBe('e t')
    expect(await text('c1', 4, 100)).toBe('two')
    expect(await text('c1', 100, 1)).toBe('')
    expect(await text('c2', 0, 1)).toBeNull()
    await files.append('c1', Buffer.from(' three'))
    expect(await text('c1', 7, 100)).toBe(' three')
  })

  it('are read whole, however large they are', async () => {
    const bytes = randomBytes(9_000_001)
    await files.append('c1', bytes)
    const into = Buffer.alloc(bytes.length)
    expect(await files.readAt('c1', 0, into)).toBe(bytes.length)
    expect(into.equals(bytes)).toBe(true)
  })

  it('are those of their names at every moment, though some stay open', async () => {
    await files.write('a', Buffer.from('first'))
    expect(await text('a', 0, 9)).toBe('first')
    await files.write('b', Buffer.from('second'))
    expect(await text('b', 0, 9)).toBe('second')
    await files.rename('b', 'a')
    expect(await text('a', 0, 9)).toBe('second')
    expect(await text('b', 0, 9)).toBeNull()
    await files.write('b', Buffer.from('third'))
    expect(await text('b', 0, 9)).toBe('third')
    await files.remove('a')
    expect(await text('a', 0, 9)).toBeNull()
    await files.append('a', Buffer.from('fourth'))
    expect(await text('a', 0, 9)).toBe('fourth')
    await files.write('a', Buffer.from('5th'))
    expect(await text('a', 0, 9)).toBe('5th')
  })

  it('are never those of an earlier name, however reading and replacing meet', async () => {
    for (let round = 0; round < 60; round += 1) {
      await files.write('next', Buffer.from(`round ${round}`))
      const early = [text('a', 0, 20), text('a', 0, 20)]
      const renamed = files.rename('next', 'a')
      const meanwhile = [text('a', 0, 20), text('a', 0, 20)]
      await renamed
      expect(await text('a', 0, 20)).toBe(`round ${round}`)
      await Promise.all([...early, ...meanwhile])
      expect(await text('a', 0, 20)).toBe(`round ${round}`)
    }
  })

  it('stay open in a bounded number, and not at all once they are removed', async () => {
    const names = Array.from({ length: servingLimits.filesOpenMax + 20 }, (_, n) => `c${n}`)
    for (const name of names) await files.append(name, Buffer.from(name))
    for (const name of names) expect(await text(name, 0, 9)).toBe(name)
    expect(openOnes().length).toBe(servingLimits.filesOpenMax)
    expect(await Promise.all(names.map((name) => text(name, 0, 9)))).toEqual(names)
    expect(openOnes().length).toBeLessThanOrEqual(servingLimits.filesOpenMax)
    for (const name of names) await files.remove(name)
    expect(openOnes()).toEqual([])
  })

  it('that are removed while they are read are read to the end and closed then', async () => {
    const bytes = randomBytes(4_000_000)
    await files.append('c1', bytes)
    const into = Buffer.alloc(bytes.length)
    const reading = files.readAt('c1', 0, into)
    await files.remove('c1')
    const read = await reading
    if (read !== null) expect(into.equals(bytes)).toBe(true)
    expect(openOnes()).toEqual([])
    expect(await text('c1', 0, 1)).toBeNull()
  })

  it('are closed and refuse everything after `close`', async () => {
    await files.append('c1', Buffer.from('x'))
    await text('c1', 0, 1)
    expect(openOnes()).toEqual(['c1'])
    const last = files.append('c1', Buffer.from('y'))
    await files.close()
    await last
    expect(openOnes()).toEqual([])
    expect(await codeOf(() => files.append('c1', Buffer.from('z')))).toBe('EB-DATA-IO')
    expect(await codeOf(() => files.readAt('c1', 0, Buffer.alloc(1)))).toBe('EB-DATA-IO')
    expect(await codeOf(() => files.remove('c1'))).toBe('EB-DATA-IO')
    expect(readFileSync(shop.path('clips/c1'), 'utf8')).toBe('xy')
  })

  it('have a code for what fails', async () => {
    shop.tool('mkdir', shop.path('clips/directory'))
    expect(await codeOf(() => files.append('directory', Buffer.from('x')))).toBe('EB-DATA-IO')
    expect(await codeOf(() => files.readAt('directory', 0, Buffer.alloc(1)))).toBe('EB-DATA-IO')
  })
})

describe('two programs', () => {
  it('never use one cache: the second is refused, until the first has closed it', async () => {
    expect(await codeOf(() => openClipFiles(shop.path('clips')))).toBe('EB-CLIP-LOCKED')
    await files.close()
    files = await openClipFiles(shop.path('clips'))
  })

  it('never use one cache: nor in another process, until that ends, however', async () => {
    const module = new URL('../../../../device/clips/adapters/clip-files.ts', import.meta.url)
    const program = `
      const { openClipFiles } = await import(${JSON.stringify(module.href)})
      await openClipFiles(${JSON.stringify(shop.path('other'))})
      console.log('open')
      setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    expect(await codeOf(() => openClipFiles(shop.path('other')))).toBe('EB-CLIP-LOCKED')
    child.kill('SIGKILL')
    await once(child, 'exit')
    const again = await openClipFiles(shop.path('other'))
    await again.close()
  })
})

describe.skipIf(noRoot !== null)(`a full medium (${noRoot ?? 'root'})`, () => {
  it('is told, as a code and as bytes that are free', async () => {
    const directory = shop.mount('data', '-t', 'tmpfs', '-o', 'size=256k', 'none')
    const small = await openClipFiles(join(directory, 'clips'))
    const before = await small.freeBytes()
    expect(before).toBeGreaterThan(200 * 1024)
    expect(before).toBeLessThanOrEqual(256 * 1024)
    await small.append('c1', Buffer.alloc(100 * 1024))
    expect(await small.freeBytes()).toBe(before - 100 * 1024)
    expect(await codeOf(() => small.append('c1', Buffer.alloc(300 * 1024)))).toBe('EB-DATA-FULL')
    writeFileSync(join(directory, 'filler'), Buffer.alloc(await small.freeBytes()))
    expect(await small.freeBytes()).toBe(0)
    expect(await codeOf(() => small.append('c2', Buffer.from('x')))).toBe('EB-DATA-FULL')
    await small.remove('c1')
    await small.append('c2', Buffer.from('x'))
    await small.close()
  })

  it('gets the room of a removed file back at once, though it was read lately', async () => {
    const directory = shop.mount('data', '-t', 'tmpfs', '-o', 'size=256k', 'none')
    const small = await openClipFiles(join(directory, 'clips'))
    await small.append('c1', Buffer.alloc(200 * 1024))
    await small.readAt('c1', 0, Buffer.alloc(10))
    await small.remove('c1')
    await small.append('c2', Buffer.alloc(200 * 1024))
    await small.close()
  })
})
