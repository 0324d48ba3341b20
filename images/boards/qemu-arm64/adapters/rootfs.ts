/**
 * The root directory of a slot of the QEMU board: kernel and initramfs, arm64 Node and its libraries, busybox,
 * agent, and a service of busybox: another Node would take longer to start than all before it.
 * Promise: kernel and system come in one image, so they cannot be of different releases, and one verity root
 * covers both; it starts with an ext4, from which a stock U-Boot loads them. What is sick, hangs or is left out
 * really is.
 * Leaves to others: turning it into an image and a release (images/build).
 */
import { createHash } from 'node:crypto'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { orThrow } from '../../../../core/errors.ts'
import type { BootKey } from '../../../../keys/adapters/key-directory.ts'
import type { KeyRing } from '../../../../keys/public-key.ts'
import { decodeTrust } from '../../../../keys/trust.ts'
import { makeInitramfs, moduleFiles } from '../../arm64/adapters/initramfs.ts'
import type { BoardPackages } from '../../arm64/adapters/packages.ts'
import { agentBundle } from '../../sim/adapters/agent-bundle.ts'
import { takeFile } from '../../sim/adapters/host-files.ts'
import { agentNodeOptions } from '../../sim/agent-node-options.ts'
import type { AgentChoices } from '../../sim/agent-settings.ts'
import { healthPath, qemuAgentSettings, serviceAddress } from '../agent-settings.ts'
import { earlyModules, lateModules } from '../modules.ts'
import { makeKernelFit } from './fit.ts'

export interface QemuRootfsOptions extends AgentChoices {
  /** New or empty directory. */
  readonly out: string
  readonly version: string
  readonly service: 'healthy' | 'sick'
  readonly init: 'normal' | 'hang'
  /** `bundle`: the agent of this checkout or package; `none`: leave it out; else the path of a ready bundle. */
  readonly agent: 'bundle' | 'none' | { readonly file: string }
  /** trust.json of the publisher: for the agent, and its seal keys for the initramfs. */
  readonly trust: string
  /** For boards with signed boot; null for the others. */
  readonly bootKey: BootKey | null
}

/** Where the loader finds them in a slot; one that wants signatures looks for the FIT only. */
export const bootFiles = {
  plain: { kernel: 'boot/Image', initramfs: 'boot/initrd.img' },
  signed: { fit: 'boot/kernel.itb' },
} as const

const own = new URL('../files/', import.meta.url)
const dataFile = '/usr/share/everboot/greeting.txt'
const mountPoints = ['dev', 'proc', 'sys', 'run', 'tmp', 'data', 'root', 'lib/modules']
/** Of busybox: what start.sh, init and the agent's hooks and checks may call. */
const applets =
  'sh cat date dd df dmesg echo grep head httpd ifconfig insmod kill ln ls mkdir mount mv ps reboot rm route sed sha256sum sleep sync tail umount wget'
const libraries = [
  ...['ld-linux-aarch64.so.1', 'libc.so.6', 'libm.so.6', 'libdl.so.2', 'libpthread.so.0', 'librt.so.1'],
  ...['libgcc_s.so.1', 'libresolv.so.2', 'libnss_files.so.2', 'libnss_dns.so.2'],
].map((it) => `lib/${it.startsWith('ld-') ? '' : 'aarch64-linux-gnu/'}${it}`)

/** @throws EverbootError EB-FILE, EB-KEY, EB-TOOL-MISSING */
export async function makeQemuRootfs(options: QemuRootfsOptions, packages: BoardPackages): Promise<void> {
  const { out } = options
  for (const name of mountPoints) await mkdir(join(out, name), { recursive: true })
  await putPackages(out, packages)
  await putKernel(options, packages)
  await putSystem(options)
  await putService(options)
}

async function putPackages(out: string, packages: BoardPackages): Promise<void> {
  const { root } = packages
  await takeFile(packages.node, out, '/usr/bin/node', 0o755, 'link')
  await takeFile(join(root, 'bin/busybox'), out, '/bin/busybox', 0o755, 'link')
  for (const name of applets.split(' ')) await symlink('busybox', join(out, 'bin', name))
  for (const path of libraries) await takeFile(join(root, path), out, `/${path}`, 0o755, 'link')
  const cxx = 'usr/lib/aarch64-linux-gnu/libstdc++.so.6'
  await takeFile(join(root, cxx), out, `/${cxx}`, 0o755, 'link')
  await mkdir(join(out, 'sbin'), { recursive: true })
  await symlink('../bin/busybox', join(out, 'sbin/init'))
}

/** @param sealKeys the keys whose seals it believes */
export async function qemuInitramfs(packages: BoardPackages, sealKeys: KeyRing): Promise<Uint8Array> {
  const kernelModules = join(packages.root, 'lib/modules', packages.kernel)
  const script = await readFile(new URL('initramfs.sh', own))
  return makeInitramfs({ packages, kernelModules, modules: earlyModules, script, sealKeys })
}

async function putKernel(options: QemuRootfsOptions, packages: BoardPackages): Promise<void> {
  const { out, trust, bootKey } = options
  const vmlinuz = join(packages.root, `boot/vmlinuz-${packages.kernel}`)
  const keys = orThrow(decodeTrust(await readFile(trust), trust))
  const initramfs = await qemuInitramfs(packages, keys.seal)
  if (bootKey === null) {
    await takeFile(vmlinuz, out, `/${bootFiles.plain.kernel}`, 0o644, 'link')
    await put(out, `/${bootFiles.plain.initramfs}`, initramfs)
  } else {
    await mkdir(join(out, 'boot'), { recursive: true })
    await makeKernelFit({ out: join(out, bootFiles.signed.fit), kernel: vmlinuz, initramfs }, bootKey)
  }
  const kernelModules = join(packages.root, 'lib/modules', packages.kernel)
  const early = (await moduleFiles(kernelModules, earlyModules)).map((it) => it.path)
  const modules = (await moduleFiles(kernelModules, lateModules)).filter((it) => !early.includes(it.path))
  await put(out, '/etc/modules', modules.map((it) => `${it.path}\n`).join(''))
  for (const it of modules) await put(out, `/lib/modules/${it.path}`, it.content)
}

async function putSystem(options: QemuRootfsOptions): Promise<void> {
  const { out, version, product, agent, trust } = options
  const file = (name: string): Promise<Uint8Array> => readFile(new URL(name, own))
  await put(out, '/etc/start.sh', await file('start.sh'), 0o755)
  await put(out, `/srv${healthPath}`, await file('health.sh'), 0o755)
  if (agent === 'bundle') await put(out, '/usr/lib/everboot/agent.mjs', await agentBundle())
  else if (agent !== 'none') await takeFile(agent.file, out, '/usr/lib/everboot/agent.mjs', 0o644, 'copy')
  await put(out, '/etc/inittab', inittab(agent !== 'none'))
  await put(out, '/etc/everboot/start.conf', `HANG=${options.init === 'hang' ? 'yes' : 'no'}\n`)
  const release = {
    NAME: 'Everboot',
    ID: 'everboot',
    VERSION_ID: version,
    PRETTY_NAME: `Everboot qemu-arm64, ${product} ${version}`,
  }
  await put(
    out,
    '/etc/os-release',
    Object.entries(release)
      .map(([key, value]) => `${key}="${value}"\n`)
      .join(''),
  )
  await put(out, '/etc/passwd', 'root:x:0:0:root:/root:/bin/sh\n')
  await put(out, '/etc/group', 'root:x:0:\n')
  await put(out, '/etc/nsswitch.conf', 'hosts: files dns\n')
  // The name of the machine around is known when it has started.
  await symlink('/run/hosts', join(out, 'etc/hosts'))
  await put(out, '/etc/resolv.conf', 'nameserver 10.0.2.3\n')
  await put(out, '/etc/everboot/agent.json', json(qemuAgentSettings(options)))
  await put(out, '/etc/everboot/trust.json', await readFile(trust))
}

/**
 * Init starts again what ends. Without a colour or a terminal Node prints plain lines; with one processor it needs no
 * threads beside its own.
 */
function inittab(agent: boolean): string {
  const environment = 'MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=131072 NO_COLOR=1'
  const node = ['/usr/bin/node', ...agentNodeOptions, '--v8-pool-size=0', '/usr/lib/everboot/agent.mjs'].join(
    ' ',
  )
  const start = `${environment} exec ${node} --config /etc/everboot/agent.json`
  return [
    '::sysinit:/etc/start.sh\n',
    `::respawn:/bin/httpd -f -p ${serviceAddress} -h /srv\n`,
    ...(agent ? [`::respawn:/bin/sh -c "${start}"\n`] : []),
    '::ctrlaltdel:/bin/reboot -f\n',
  ].join('')
}

/** A sick release is one that was packed with a damaged data file. */
async function putService(options: QemuRootfsOptions): Promise<void> {
  const intact = `Hello from ${options.product} ${options.version}.\n`
  const packed = options.service === 'healthy' ? intact : intact.slice(0, -3)
  await put(options.out, dataFile, packed)
  const sha256 = createHash('sha256').update(intact).digest('hex')
  await put(options.out, '/etc/everboot/service.conf', `DATA=${dataFile}\nSHA256=${sha256}\n`)
}

async function put(root: string, at: string, content: Uint8Array | string, mode = 0o644): Promise<void> {
  const to = join(root, at)
  await mkdir(dirname(to), { recursive: true })
  await writeFile(to, content, { mode })
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}
