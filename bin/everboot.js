#!/usr/bin/env node
// Starts Everboot on a Node that is new enough: this one, or the pinned one that came with the package.
// Plain JavaScript that Node 18 can parse. From a checkout it runs the TypeScript, from the npm package dist/.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { fileURLToPath, pathToFileURL } from 'node:url'

const needed = 24
const here = fileURLToPath(import.meta.url)
const source = fileURLToPath(new URL('../everboot.ts', import.meta.url))
const built = fileURLToPath(new URL('../dist/everboot.js', import.meta.url))

function pinnedNode() {
  try {
    return createRequire(import.meta.url).resolve(`node-linux-${process.arch}/bin/node`)
  } catch {
    return null
  }
}

function runOn(node) {
  // Handlers first: a signal that comes while the child is made must not leave it alone.
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT']) {
    // At the terminal the child gets SIGINT by itself; a second one does no harm.
    process.on(signal, () => child.kill(signal))
  }
  const child = spawn(node, [here, ...process.argv.slice(2)], { stdio: 'inherit' })
  child.on('error', (error) => {
    process.stderr.write(
      `EB-TOOL-MISSING: ${node} does not start (${error.message}); install Node 24 or newer\n`,
    )
    process.exitCode = 7
  })
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
    setTimeout(() => process.exit(128 + (constants.signals[signal] ?? 0)), 100)
  })
}

if (Number(process.versions.node.split('.')[0]) >= needed) {
  await import(pathToFileURL(existsSync(source) ? source : built).href)
} else {
  const node = pinnedNode()
  if (node === null) {
    process.stderr.write(
      `EB-TOOL-MISSING: Node ${needed} or newer is needed, this is ${process.versions.node}, and the package ` +
        `node-linux-${process.arch} is not installed; install Node ${needed}, or reinstall with optional dependencies\n`,
    )
    process.exitCode = 7
  } else {
    runOn(node)
  }
}
