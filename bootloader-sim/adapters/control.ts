/**
 * The control socket of a running board: one JSON line asked, one JSON line answered.
 * Promise: requests and answers have a longest length and a deadline; only who may enter the board's
 * directory can connect.
 * Leaves to others: what the requests do.
 */
import { rm } from 'node:fs/promises'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import * as v from 'valibot'
import { EverbootError, type Fault, fault, faultOf, isErrorCode, raise } from '../../core/errors.ts'
import { boardLimits } from '../../core/limits.ts'
import { programs } from './processes.ts'

const request = v.variant('do', [
  v.strictObject({ do: v.literal('status') }),
  v.strictObject({ do: v.literal('reset') }),
  v.strictObject({ do: v.literal('power-cut') }),
  v.strictObject({ do: v.literal('kill'), program: v.picklist(programs) }),
])
export type ControlRequest = v.InferOutput<typeof request>

const refusal = v.object({ error: v.object({ code: v.string(), what: v.string(), todo: v.string() }) })

export type Answer = Readonly<Record<string, unknown>>

/** The path must fit a socket address. @throws EverbootError EB-USAGE */
export function checkSocketPath(path: string): void {
  if (Buffer.byteLength(path) < boardLimits.socketPathBytesMax) return
  raise('EB-USAGE', `${path} is longer than a socket path may be (${boardLimits.socketPathBytesMax - 1})`, {
    todo: 'use a shorter directory',
  })
}

/** Serves until closed. The caller knows that no other board uses the path. */
export async function serveControl(
  path: string,
  act: (it: ControlRequest) => Promise<Answer>,
): Promise<Server> {
  await rm(path, { force: true })
  const server = createServer((socket) => void serveOne(socket, act))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
  return server
}

/** @throws EverbootError EB-NO-BOARD, EB-TIMEOUT, or what the board refused */
export async function askBoard(path: string, it: ControlRequest): Promise<Answer> {
  const line = await exchange(path, `${JSON.stringify(it)}\n`)
  const document: unknown = JSON.parse(line)
  const refused = v.safeParse(refusal, document)
  if (!refused.success) return document as Answer
  const { code, what, todo } = refused.output.error
  throw new EverbootError({ code: isErrorCode(code) ? code : 'EB-INTERNAL', what, todo })
}

async function serveOne(socket: Socket, act: (it: ControlRequest) => Promise<Answer>): Promise<void> {
  // A peer that goes away has seen enough.
  socket.on('error', () => {})
  try {
    const line = await readLine(socket, boardLimits.controlRequestBytesMax)
    const parsed = v.safeParse(request, JSON.parse(line))
    if (!parsed.success) raise('EB-MESSAGE', `the board does not understand ${line.slice(0, 200)}`)
    socket.end(`${JSON.stringify(await act(parsed.output))}\n`)
  } catch (caught) {
    socket.end(`${JSON.stringify({ error: faultOf(caught) })}\n`)
  }
}

async function exchange(path: string, line: string): Promise<string> {
  const socket = createConnection(path)
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', (cause) => reject(new EverbootError(notThere(path), { cause })))
    })
    socket.write(line)
    return await readLine(socket, boardLimits.controlAnswerBytesMax)
  } finally {
    socket.destroy()
  }
}

function notThere(path: string): Fault {
  return fault('EB-NO-BOARD', `no board answers at ${path}`, 'start it with everboot emulator run')
}

/** The first line. @throws EverbootError EB-TIMEOUT, EB-MESSAGE */
function readLine(socket: Socket, bytesMax: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const refuse = (it: Fault): void => reject(new EverbootError(it))
    const timer = setTimeout(
      () => refuse(fault('EB-TIMEOUT', `no answer from the board in ${boardLimits.controlMs} ms`)),
      boardLimits.controlMs,
    )
    const done = (act: () => void): void => {
      clearTimeout(timer)
      act()
    }
    socket.setEncoding('utf8')
    socket.on('data', (part: string) => {
      text += part
      const end = text.indexOf('\n')
      if (end >= 0) done(() => resolve(text.slice(0, end)))
      else if (text.length > bytesMax) done(() => refuse(fault('EB-MESSAGE', `more than ${bytesMax} bytes`)))
    })
    socket.on('close', () => done(() => refuse(fault('EB-MESSAGE', 'the connection ended within a line'))))
    socket.on('error', (cause) => done(() => reject(cause)))
  })
}
