/**
 * The local interface: a Unix socket that takes one JSON request a line and answers with one JSON line; `watch` goes
 * on answering whenever something has changed.
 * Promise: requests are bounded in length, clients in number; one that does not read is let go.
 * Leaves to others: what requests do (agent.ts), who may open the socket (socket-file.ts).
 */
import { connect, createServer, type Socket } from 'node:net'
import * as v from 'valibot'
import { EverbootError, type Fault, fault } from '../../core/errors.ts'
import { wireLimits } from '../../core/limits.ts'
import { fail, type Result } from '../../core/result.ts'
import { inhibitLimits } from '../../core/service-limits.ts'
import { safeName } from '../../core/units.ts'
import type { Agent } from '../agent.ts'
import type { LocalRequest, LocalStatus } from '../local-request.ts'
import { listenAt } from './socket-file.ts'

const who = v.pipe(v.string(), v.regex(safeName))
const requestSchema = v.variant('op', [
  v.strictObject({ op: v.literal('status') }),
  v.strictObject({
    op: v.literal('install'),
    file: v.pipe(v.string(), v.maxLength(4096)),
    later: v.optional(v.boolean()),
  }),
  v.strictObject({ op: v.literal('rollback') }),
  v.strictObject({ op: v.literal('refresh') }),
  v.strictObject({ op: v.literal('activate') }),
  v.strictObject({
    op: v.literal('inhibit'),
    who,
    why: v.pipe(v.string(), v.maxLength(inhibitLimits.whyMax)),
    forMs: v.optional(
      v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(inhibitLimits.leaseMsMax)),
    ),
    step: v.optional(v.picklist(['start', 'activate'])),
  }),
  v.strictObject({ op: v.literal('release'), who }),
  v.strictObject({ op: v.literal('watch') }),
])
type SocketRequest = v.InferOutput<typeof requestSchema>

export interface ControlSocket {
  close(): void
}

/** @throws EverbootError EB-CONFIG when the socket cannot be made */
export async function serveControl(
  path: string,
  agent: Agent,
  group?: number | null,
): Promise<ControlSocket> {
  const sockets = new Set<Socket>()
  const watchers = watching(agent)
  // One who has asked and says no more (`echo … | socat`) still wants the answer; who watches stays.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    if (sockets.size >= inhibitLimits.clientsMax) {
      socket.on('error', () => socket.destroy())
      socket.end(lineOf(fail(fault('EB-LIMIT', `${sockets.size} clients ask already`))))
      return
    }
    sockets.add(socket)
    socket.on('close', () => {
      sockets.delete(socket)
      watchers.remove(socket)
    })
    serve(socket, agent, watchers)
  })
  await listenAt(server, path, group)
  return {
    close() {
      server.close()
      watchers.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

function lineOf(answer: Result<LocalStatus, Fault>): string {
  return `${JSON.stringify(answer)}\n`
}

function serve(socket: Socket, agent: Agent, watchers: Watchers): void {
  let open = 0
  let asked = false
  socket.on('end', () => {
    asked = true
    if (open === 0) socket.end()
  })
  eachLine(socket, wireLimits.messageBytesMax, (line) => {
    const request = requestOf(line)
    if (request === null) say(socket, fail(fault('EB-MESSAGE', 'the request is not understood')))
    else if (request.op === 'watch') watchers.add(socket)
    else if (open >= inhibitLimits.requestsMax) socket.destroy()
    else {
      open += 1
      void agent.request(request).then((answer) => {
        open -= 1
        say(socket, answer)
        if (asked && open === 0) socket.end()
      })
    }
  })
  socket.on('error', () => socket.destroy())
}

function requestOf(line: string): SocketRequest | null {
  try {
    const parsed = v.safeParse(requestSchema, JSON.parse(line))
    return parsed.success ? parsed.output : null
  } catch (caught) {
    if (!(caught instanceof SyntaxError)) throw caught
    return null
  }
}

function say(socket: Socket, answer: Result<LocalStatus, Fault>): void {
  if (socket.destroyed) return
  socket.write(lineOf(answer))
  if (socket.writableLength > inhibitLimits.backlogBytesMax) socket.destroy()
}

interface Watchers {
  add(socket: Socket): void
  remove(socket: Socket): void
  close(): void
}

/** One look at the agent for all who watch, as long as somebody does. */
function watching(agent: Agent): Watchers {
  /** What each of them was told last. */
  const told = new Map<Socket, string>()
  let looking = false
  let timer: NodeJS.Timeout | undefined
  const look = async (): Promise<void> => {
    looking = true
    const answer = await agent.request({ op: 'status' })
    const text = JSON.stringify(answer)
    for (const [socket, last] of [...told]) {
      if (last === text || !told.has(socket)) continue
      told.set(socket, text)
      say(socket, answer)
    }
    looking = told.size > 0
    if (looking) timer = setTimeout(() => void look(), inhibitLimits.watchMs)
  }
  return {
    add(socket) {
      if (told.size >= inhibitLimits.watchersMax) {
        say(socket, fail(fault('EB-LIMIT', `${told.size} clients watch already`)))
        return
      }
      told.set(socket, '')
      if (!looking) void look()
    },
    remove: (socket) => void told.delete(socket),
    close() {
      clearTimeout(timer)
      told.clear()
    },
  }
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

/** Follows the agent until `ended` is aborted. @throws EverbootError EB-NO-AGENT, EB-LIMIT */
export function watchAgent(
  path: string,
  take: (status: LocalStatus) => void,
  ended: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (it: Fault): void => reject(new EverbootError(it))
    const socket = connect(path, () => socket.write('{"op":"watch"}\n'))
    const stop = (): void => {
      socket.destroy()
      resolve()
    }
    ended.addEventListener('abort', stop, { once: true })
    socket.on('error', (caught: NodeJS.ErrnoException) =>
      refuse(fault('EB-NO-AGENT', `${path}: ${caught.code}`)),
    )
    socket.on('end', () => refuse(fault('EB-NO-AGENT', `the agent at ${path} hung up`)))
    eachLine(socket, wireLimits.messageBytesMax, (line) => {
      const answer = JSON.parse(line) as Result<LocalStatus, Fault>
      if (answer.ok) return take(answer.value)
      socket.destroy()
      refuse(answer.error)
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
