/**
 * The local interface over a real Unix socket.
 */
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fault } from '../../../core/errors.ts'
import { wireLimits } from '../../../core/limits.ts'
import { fail, ok, type Result } from '../../../core/result.ts'
import { askAgent, type ControlSocket, serveControl } from '../../../device/adapters/control-socket.ts'
import type { Agent } from '../../../device/agent.ts'
import type { LocalRequest, LocalStatus } from '../../../device/local-request.ts'
import { codeOf, type Workshop, workshop } from './real.ts'

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
}

async function served(answer: (request: LocalRequest) => Result<LocalStatus> | null = () => ok(status)) {
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
  return { path, seen }
}

/** Sends bytes as they are. @returns all that comes back until the other side hangs up or is silent */
function raw(path: string, bytes: Uint8Array | string): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    const socket = connect(path, () => socket.write(bytes))
    const done = (): void => {
      socket.destroy()
      resolve(text)
    }
    socket.setTimeout(100, done)
    socket.on('data', (part) => {
      text += part.toString()
    })
    socket.on('close', done)
    socket.on('error', done)
  })
}

describe('the control socket', () => {
  it('makes its directory, and is for its owner only', async () => {
    const { path } = await served()
    expect(statSync(path).mode & 0o777).toBe(0o600)
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
