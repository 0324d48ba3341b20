/**
 * The essential service of the emulated board: a small HTTP server on a Unix socket.
 * GET /health answers 200 while its data file is what its configuration says, 503 and the reason otherwise;
 * GET / serves the file. Health is found out at every request, never remembered.
 */
import { createHash } from 'node:crypto'
import { readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'

const root = process.env.EVERBOOT_ROOT ?? ''
const run = process.env.EVERBOOT_RUN ?? '/run'
const socket = `${run}/service.sock`

/** @returns the data, or throws what is wrong with it */
function readData() {
  const settings = JSON.parse(readFileSync(`${root}/etc/everboot/service.json`, 'utf8'))
  const data = readFileSync(`${root}${settings.data}`)
  const found = createHash('sha256').update(data).digest('hex')
  if (found !== settings.sha256) {
    throw new Error(
      `${settings.data} has SHA-256 ${found.slice(0, 12)}, expected ${settings.sha256.slice(0, 12)}`,
    )
  }
  return data
}

function answer(request, response) {
  const send = (status, text) => {
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' })
    response.end(text)
  }
  if (request.method !== 'GET' || !['/', '/health'].includes(request.url)) return send(404, 'not found\n')
  try {
    const data = readData()
    send(200, request.url === '/' ? data : 'healthy\n')
  } catch (error) {
    process.stdout.write(`service: unhealthy: ${error.message}\n`)
    send(503, `unhealthy: ${error.message}\n`)
  }
}

rmSync(socket, { force: true })
createServer(answer).listen(socket, () => process.stdout.write(`service: listens on ${socket}\n`))
process.on('SIGTERM', () => process.exit(0))
