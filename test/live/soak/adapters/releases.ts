/**
 * The releases of a soak: root directories, raw images and `.ebr` files made by the commands that a publisher
 * types. The raw images stay: they are what slots are compared with.
 */
import { rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { tool } from '../../../../bootloader-sim/adapters/tools.ts'
import type { Children } from '../../../../demo/adapters/children.ts'
import type { Manifest } from '../../../../images/release/manifest.ts'
import { slowDown } from '../../rig.ts'
import type { KnownRelease } from '../facts.ts'
import { soakLimits } from '../limits.ts'
import type { ReleasePlan } from '../plan.ts'

export interface MadeRelease extends KnownRelease {
  /** The `.ebr`. */
  readonly file: string
}

const flags = {
  good: ['--health-ms', `${soakLimits.healthMs}`],
  sick: ['--health-ms', `${soakLimits.sickHealthMs}`, '--service', 'sick'],
  hung: ['--health-ms', `${soakLimits.healthMs}`, '--init', 'hang'],
  bare: ['--health-ms', `${soakLimits.healthMs}`, '--no-agent'],
} as const

/** @param directory holds `keys`; @param device for whom the content keys are wrapped */
export async function makeRelease(
  children: Children,
  directory: string,
  device: string,
  plan: ReleasePlan,
): Promise<MadeRelease> {
  const at = (name: string): string => join(directory, name)
  const { version, kind, securityVersion } = plan
  const root = at(`root-${version}`)
  const [image, file] = [at(`v${version}.img`), at(`v${version}.ebr`)]
  const common = ['--board', 'sim', '--version', `${version}`, '--trust', at('keys/trust.json')]
  const timing = ['--network-ms', `${soakLimits.networkMs}`, '--reboot-ms', `${soakLimits.rebootMs}`]
  await children.run(['image', 'rootfs', '--out', root, ...common, ...timing, ...flags[kind]])
  await slowDown(root, soakLimits.fillerBytes)
  await writeFile(image, '')
  await truncate(image, soakLimits.imageBytes)
  await tool('mkfs.ext4', '-q', '-F', '-b', '4096', '-d', root, image)
  await rm(root, { recursive: true })
  const built = (await children.run([
    ...['image', 'build', image, '--out', file, '--keys', at('keys'), '--level', '1'],
    ...['--product', 'demo', '--version', `${version}`, '--security-version', `${securityVersion}`],
    ...['--hardware', 'sim', '--device', device],
  ])) as unknown as { readonly release: string; readonly images: Manifest['images'] }
  const verityRoot = built.images[0]?.verityRoot ?? 'none'
  return { id: built.release, version, kind, securityVersion, image, verityRoot, file }
}
