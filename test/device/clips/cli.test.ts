/**
 * `everboot clips …` against a real cache behind a real socket.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { clipLimits } from '../../../core/clip-limits.ts'
import { helpText } from '../../../core/command.ts'
import { type ClipServer, serveClips } from '../../../device/clips/adapters/clip-server.ts'
import { commands } from '../../../device/clips/cli.ts'
import { type CommandOutcome, runCommand } from '../../run-command.ts'
import { commandFaults } from '../../tidy/commands.ts'
import { type Workshop, workshop } from '../adapters/real.ts'
import { type Cache, openCache, playableDouble, serviceDouble, sha, wav } from './serving.ts'

let shop: Workshop
let cache: Cache
let server: ClipServer | Server
let socket: string
beforeEach(async () => {
  shop = workshop()
  socket = shop.path('clips.sock')
  cache = await openCache(shop.path('clips'))
  server = await serveClips(cache.service, { socket }, { emit: () => {} })
})
afterEach(async () => {
  await server.close()
  await cache.close()
  shop.close()
})

function clips(...args: string[]): Promise<CommandOutcome> {
  return runCommand(commands, ['clips', ...args, '--socket', socket])
}

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { out, code } = await clips(...args, '--json')
  expect(code).toBeNull()
  expect(out.split('\n')).toHaveLength(1)
  return JSON.parse(out) as Record<string, unknown>
}

function file(name: string, bytes: Uint8Array): string {
  writeFileSync(shop.path(name), bytes)
  return shop.path(name)
}

const put = (id: string, bytes = wav(id), ...more: string[]) =>
  clips('put', file(`${id}.wav`, bytes), '--id', id, '--skill', 'weather', ...more)

describe('the commands', () => {
  it.each(commands)('everboot $name is as all commands are', (command) => {
    expect(commandFaults(command)).toEqual([])
    expect(helpText(command)).toContain('--socket PATH')
  })
})

describe('clips put and get', () => {
  it('store a file and give it back, whole', async () => {
    const bytes = wav('hello', 200_000)
    const stored = await put('hello', bytes, '--language', 'en-GB', '--pinned', '--ttl', '60')
    expect(stored.out).toBe('hello: stored (wav, 12.4 s, 195.3 KiB)')
    expect(cache.service.peek('hello')).toMatchObject({ language: 'en-GB', pinned: true, private: false })
    expect((await put('again', bytes)).out).toContain('here already')
    const out = shop.path('out.wav')
    const got = await clips('get', 'hello', '--out', out)
    expect(got.out).toMatch(/195.3 KiB of audio\/wav, from (disk|memory)$/)
    expect(readFileSync(out).equals(bytes)).toBe(true)
    expect(await json('get', 'hello', '--out', out)).toMatchObject({
      id: 'hello',
      bytes: 200_000,
      from: 'memory',
    })
  })

  it('store privately', async () => {
    expect(
      await json('put', file('a.wav', wav('a')), '--id', 'a', '--skill', 's', '--private'),
    ).toMatchObject({
      placed: 'added',
      clip: { id: 'a', private: true, sha256: null },
    })
  })

  it('fetch what a skill lists', async () => {
    await cache.publish('weather', { rain: wav('rain') })
    const got = await clips('get', 'rain', '--out', shop.path('rain.wav'))
    expect(got.code).toBeNull()
    expect(readFileSync(shop.path('rain.wav')).equals(wav('rain'))).toBe(true)
  })

  it('write to standard output as it is, but never to a terminal', async () => {
    const bytes = wav('hello', 300_000)
    await put('hello', bytes)
    const module = new URL('../../../device/clips/cli.ts', import.meta.url).href
    const program = `
      import { commands } from ${JSON.stringify(module)}
      const io = { out: console.log, err: console.error, interrupted: new AbortController().signal }
      const get = commands.find((it) => it.name === 'clips get')
      const values = { socket: process.argv[2] }
      await get.run({ positionals: ['hello'], values, given: [], json: false, io })`
    const path = file('get.mjs', Buffer.from(program))
    const run = promisify(execFile)
    const options = { encoding: 'buffer', maxBuffer: 1e6 } as const
    const piped = await run(process.execPath, [path, socket], options)
    expect(piped.stdout.equals(bytes)).toBe(true)
    const typed = await run('script', ['-qc', `${process.execPath} ${path} ${socket}`, '/dev/null'], options)
    expect(typed.stdout.toString()).toContain('EB-USAGE')
    expect(typed.stdout.toString()).not.toContain('RIFF')
  })

  it('do not write sound between JSON', async () => {
    await put('a')
    expect((await clips('get', 'a', '--json')).code).toBe('EB-USAGE')
  })

  it('leave no part of a file behind', async () => {
    await server.close()
    const playable = playableDouble(100_000, async function* () {
      yield Buffer.alloc(60_000)
      await new Promise((resolve) => setTimeout(resolve, 20))
      throw new Error('the medium is gone')
    })
    const service = serviceDouble({ get: async () => playable })
    server = await serveClips(service, { socket }, { emit: () => {} })
    mkdirSync(shop.path('dir'))
    writeFileSync(shop.path('dir/old.wav'), 'old')
    const got = await clips('get', 'a', '--out', shop.path('dir/old.wav'))
    expect([got.code, got.status]).toEqual(['EB-HUB-UNREACHABLE', 4])
    expect(got.what).toMatch(/broke off after \d+ of 100000 bytes/)
    expect(readFileSync(shop.path('dir/old.wav'), 'utf8')).toBe('old')
    expect(readdirSync(shop.path('dir'))).toEqual(['old.wav'])
  })

  it('say what is wrong', async () => {
    const codes = async (...args: string[]) => (await clips(...args)).code
    expect(await codes('get', 'none', '--out', shop.path('x'))).toBe('EB-CLIP-MISSING')
    expect(await codes('get', '../../etc/passwd', '--out', shop.path('x'))).toBe('EB-CLIP-NAME')
    expect(await codes('get', '..', '--out', shop.path('x'))).toBe('EB-CLIP-NAME')
    await put('a')
    expect(await codes('get', 'a', '--out', shop.path('none/x'))).toBe('EB-FILE')
    expect(await codes('get', 'a', '--out', shop.directory)).toBe('EB-FILE')
    expect(await codes('get', 'a', '--out', '/dev/null')).toBe('EB-FILE')
    expect(await codes('put', shop.path('none'), '--id', 'a', '--skill', 's')).toBe('EB-FILE')
    expect(await codes('put', shop.directory, '--id', 'a', '--skill', 's')).toBe('EB-FILE')
    expect(await codes('put', file('x', wav('x')), '--skill', 's')).toBe('EB-USAGE')
    expect(await codes('put', file('x', wav('x')), '--id', 'x')).toBe('EB-USAGE')
    expect(await codes('put', file('x', Buffer.from('no sound')), '--id', 'x', '--skill', 's')).toBe(
      'EB-AUDIO',
    )
    expect(await codes('put', file('x', Buffer.alloc(0)), '--id', 'x', '--skill', 's')).toBe('EB-CLIP-SIZE')
    expect(await codes('put', file('x', wav('x')), '--id', 'a', '--skill', 'other')).toBe('EB-CONFLICT')
    expect(await codes('put', file('x', wav('x')), '--id', 'x', '--skill', 's', '--ttl', '-1')).toBe(
      'EB-USAGE',
    )
  })

  it('send no byte of a file that is too long', async () => {
    shop.tool('truncate', '-s', '2G', shop.path('large.wav'))
    const began = performance.now()
    const large = await clips('put', shop.path('large.wav'), '--id', 'large', '--skill', 's')
    expect([large.code, large.status]).toEqual(['EB-CLIP-SIZE', 3])
    expect(performance.now() - began).toBeLessThan(5_000)
    expect(clipLimits.clipBytesMax).toBeLessThan(2 ** 31)
  })
})

describe('clips list, show and stats', () => {
  it('show tables of 80 columns', async () => {
    expect((await clips('list')).out).toBe('no clips')
    await put('hello', wav('hello'), '--pinned')
    await put('x'.repeat(64), wav('x', 40_000))
    const skill = 's'.repeat(64)
    await clips('put', file('y.wav', wav('y')), '--id', 'y', '--skill', skill, '--private')
    const { out } = await clips('list')
    const lines = out.split('\n')
    expect(lines[0]).toMatch(/^CLIP +SKILL +FORM +LENGTH +SIZE +USED FLAGS$/)
    expect(lines[1]).toMatch(/^hello +weather +wav +0.2 s +3.9 KiB +0 p$/)
    expect(lines[2]).toMatch(/^x{23}… weather +wav +2.4 s +39.1 KiB +0$/)
    expect(lines[3]).toMatch(/^y +s{14}… wav .* x$/)
    const stats = (await clips('stats')).out
    expect(stats).toMatch(/^size +46.9 KiB of 200.0 MiB$/m)
    expect(stats).toMatch(/^dedup ratio +1.00$/m)
    expect(stats).toMatch(/^SKILL +CLIPS +SIZE +HITS +MISSES +HIT RATE$/m)
    expect(stats).toMatch(/^weather +2 +43.0 KiB +0 +0 +-$/m)
    for (const line of [...lines, ...stats.split('\n')]) expect(line.length).toBeLessThanOrEqual(80)
    expect((await clips('list', '--skill', 'weather')).out.split('\n')).toHaveLength(3)
    expect((await json('list'))['clips']).toHaveLength(3)
    expect(await json('stats')).toMatchObject({ items: 3, contents: 3 })
  })

  it('show more clips than a page holds', async () => {
    const many = Array.from({ length: 2_500 }, (_, n) => `clip-${String(n).padStart(4, '0')}`)
    await server.close()
    const about = {
      id: 'one',
      skill: 's',
      language: null,
      private: false,
      pinned: false,
      ttlMs: null,
      claims: {},
    }
    const { clip } = await cache.service.put(about, wav('one'))
    const ids = () => many.toReversed()
    const peek = (id: string) => ({ ...clip, id })
    server = await serveClips(serviceDouble({ ids, peek }), { socket }, { emit: () => {} })
    const { out } = await clips('list')
    const lines = out.split('\n')
    expect(lines.slice(1).map((it) => it.slice(0, 9))).toEqual(many)
    expect((await json('list'))['clips']).toHaveLength(2_500)
  })

  it('show one clip', async () => {
    await put('hello', wav('hello'), '--language', 'de', '--ttl', '7200')
    await clips('get', 'hello', '--out', shop.path('x'))
    const { out } = await clips('show', 'hello')
    expect(out).toMatch(/^language +de$/m)
    expect(out).toMatch(/^sound +wav, 0.2 s, 8000 Hz, 1 channels, 128 kbit\/s$/m)
    expect(out).toMatch(new RegExp(`^content +${sha(wav('hello'))}$`, 'm'))
    expect(out).toMatch(/^used +1 times, last 0 s ago$/m)
    expect(out).toMatch(/^expires +in (119 min|2 h)$/m)
    expect(await json('show', 'hello')).toMatchObject({ id: 'hello', language: 'de' })
    expect((await clips('show', 'none')).code).toBe('EB-CLIP-MISSING')
  })
})

describe('clips remove, forget, invalidate, clear, pin, unpin, prefetch', () => {
  it('change the cache', async () => {
    for (const id of ['a', 'b', 'c', 'd']) await put(id)
    await put('twin', wav('d'))
    expect((await clips('pin', 'a')).out).toBe('a: pinned')
    expect(cache.service.peek('a')?.pinned).toBe(true)
    expect(await json('unpin', 'a')).toMatchObject({ pinned: false })
    expect((await clips('remove', 'a')).out).toBe('a: removed')
    expect((await clips('remove', 'a')).code).toBe('EB-CLIP-MISSING')
    expect(await json('forget', 'b')).toEqual({ id: 'b', gone: 1 })
    expect((await clips('invalidate', '--content', sha(wav('d')))).out).toBe('2 clips dropped')
    expect((await clips('invalidate', '--content', 'x')).code).toBe('EB-USAGE')
    expect((await clips('invalidate')).code).toBe('EB-USAGE')
    expect((await clips('invalidate', '--skill', 's', '--content', sha(wav('d')))).code).toBe('EB-USAGE')
    expect(await json('invalidate', '--skill', 'weather')).toEqual({ gone: 1 })
    await put('e')
    expect((await clips('clear')).code).toBe('EB-USAGE')
    expect([...cache.service.list()]).toHaveLength(1)
    expect((await clips('clear', '--yes')).out).toBe('1 clip dropped')
    expect([...cache.service.list()]).toEqual([])
  })

  it('fetch ahead', async () => {
    await cache.publish('weather', {})
    expect(await json('prefetch', 'weather')).toEqual({ skill: 'weather', wanted: 0 })
    expect((await clips('prefetch', 'none')).code).toBe('EB-CLIP-MISSING')
  })
})

describe('where nobody answers', () => {
  it('every command says so', async () => {
    await server.close()
    for (const args of [['list'], ['stats'], ['get', 'a', '--out', shop.path('x')], ['remove', 'a']]) {
      const { code, status, what } = await clips(...args)
      expect([code, status]).toEqual(['EB-NO-AGENT', 7])
      expect(what).toContain(socket)
    }
  })

  it('nor what answers is HTTP, nor JSON', async () => {
    await server.close()
    let text = 'nonsense\r\n\r\n'
    server = createServer((client) => {
      client.on('error', () => {})
      client.once('data', () => client.end(text))
    }).listen(socket)
    expect((await clips('stats')).code).toBe('EB-NO-AGENT')
    text = 'HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno'
    expect((await clips('stats')).code).toBe('EB-HTTP-STATUS')
    text = 'HTTP/1.1 404 No\r\nContent-Length: 35\r\n\r\n{"error":{"code":"EB-NO-SUCH-ONE"}}'
    expect((await clips('stats')).code).toBe('EB-HTTP-STATUS')
    text = 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{'
    expect((await clips('stats')).code).toBe('EB-HUB-UNREACHABLE')
  })
})
