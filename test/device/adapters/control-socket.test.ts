/**
 * The local interface over a real Unix socket.
 */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fault } from '../../../core/errors.ts'
import { wireLimits } from '../../../core/limits.ts'
import { fail, ok, type Result } from '../../../core/result.ts'
import { inhibitLimits } from '../../../core/service-limits.ts'
import {
  askAgent,
  type ControlSocket,
  serveControl,
  watchAgent,
} from '../../../device/adapters/control-socket.ts'
import { groupNumber } from '../../../device/adapters/socket-file.ts'
import type { Agent } from '../../../device/agent.ts'
import type { LocalRequest, LocalStatus } from '../../../device/local-request.ts'
import { codeOf, noRoot, type Workshop, workshop } from './real.ts'

let shop: Workshop
let control: ControlSocket | null = null
beforeEach(() => {
  shop = workshop()
})
afterEach(() => {
  control?.close()
  control = null
  shop.close()
})

const status: LocalStatus = {
  status: {
    v: 1,
    bootId: 'boot-1',
    seq: 1,
    state: 'IDLE',
    slot: 'a',
    floor: 0,
    slots: {
      a: { release: 'r', version: '1', ok: true, tries: 8 },
      b: { release: null, version: null, ok: false, tries: 0 },
    },
    hardware: ['sim'],
    attempt: null,
    progress: null,
    finished: null,
  },
  hubConnected: true,
  settled: true,
  lastReport: null,
  version: '1',
}

async function served(
  answer: (request: LocalRequest) => Result<LocalStatus> | Promise<Result<LocalStatus>> | null = () =>
    ok(status),
) {
  const seen: LocalRequest[] = []
  const agent: Agent = {
    run: async () => {},
    stop: () => {},
    request(request) {
      seen.push(request)
      const it = answer(request)
      return it === null ? new Promise(() => {}) : Promise.resolve(it)
    },
  }
  const path = shop.path('run/agent.sock')
  control = await serveControl(path, agent)
  return { path, seen, agent }
}

/** Sends bytes as they are. @returns all that comes back until the other side hangs up or is silent */
function raw(path: string, bytes: Uint8Array | string): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    // One who says no more: all answers have come when the agent hangs up.
    const socket = connect(path, () => socket.end(bytes))
    const done = (): void => {
      socket.destroy()
      resolve(text)
    }
    socket.on('data', (part) => {
      text += part.toString()
    })
    socket.on('close', done)
    socket.on('error', done)
  })
}

/** A connection that says nothing. */
function held(path: string): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(path, () => resolve(socket))
  })
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await what()); tries += 1) {
    expect(tries).toBeLessThan(200)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

describe('the control socket', () => {
  it('makes its directory, and is for its owner only where there is no group for it', async () => {
    const { path } = await served()
    expect(statSync(path).mode & 0o777).toBe(groupNumber('everboot') === null ? 0o600 : 0o660)
  })

  it.skipIf(noRoot !== null)('is for a group too, which the system has', async () => {
    const { agent } = await served()
    control?.close()
    const path = shop.path('run/for-group.sock')
    control = await serveControl(path, agent, 65_534)
    const { mode, gid } = statSync(path)
    expect({ mode: mode & 0o777, gid }).toEqual({ mode: 0o660, gid: 65_534 })
    writeFileSync(shop.path('group'), 'root:x:0:\neverboot:x:998:pi\neverbootx:x:7:\nbroken:x\n')
    expect(groupNumber('everboot', shop.path('group'))).toBe(998)
    for (const name of ['ever', 'none', 'broken']) expect(groupNumber(name, shop.path('group'))).toBeNull()
    expect(groupNumber('everboot', shop.path('none'))).toBeNull()
  })

  it('hands on what programs say about when to update', async () => {
    const { path, seen } = await served()
    const said: LocalRequest[] = [
      { op: 'install', file: '/usb/x.ebr', later: true },
      { op: 'refresh' },
      { op: 'activate' },
      { op: 'inhibit', who: 'player', why: 'a film', forMs: 1000, step: 'start' },
      { op: 'inhibit', who: 'player', why: 'a film' },
      { op: 'release', who: 'player' },
    ]
    for (const it of said) await askAgent(path, it)
    expect(seen).toEqual(said)
  })

  it('answers also to one who says no more after asking', async () => {
    const slow = new Promise<Result<LocalStatus>>((resolve) => setTimeout(() => resolve(ok(status)), 100))
    const { path } = await served(() => slow)
    for (const line of ['{"op":"status"}', '{"op":"none"}']) {
      const pipe = `echo '${line}' | socat -t 0.5 - UNIX-CONNECT:${path}`
      const { stdout } = await promisify(execFile)('sh', ['-c', pipe], { encoding: 'utf8' })
      expect(JSON.parse(stdout), line).toMatchObject({ ok: line !== '{"op":"none"}' })
    }
  })

  it('tells those who watch of each change, and of nothing else', async () => {
    let state: 'IDLE' | 'DOWNLOADING' = 'IDLE'
    const { path, seen } = await served(() => ok({ ...status, status: { ...status.status, state } }))
    const heard: string[] = []
    const end = new AbortController()
    const watching = [1, 2].map(() => watchAgent(path, (it) => heard.push(it.status.state), end.signal))
    await until(() => heard.length === 2)
    state = 'DOWNLOADING'
    await until(() => heard.length === 4)
    await new Promise((resolve) => setTimeout(resolve, 2 * inhibitLimits.watchMs))
    expect(heard).toEqual(['IDLE', 'IDLE', 'DOWNLOADING', 'DOWNLOADING'])
    end.abort()
    await Promise.all(watching)
    await new Promise((resolve) => setTimeout(resolve, 2 * inhibitLimits.watchMs))
    const asked = seen.length
    await new Promise((resolve) => setTimeout(resolve, 2 * inhibitLimits.watchMs))
    expect(seen.length, 'nobody watches any more').toBe(asked)
  })

  it('has room for so many clients, watchers and requests', async () => {
    const { path } = await served(() => null)
    const sockets = await Promise.all(Array.from({ length: inhibitLimits.clientsMax }, () => held(path)))
    expect(JSON.parse(await raw(path, '{"op":"status"}\n'))).toMatchObject({
      ok: false,
      error: { code: 'EB-LIMIT' },
    })
    for (const it of sockets) it.destroy()
    await until(async () => (await raw(path, '{"op":"none"}\n')).includes('EB-MESSAGE'))
    const pushing = await held(path)
    const hungUp = once(pushing, 'close')
    pushing.write('{"op":"status"}\n'.repeat(inhibitLimits.requestsMax + 1))
    await hungUp
    const end = new AbortController()
    const watching = Array.from({ length: inhibitLimits.watchersMax }, () =>
      watchAgent(path, () => {}, end.signal),
    )
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(await codeOf(() => watchAgent(path, () => {}, end.signal))).toBe('EB-LIMIT')
    end.abort()
    await Promise.all(watching)
  })

  it('hands requests to the agent and its answers back', async () => {
    const { path, seen } = await served()
    expect(await askAgent(path, { op: 'status' })).toEqual(status)
    await askAgent(path, { op: 'install', file: '/usb/x.ebr' })
    await askAgent(path, { op: 'rollback' })
    expect(seen).toEqual([{ op: 'status' }, { op: 'install', file: '/usb/x.ebr' }, { op: 'rollback' }])
  })

  it('throws what the agent refuses with its code', async () => {
    const { path } = await served(() => fail(fault('EB-BUSY', 'the device is DOWNLOADING')))
    expect(await codeOf(() => askAgent(path, { op: 'rollback' }))).toBe('EB-BUSY')
  })

  it('answers to several requests on one connection, in pieces or in one', async () => {
    const { path } = await served()
    const answers = await raw(path, '{"op":"status"}\n{"op":"status"}\n{"op":')
    expect(answers.trim().split('\n')).toHaveLength(2)
  })

  it('refuses what it does not understand, and lives on', async () => {
    const { path, seen } = await served()
    for (const line of [
      'hello',
      '',
      'null',
      '{}',
      '[]',
      '{"op":"commit"}',
      '{"op":"exec","file":"/bin/sh"}',
      '{"op":"status","more":1}',
      '{"op":"install"}',
      '{"op":"install","file":7}',
      '{"op":"inhibit","who":"../x","why":""}',
      '{"op":"inhibit","who":"x"}',
      '{"op":"inhibit","who":"x","why":"","forMs":0}',
      '{"op":"inhibit","who":"x","why":"","step":"never"}',
      '{"op":"release"}',
      `{"op":"install","file":"${'x'.repeat(5000)}"}`,
      '['.repeat(100_000),
    ]) {
      const answer = JSON.parse(await raw(path, `${line}\n`))
      expect(answer, line.slice(0, 40)).toMatchObject({ ok: false, error: { code: 'EB-MESSAGE' } })
    }
    expect(seen).toEqual([])
    expect(await askAgent(path, { op: 'status' })).toEqual(status)
  })

  it('hangs up on a line without end', async () => {
    const { path } = await served()
    expect(await raw(path, Buffer.alloc(wireLimits.messageBytesMax + 100_000, 'x'))).toBe('')
    expect(await askAgent(path, { op: 'status' })).toEqual(status)
  })

  it('takes the place of a socket that nobody serves any more', async () => {
    mkdirSync(shop.path('run'))
    writeFileSync(shop.path('run/agent.sock'), 'left over')
    const { path } = await served()
    expect(await askAgent(path, { op: 'status' })).toEqual(status)
  })

  it('that cannot be made is a wrong configuration', async () => {
    const agent: Agent = { run: async () => {}, stop: () => {}, request: async () => ok(status) }
    writeFileSync(shop.path('plain'), '')
    mkdirSync(shop.path('directory.sock'))
    for (const path of [
      shop.path('plain/agent.sock'),
      shop.path('directory.sock'),
      shop.path('x'.repeat(200)),
    ]) {
      expect(await codeOf(() => serveControl(path, agent)), path).toBe('EB-CONFIG')
    }
  })

  it('is gone when it is closed, with all its connections', async () => {
    const { path } = await served(() => null)
    const asking = codeOf(() => askAgent(path, { op: 'status' }))
    await new Promise((resolve) => setTimeout(resolve, 50))
    const from = Date.now()
    control?.close()
    control = null
    expect(await asking).toBe('EB-NO-AGENT')
    expect(Date.now() - from).toBeLessThan(2000)
    expect(existsSync(path)).toBe(false)
    expect(await codeOf(() => askAgent(path, { op: 'status' }))).toBe('EB-NO-AGENT')
  })
})
