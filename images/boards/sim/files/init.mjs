/**
 * The init of the emulated board: starts service and agent, starts each again when it dies.
 * Promise: a dead agent or service is back within a second, for ever; when told to end, it ends its children first.
 * Leaves to others: reaping orphans (init.sh), petting the watchdog (the agent), deciding about health.
 * Without mounts (plain emulation) EVERBOOT_ROOT and EVERBOOT_RUN say where the slot and /run really are.
 */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'

const root = process.env.EVERBOOT_ROOT ?? ''
const run = process.env.EVERBOOT_RUN ?? '/run'
const againMs = 300
const endMs = 2_000
/** glibc keeps freed memory by default; a small board has none to spare. */
const thrift = { MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '131072' }
const children = new Set()
let ending = false

const say = (text) => process.stdout.write(`init: ${text}\n`)

function start(name, args) {
  const child = spawn(process.execPath, args, { stdio: 'inherit', env: { ...process.env, ...thrift } })
  children.add(child)
  child.on('spawn', () => say(`${name} runs as process ${child.pid}`))
  child.on('error', (error) => say(`${name} does not start: ${error.message}`))
  child.on('close', (code, signal) => {
    children.delete(child)
    if (ending) return
    say(`${name} ended (${signal ?? `status ${code}`}), starts again in ${againMs} ms`)
    setTimeout(() => start(name, args), againMs)
  })
}

function end() {
  if (ending) return
  ending = true
  say('ends')
  for (const child of children) child.kill('SIGTERM')
  setTimeout(() => process.exit(0), endMs).unref()
}

/** The agent's configuration: the image's own, unless the bootloader names another. */
function agentConfig() {
  const words = readFileSync(`${run}/everboot/cmdline`, 'utf8').split(/\s+/)
  const named = words.find((it) => it.startsWith('everboot.config='))
  return named === undefined ? `${root}/etc/everboot/agent.json` : named.slice('everboot.config='.length)
}

function main() {
  const settings = JSON.parse(readFileSync(`${root}/etc/everboot/init.json`, 'utf8'))
  const release = readFileSync(`${root}/etc/os-release`, 'utf8')
  say(`${/^PRETTY_NAME="(.*)"$/m.exec(release)?.[1] ?? 'unknown system'}`)
  if (settings.hang) {
    say('waits for a device that never appears')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  }
  process.on('SIGTERM', end)
  process.on('SIGINT', end)
  start('service', [`${root}/usr/lib/everboot/service.mjs`])
  const agent = `${root}/usr/lib/everboot/agent.mjs`
  if (!existsSync(agent)) return say('there is no agent in this system')
  start('agent', [...settings.agentNodeOptions, agent, '--config', agentConfig()])
}

main()
