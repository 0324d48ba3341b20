/**
 * `everboot device install` and `rollback` follow an attempt to its end, over a socket behind which a script
 * plays the agent.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fault } from '../../core/errors.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import type { UpdateState } from '../../core/wire/messages.ts'
import { type ControlSocket, serveControl } from '../../device/adapters/control-socket.ts'
import type { Agent } from '../../device/agent.ts'
import { commands } from '../../device/cli.ts'
import type { LocalRequest, LocalStatus } from '../../device/local-request.ts'
import { runCommand } from '../run-command.ts'
import { type Workshop, workshop } from './adapters/real.ts'

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

function status(state: UpdateState, change: Partial<LocalStatus> = {}, bootId = 'boot-1'): LocalStatus {
  const open = !['IDLE'].includes(state)
  return {
    status: {
      v: 1,
      bootId,
      seq: 1,
      state,
      slot: 'a',
      floor: 0,
      slots: {
        a: { release: 'demo-1', version: '1', ok: true, tries: 8 },
        b: { release: null, version: null, ok: false, tries: 0 },
      },
      hardware: ['sim'],
      attempt: open ? { seq: 0, release: 'demo-2' } : null,
      progress: null,
      finished: null,
    },
    hubConnected: true,
    settled: true,
    lastReport: null,
    version: '1',
    ...change,
  }
}

/** Serves these answers in turn, the last one for ever. */
async function playing(
  ...answers: readonly Result<LocalStatus>[]
): Promise<{ socket: string; asked: LocalRequest[] }> {
  const asked: LocalRequest[] = []
  const agent: Agent = {
    run: async () => {},
    stop: () => {},
    async request(request) {
      asked.push(request)
      return answers[Math.min(asked.length, answers.length) - 1] ?? fail(fault('EB-INTERNAL', 'no answer'))
    },
  }
  const socket = shop.path('agent.sock')
  control = await serveControl(socket, agent)
  return { socket, asked }
}

const install = (socket: string, ...more: string[]) =>
  runCommand(commands, ['device', 'install', '/usb/x.ebr', '--socket', socket, ...more])

describe('device install', () => {
  it('ends with 0 when the device restarts', async () => {
    const { socket, asked } = await playing(
      ok(status('DOWNLOADING')),
      ok(status('VERIFYING')),
      ok(status('REBOOTING')),
    )
    expect(await install(socket)).toMatchObject({ status: 0, out: expect.stringContaining('restarts') })
    expect(asked[0]).toEqual({ op: 'install', file: '/usb/x.ebr' })
  })

  it('ends with 0 when the next answer is of another boot', async () => {
    const { socket } = await playing(ok(status('DOWNLOADING')), ok(status('IDLE', {}, 'boot-2')))
    const outcome = await install(socket, '--json')
    expect(outcome).toMatchObject({ status: 0 })
    expect(JSON.parse(outcome.out)).toEqual({ outcome: 'rebooting' })
  })

  it('ends with 0 when the device runs the release already', async () => {
    const lastReport = { seq: 0, release: 'demo-1', result: 'ok' as const }
    const { socket } = await playing(ok(status('DOWNLOADING')), ok(status('IDLE', { lastReport })))
    expect((await install(socket)).status).toBe(0)
  })

  it('ends with 6 and the reason when the attempt has failed', async () => {
    const lastReport = {
      seq: 0,
      release: 'demo-2',
      result: 'failed' as const,
      code: 'EB-TOO-LARGE' as const,
      what: 'image rootfs needs 2 GiB',
    }
    const { socket } = await playing(ok(status('DOWNLOADING')), ok(status('IDLE', { lastReport })))
    const people = await install(socket)
    expect(people).toMatchObject({ status: 6, err: 'EB-TOO-LARGE: image rootfs needs 2 GiB' })
    const json = await install(socket, '--json')
    expect(JSON.parse(json.out)).toMatchObject({ lastReport: { code: 'EB-TOO-LARGE' } })
  })

  it('ends at once with what the agent refuses', async () => {
    const { socket } = await playing(fail(fault('EB-BUSY', 'the device is DOWNLOADING')))
    expect(await install(socket)).toMatchObject({ status: 3, code: 'EB-BUSY' })
  })

  it('goes on when the agent starts anew in between', async () => {
    const { socket } = await playing(ok(status('DOWNLOADING')))
    const following = install(socket)
    await new Promise((resolve) => setTimeout(resolve, 200))
    control?.close()
    await new Promise((resolve) => setTimeout(resolve, 1200))
    await playing(ok(status('DOWNLOADING')), ok(status('REBOOTING')))
    expect((await following).status).toBe(0)
  })
})

describe('device rollback', () => {
  it('asks for it and follows it in the same way', async () => {
    const { socket, asked } = await playing(ok(status('DOWNLOADING')), ok(status('REBOOTING')))
    expect((await runCommand(commands, ['device', 'rollback', '--socket', socket])).status).toBe(0)
    expect(asked[0]).toEqual({ op: 'rollback' })
  })
})
