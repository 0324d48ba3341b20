/** Bodies that go other than well, and the end of a server. */
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { clipLimits, servingLimits } from '../../../../core/clip-limits.ts'
import { MiB } from '../../../../core/units.ts'
import type { ClipService } from '../../../../device/clips/clip-service.ts'
import { ask, errorOf, playableDouble, raw, serviceDouble } from '../serving.ts'
import { endless, exchangeRig, unreachable, until } from './exchange-rig.ts'

const rig = exchangeRig()

describe('a body', () => {
  const twoGiB = 2 * 1024 * MiB
  const line = 'PUT /clips/a?skill=s HTTP/1.1\r\nHost: x\r\n'

  it('of 2 GiB is refused at once, before a byte of it', async () => {
    await rig.serve(serviceDouble({}))
    const began = performance.now()
    const text = await raw(rig.socket, `${line}Content-Length: ${twoGiB}\r\n\r\n`)
    expect(text).toMatch(/^HTTP\/1.1 413 /)
    expect(text).toMatch(/connection: close/i)
    expect(text).toContain('"code":"EB-CLIP-SIZE"')
    expect(performance.now() - began).toBeLessThan(5_000)
  })

  it('of 2 GiB for which the client waits to be asked is never asked for', async () => {
    await rig.serve(serviceDouble({}))
    const text = await raw(rig.socket, `${line}Expect: 100-continue\r\nContent-Length: ${twoGiB}\r\n\r\n`)
    expect(text).toMatch(/^HTTP\/1.1 413 /)
  })

  it('that the client sends without waiting is thrown away, and the answer arrives', async () => {
    await rig.serve(serviceDouble({}))
    for (let round = 0; round < 5; round += 1) {
      const client = connect(rig.socket)
      client.write(`${line}Content-Length: ${twoGiB}\r\n\r\n`)
      const sending = setInterval(() => client.write(Buffer.alloc(MiB)), 1)
      let text = ''
      client.on('data', (part) => {
        text += part.toString()
      })
      const how = await new Promise<string>((resolve) => {
        client.on('end', () => resolve('end'))
        client.on('error', (caught) => resolve(caught.message))
      })
      clearInterval(sending)
      client.destroy()
      expect(how).toBe('end')
      expect(text).toMatch(/^HTTP\/1.1 413 /)
    }
  })

  it('that does not say how long it is ends at the limit', async () => {
    let asked = 0
    await rig.serve(
      serviceDouble({
        put: async (_, bytes) => {
          asked = bytes.length
          throw unreachable()
        },
      }),
    )
    const chunk = Buffer.alloc(MiB)
    const client = connect(rig.socket)
    client.write(`${line}Transfer-Encoding: chunked\r\n\r\n`)
    let text = ''
    client.on('data', (part) => {
      text += part.toString()
    })
    let sent = 0
    client.on('error', () => {})
    while (text === '' && !client.destroyed) {
      client.write(`${MiB.toString(16)}\r\n`)
      client.write(chunk)
      client.write('\r\n')
      while (client.writableLength > MiB && text === '' && !client.destroyed) await sleep(1)
      sent += MiB
      expect(sent).toBeLessThan(100 * MiB)
    }
    expect(text).toMatch(/^HTTP\/1.1 413 /)
    expect(sent).toBeGreaterThanOrEqual(clipLimits.clipBytesMax)
    client.destroy()
    const small = `${line}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`
    const closing = small.replace('Host: x', 'Host: x\r\nConnection: close')
    expect(await raw(rig.socket, closing)).toMatch(/^HTTP\/1.1 503 /)
    expect(asked).toBe(5)
  })

  it('that does not come is not waited for', async () => {
    await rig.serve(serviceDouble({}), { idleMs: 200 })
    const text = await raw(rig.socket, `${line}Content-Length: 100\r\n\r\nhalf`)
    expect(text).toMatch(/^HTTP\/1.1 408 /)
    expect(text).toContain('EB-TIMEOUT')
  })

  it('that breaks off stores nothing', async () => {
    await rig.serve(serviceDouble({}))
    const client = connect(rig.socket)
    client.write(`${line}Content-Length: 100\r\n\r\nhalf`)
    await sleep(50)
    client.destroy()
    await sleep(50)
    expect((await ask(rig.socket, '/clips')).status).toBe(200)
    expect(rig.events).toEqual([])
  })

  it('for what takes none, or little, is refused', async () => {
    await rig.serve(serviceDouble({ stats: serviceDouble({}).stats }))
    const got = await ask(rig.socket, '/clips', {
      method: 'GET',
      headers: { 'content-length': '5' },
      body: 'hello',
    })
    expect([got.status, errorOf(got)]).toEqual([413, 'EB-ENDLESS'])
    const large = Buffer.alloc(servingLimits.requestBytesMax + 1, 32)
    const pin = await ask(rig.socket, '/clips/a/pin', { method: 'POST', body: large })
    expect([pin.status, errorOf(pin)]).toEqual([413, 'EB-ENDLESS'])
    const name = await ask(rig.socket, '/clips/..?skill=s', { method: 'PUT', body: large })
    expect([name.status, errorOf(name)]).toEqual([400, 'EB-CLIP-NAME'])
  })

  it('is in memory with a few others only; the rest wait for their turn', async () => {
    let inside = 0
    let most = 0
    const put: ClipService['put'] = async () => {
      inside += 1
      most = Math.max(most, inside)
      await sleep(20)
      inside -= 1
      throw unreachable()
    }
    await rig.serve(serviceDouble({ put }))
    const all = await Promise.all(
      Array.from({ length: 12 }, (_, n) =>
        ask(rig.socket, `/clips/a${n}?skill=s`, { method: 'PUT', body: 'x' }),
      ),
    )
    expect(all.every((it) => it.status === 503)).toBe(true)
    expect(most).toBe(servingLimits.uploadsMax)
    expect(inside).toBe(0)
  })
})

describe('closing', () => {
  it('ends what is played, waits for changes, and takes nothing more', async () => {
    const { seen, read } = endless()
    const playable = playableDouble(64 * MiB, read)
    let changed = false
    const remove = async (): Promise<boolean> => {
      await sleep(100)
      changed = true
      return true
    }
    await rig.serve(serviceDouble({ get: async () => playable, remove }))
    await rig.dawdler()
    await until(() => seen.parts > 0)
    const removing = ask(rig.socket, '/clips/a', { method: 'DELETE' }).catch(() => null)
    await sleep(30)
    await rig.server?.close()
    expect(changed).toBe(true)
    await removing
    await until(() => seen.ended && playable.doneTimes() === 1)
    await expect(ask(rig.socket, '/clips')).rejects.toThrow()
    rig.server = null
  })

  it('does not wait for a clip that never comes', async () => {
    await rig.serve(serviceDouble({ get: () => new Promise(() => {}) }))
    await rig.dawdler()
    await sleep(30)
    await rig.server?.close()
    rig.server = null
  })
})
