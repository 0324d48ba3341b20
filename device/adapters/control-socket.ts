/**
 * The local interface: a Unix socket that takes one JSON request a line and answers with one JSON line.
 * Promise: mode 0600, so that only the agent's own user (root) may ask; requests are bounded in length.
 * Leaves to others: what requests do (agent.ts).
 */
import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { dirname } from 'node:path'
import * as v from 'valibot'
import { EverbootError, type Fault, fault } from '../../core/errors.ts'
import { wireLimits } from '../../core/limits.ts'
import { fail, type Result } from '../../core/result.ts'
import type { Agent } from '../agent.ts'
import type { LocalRequest, LocalStatus } from '../local-request.ts'

const requestSchema = v.variant('op', [
  v.strictObject({ op: v.literal('status') }),
  v.strictObject({ op: v.literal('install'), file: v.pipe(v.string(), v.maxLength(4096)) }),
  v.strictObject({ op: v.literal('rollback') }),
])

export interface ControlSocket {
  close(): void
}

/** @throws EverbootError EB-CONFIG when the socket cannot be made */
export function serveControl(path: string, agent: Agent): Promise<ControlSocket> {
  const failed = (cause: unknown): EverbootError => {
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException
    return new EverbootError(fault('EB-CONFIG', `the socket ${path} cannot be made (${code})`), { cause })
  }
  try {
    mkdirSync(dirname(path), { recursive: true })
    // The instance lock is held: a socket that is still there belongs to nobody.
    rmSync(path, { force: true })
  } catch (cause) {
    return Promise.reject(failed(cause))
  }
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    serve(socket, agent)
  })
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => reject(failed(cause)))
    server.listen(path, () => {
      chmodSync(path, 0o600)
      resolve({
        close() {
          server.close()
          for (const socket of sockets) socket.destroy()
        },
      })
    })
  })
}

function serve(socket: Socket, agent: Agent): void {
  eachLine(socket, wireLimits.messageBytesMax, (line) => {
    void reply(line, agent).then((answer) => socket.write(`${JSON.stringify(answer)}\n`))
  })
  socket.on('error', () => socket.destroy())
}

async function reply(line: string, agent: Agent): Promise<Result<LocalStatus, Fault>> {
  try {
    const parsed = v.safeParse(requestSchema, JSON.parse(line))
    if (parsed.success) return await agent.request(parsed.output)
  } catch (caught) {
    if (!(caught instanceof SyntaxError)) throw caught
  }
  return fail(fault('EB-MESSAGE', 'the request is not understood'))
}

/** Asks the agent behind a socket. @throws EverbootError EB-NO-AGENT, or what the agent answers */
export function askAgent(path: string, request: LocalRequest): Promise<LocalStatus> {
  return new Promise((resolve, reject) => {
    const refuse = (what: string): void => reject(new EverbootError(fault('EB-NO-AGENT', what)))
    const socket = connect(path, () => socket.write(`${JSON.stringify(request)}\n`))
    socket.setTimeout(wireLimits.ackTimeoutMs, () => {
      socket.destroy()
      refuse(`the agent at ${path} does not answer`)
    })
    socket.on('error', (caught: NodeJS.ErrnoException) => refuse(`${path}: ${caught.code}`))
    socket.on('end', () => refuse(`the agent at ${path} hung up`))
    eachLine(socket, wireLimits.messageBytesMax, (line) => {
      socket.destroy()
      const answer = JSON.parse(line) as Result<LocalStatus, Fault>
      if (answer.ok) resolve(answer.value)
      else reject(new EverbootError(answer.error))
    })
  })
}

function eachLine(socket: Socket, bytesMax: number, take: (line: string) => void): void {
  let text = ''
  socket.setEncoding('utf8')
  socket.on('data', (part: string) => {
    text += part
    if (text.length > bytesMax) {
      socket.destroy()
      return
    }
    const lines = text.split('\n')
    text = lines.pop() ?? ''
    for (const line of lines) take(line)
  })
}
