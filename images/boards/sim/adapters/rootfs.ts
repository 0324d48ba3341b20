/**
 * Makes the root directory of a sim image from real files: Node and its libraries, agent, service, init.
 * Promise: everything the board runs comes out of this directory; the sick service really finds its data
 * damaged, the hanging init really never starts anything.
 * Leaves to others: turning the directory into an image and a release (images/build).
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { raise } from '../../../../core/errors.ts'
import { type AgentChoices, agentSettings } from '../agent-settings.ts'
import { agentBundle } from './agent-bundle.ts'
import { pinnedNode, takeFile, takeProgram } from './host-files.ts'

export interface RootfsOptions extends AgentChoices {
  /** New or empty directory. */
  readonly out: string
  readonly version: string
  readonly service: 'healthy' | 'sick'
  readonly init: 'normal' | 'hang'
  /** `bundle`: the agent of this checkout or package; `none`: leave it out; else the path of a ready bundle. */
  readonly agent: 'bundle' | 'none' | { readonly file: string }
  /** Trust file of the device, or null to leave it out. */
  readonly trust: string | null
  /** Options of Node for the agent, such as heap limits. */
  readonly agentNodeOptions: readonly string[]
}

const files = new URL('../files/', import.meta.url)
const mountPoints = ['dev', 'proc', 'sys', 'run', 'tmp', 'data', 'root']
const dataFile = '/usr/share/everboot/greeting.txt'

/** @throws EverbootError EB-CONFLICT, EB-FILE, EB-TOOL-MISSING */
export async function makeRootfs(options: RootfsOptions): Promise<void> {
  const { out } = options
  await mkdir(out, { recursive: true })
  if ((await readdir(out)).length > 0)
    raise('EB-CONFLICT', `${out} is not empty`, { todo: 'give a new directory' })
  for (const name of mountPoints) await mkdir(join(out, name), { recursive: true })
  await takeProgram(pinnedNode(), out, '/usr/bin/node', 'link')
  await takeProgram('/bin/sh', out, '/bin/sh', 'copy')
  await putPrograms(options)
  await putSettings(options)
  await putService(options)
}

async function putPrograms(options: RootfsOptions): Promise<void> {
  const { out, agent } = options
  const own = async (name: string): Promise<Uint8Array> => readFile(new URL(name, files))
  await put(out, '/sbin/init', await own('init.sh'), 0o755)
  await put(out, '/sbin/init.mjs', await own('init.mjs'))
  await put(out, '/usr/lib/everboot/service.mjs', await own('service.mjs'))
  if (agent === 'none') return
  if (agent === 'bundle') await put(out, '/usr/lib/everboot/agent.mjs', await agentBundle())
  else await takeFile(agent.file, out, '/usr/lib/everboot/agent.mjs', 0o644, 'copy')
}

async function putSettings(options: RootfsOptions): Promise<void> {
  const { out, version, product, trust } = options
  const release = {
    NAME: 'Everboot sim',
    ID: 'everboot-sim',
    VERSION_ID: version,
    PRETTY_NAME: `Everboot sim, ${product} ${version}`,
  }
  const lines = Object.entries(release).map(([key, value]) => `${key}="${value}"\n`)
  await put(out, '/etc/os-release', lines.join(''))
  await put(out, '/etc/passwd', 'root:x:0:0:root:/root:/bin/sh\n')
  await put(out, '/etc/group', 'root:x:0:\n')
  await put(out, '/etc/nsswitch.conf', 'hosts: files dns\n')
  // The board puts the host's own into /run.
  for (const name of ['hosts', 'resolv.conf']) await symlink(`/run/${name}`, join(out, 'etc', name))
  const init = { hang: options.init === 'hang', agentNodeOptions: options.agentNodeOptions }
  await put(out, '/etc/everboot/init.json', json(init))
  await put(out, '/etc/everboot/agent.json', json(agentSettings(options)))
  if (trust !== null) await put(out, '/etc/everboot/trust.json', await readTrust(trust))
}

/** A sick release is one that was packed with a damaged data file. */
async function putService(options: RootfsOptions): Promise<void> {
  const intact = `Hello from ${options.product} ${options.version}.\n`
  const packed = options.service === 'healthy' ? intact : intact.slice(0, -3)
  await put(options.out, dataFile, packed)
  const sha256 = createHash('sha256').update(intact).digest('hex')
  await put(options.out, '/etc/everboot/service.json', json({ data: dataFile, sha256 }))
}

async function readTrust(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (cause) {
    raise('EB-FILE', `trust file ${path} cannot be read`, { cause })
  }
}

async function put(root: string, at: string, content: Uint8Array | string, mode = 0o644): Promise<void> {
  const to = join(root, at)
  await mkdir(dirname(to), { recursive: true })
  await writeFile(to, content, { mode })
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}
