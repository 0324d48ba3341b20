/**
 * The board itself, for real: programs with deadlines, hooks, probes, watchdog, reboot, last words.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { trialLimits } from '../../../core/limits.ts'
import { type MachineOptions, type SystemMachine, systemMachine } from '../../../device/adapters/machine.ts'
import { codeOf, type Workshop, workshop } from './real.ts'

let shop: Workshop
beforeEach(() => {
  shop = workshop()
})
afterEach(() => shop.close())

const bare: MachineOptions = {
  handOver: { slot: 'a', bootId: 'boot-1', bootMs: 0 },
  hardware: ['sim'],
  watchdog: null,
  reboot: { command: ['true'] },
  lastConsole: null,
  bootTrace: null,
  hooks: null,
}
const machine = (change: Partial<MachineOptions> = {}): SystemMachine => systemMachine({ ...bare, ...change })
const sh = (script: string): string[] => ['/bin/sh', '-c', script]

/** Processes whose command line holds the word. */
function running(word: string): number {
  const all = execFileSync('ps', ['-eo', 'args='], { encoding: 'utf8' }).split('\n')
  return all.filter((it) => it.includes(word) && !it.includes('ps -eo')).length
}

describe('a program', () => {
  it('is told by its status and both its outputs', async () => {
    expect(await machine().run(sh('echo out; echo err >&2'), 5000)).toMatchObject({
      status: 0,
      timedOut: false,
    })
    const failing = await machine().run(sh('echo out; echo err >&2; exit 3'), 5000)
    expect(failing.status).toBe(3)
    expect(failing.output).toContain('out')
    expect(failing.output).toContain('err')
    expect(await machine().run(sh('kill -9 $$'), 5000)).toMatchObject({ status: null, timedOut: false })
  })

  it('that cannot be started has failed and says why', async () => {
    for (const argv of [['/no/such/program'], [shop.directory], [''], [], ['/bin/sh', 'nul\0byte']]) {
      const result = await machine().run(argv, 5000)
      expect(result.status, argv.join(' ')).toBeNull()
      expect(result.timedOut).toBe(false)
      expect(result.output.length).toBeGreaterThan(3)
    }
  })

  it('ends by its deadline, with all its children, even such that hold its output', async () => {
    const word = `everboot-child-${process.pid}-${Date.now()}`
    const from = Date.now()
    const script = `sleep 600 & exec -a ${word} sleep 600 & echo before; wait`
    const result = await machine().run(['/bin/bash', '-c', script], 500)
    expect(Date.now() - from).toBeLessThan(3000)
    expect(result).toMatchObject({ status: null, timedOut: true })
    expect(result.output).toContain('before')
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(running(word)).toBe(0)
  })

  it('that leaves a daemon behind has ended when it has ended', async () => {
    const from = Date.now()
    const result = await machine().run(sh('sleep 20 & echo started'), 10_000)
    expect(Date.now() - from).toBeLessThan(3000)
    expect(result).toMatchObject({ status: 0, output: 'started\n' })
  })

  it('that prints without end is not killed for it; the end of what it says is kept', async () => {
    const result = await machine().run(sh('yes | head -c 3000000; echo the end'), 20_000)
    expect(result.status).toBe(0)
    expect(result.output.length).toBeLessThanOrEqual(trialLimits.hookOutputBytesMax)
    expect(result.output).toMatch(/the end\n$/)
  })

  it('reads nothing: it cannot wait for a keyboard', async () => {
    expect(await machine().run(['/bin/cat'], 5000)).toMatchObject({ status: 0, timedOut: false })
  })
})

describe('a hook', () => {
  const install = (name: string, script: string, mode = 0o755): void => {
    mkdirSync(shop.path('hooks'), { recursive: true })
    writeFileSync(shop.path(`hooks/${name}`), `#!/bin/sh\n${script}\n`)
    chmodSync(shop.path(`hooks/${name}`), mode)
  }

  it('runs with its variables', async () => {
    install('pre-install', 'echo "$EVERBOOT_RELEASE $EVERBOOT_SLOT"; test -n "$PATH"')
    const result = await machine({ hooks: shop.path('hooks') }).hook(
      'pre-install',
      { EVERBOOT_RELEASE: 'demo-2', EVERBOOT_SLOT: 'a' },
      5000,
    )
    expect(result).toEqual({ status: 0, timedOut: false, output: 'demo-2 a\n' })
  })

  it('that is not there, not executable, or for which there is no directory, is none', async () => {
    install('post-install', 'exit 1', 0o644)
    const withHooks = machine({ hooks: shop.path('hooks') })
    expect(await withHooks.hook('post-install', {}, 5000)).toBeNull()
    expect(await withHooks.hook('pre-commit', {}, 5000)).toBeNull()
    expect(await machine().hook('pre-commit', {}, 5000)).toBeNull()
    expect(await machine({ hooks: shop.path('none') }).hook('pre-commit', {}, 5000)).toBeNull()
  })

  it('that is a directory is none', async () => {
    mkdirSync(shop.path('hooks/pre-commit'), { recursive: true })
    expect(await machine({ hooks: shop.path('hooks') }).hook('pre-commit', {}, 5000)).toBeNull()
  })
})

describe('a probe', () => {
  async function serving(
    where: string | number,
    answer: Parameters<typeof createServer>[1],
    use: (server: Server) => Promise<void>,
  ): Promise<void> {
    const server = createServer(answer)
    await new Promise<void>((resolve) => void server.listen(where as string, resolve))
    try {
      await use(server)
    } finally {
      server.closeAllConnections()
      server.close()
    }
  }

  it('tells the status of a service on a port or a socket', async () => {
    const answer: Parameters<typeof createServer>[1] = (request, response) => {
      response.statusCode = request.url === '/health' ? 204 : 503
      response.end()
    }
    await serving(0, answer, async (server) => {
      const { port } = server.address() as AddressInfo
      expect(await machine().probe(`http://127.0.0.1:${port}/health`, 2000)).toBe(204)
      expect(await machine().probe(`http://127.0.0.1:${port}/other`, 2000)).toBe(503)
    })
    await serving(shop.path('service.sock'), answer, async () => {
      expect(await machine().probe(`unix:${shop.path('service.sock')}:/health`, 2000)).toBe(204)
    })
  })

  it('of what does not answer, answers late, hangs up or makes no sense is null, by its deadline', async () => {
    const from = Date.now()
    expect(await machine().probe('http://127.0.0.1:1/', 2000)).toBeNull()
    expect(await machine().probe(`unix:${shop.path('none.sock')}:/health`, 2000)).toBeNull()
    for (const nonsense of [
      '',
      'http://',
      'http://[',
      'https://localhost/',
      'ftp://x/',
      'unix:x',
      'unix:/x:',
    ]) {
      expect(await machine().probe(nonsense, 2000), nonsense).toBeNull()
    }
    await serving(
      0,
      () => {},
      async (server) => {
        const { port } = server.address() as AddressInfo
        expect(await machine().probe(`http://127.0.0.1:${port}/`, 300)).toBeNull()
      },
    )
    await serving(
      0,
      (request) => void request.socket.destroy(),
      async (server) => {
        const { port } = server.address() as AddressInfo
        expect(await machine().probe(`http://127.0.0.1:${port}/`, 2000)).toBeNull()
      },
    )
    expect(Date.now() - from).toBeLessThan(5000)
  })

  it('does not wait for the end of an endless body', async () => {
    const endless: Parameters<typeof createServer>[1] = (_, response) => {
      response.writeHead(200)
      response.write('x')
    }
    await serving(0, endless, async (server) => {
      const { port } = server.address() as AddressInfo
      const from = Date.now()
      expect(await machine().probe(`http://127.0.0.1:${port}/`, 3000)).toBe(200)
      expect(Date.now() - from).toBeLessThan(2000)
    })
  })
})

describe('the watchdog', () => {
  it('is opened at once, petted, and disarmed by its magic word', () => {
    writeFileSync(shop.path('watchdog'), '')
    const it = machine({ watchdog: shop.path('watchdog') })
    it.pet()
    it.pet()
    it.disarm()
    expect(readFileSync(shop.path('watchdog'), 'utf8')).toBe('\n\nV')
  })

  it('that is not there, or has nobody at its other end, is a wrong configuration', async () => {
    expect(await codeOf(() => machine({ watchdog: shop.path('none') }))).toBe('EB-CONFIG')
    shop.tool('mkfifo', shop.path('fifo'))
    expect(await codeOf(() => machine({ watchdog: shop.path('fifo') }))).toBe('EB-CONFIG')
  })
})

describe('a reboot', () => {
  it('by a command that works is never over', async () => {
    const outcome = await Promise.race([
      machine({ reboot: { command: ['/bin/sh', '-c', `touch ${shop.path('rebooted')}`] } }).reboot(),
      new Promise((resolve) => setTimeout(() => resolve('still here'), 500)),
    ])
    expect(outcome).toBe('still here')
    expect(readFileSync(shop.path('rebooted'), 'utf8')).toBe('')
  })

  it('for a trial is by the command that sets the flag', async () => {
    const touch = (name: string): readonly string[] => ['/bin/sh', '-c', `touch ${shop.path(name)}`]
    const reboot = { command: touch('plain'), trial: touch('trial') }
    void machine({ reboot }).reboot('trial')
    await expect.poll(() => existsSync(shop.path('trial'))).toBe(true)
    expect(existsSync(shop.path('plain'))).toBe(false)
  })

  it('by a command that fails says so', async () => {
    expect(await codeOf(() => machine({ reboot: { command: ['false'] } }).reboot())).toBe('EB-TOOL-FAILED')
    expect(await codeOf(() => machine({ reboot: { command: ['/no/such'] } }).reboot())).toBe('EB-TOOL-FAILED')
  })

  it('by a file writes the word, and says so when it cannot', async () => {
    writeFileSync(shop.path('power'), '')
    void machine({ reboot: { file: shop.path('power') } }).reboot()
    expect(readFileSync(shop.path('power'), 'utf8')).toBe('reboot\n')
    expect(await codeOf(() => machine({ reboot: { file: shop.path('no/power') } }).reboot())).toBe(
      'EB-TOOL-FAILED',
    )
  })
})

describe('the firmware', () => {
  it('says which partition it started, and whether on trial, in 32 bits each', () => {
    const of = (flags: string | null) => machine({ flags }).firmware?.()
    expect(of(null)).toBeNull()
    expect(of(shop.directory)).toBeNull()
    writeFileSync(shop.path('partition'), Uint8Array.of(0, 0, 0, 3))
    expect(of(shop.directory)).toBeNull()
    writeFileSync(shop.path('tryboot'), Uint8Array.of(0, 0, 0, 1))
    expect(of(shop.directory)).toEqual({ partition: 3, tryboot: true })
    writeFileSync(shop.path('tryboot'), Uint8Array.of(0, 0, 0, 0))
    expect(of(shop.directory)).toEqual({ partition: 3, tryboot: false })
    writeFileSync(shop.path('tryboot'), Uint8Array.of(0))
    expect(of(shop.directory)).toBeNull()
  })
})

describe('last words', () => {
  it('are the ends of two files, or null for what cannot be read', async () => {
    writeFileSync(shop.path('console'), `${'x'.repeat(100_000)}the end`)
    const words = await machine({
      lastConsole: shop.path('console'),
      bootTrace: shop.path('none'),
    }).lastWords()
    expect(words.console?.length).toBe(trialLimits.consoleTailBytesMax)
    expect(words.console).toMatch(/the end$/)
    expect(words.bootTrace).toBeNull()
    expect(await machine().lastWords()).toEqual({ console: null, bootTrace: null, crash: null })
  })
})
