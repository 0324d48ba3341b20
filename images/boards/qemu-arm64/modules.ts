/**
 * In what order kernel modules are loaded, from `modules.dep` of the kernel itself.
 * Promise: whatever a module needs comes before it, each module once. The order changes between builds of one
 * kernel, so nothing here knows it.
 * Leaves to others: loading them.
 */
import { raise } from '../../../core/errors.ts'

/** Seen by the initramfs: disk, hash tree, watchdog. The last one makes hashing faster. */
export const earlyModules = ['virtio_pci', 'virtio_blk', 'dm-verity', 'softdog', 'sha2-ce'] as const
/** Loaded by the system in the slot. */
export const lateModules = ['virtio_net', 'virtio-rng'] as const

/**
 * @param dependencies text of `modules.dep`
 * @returns paths below the directory of that file. @throws EverbootError EB-IMAGE naming a module that is missing
 */
export function loadOrder(dependencies: string, wanted: readonly string[]): readonly string[] {
  const needs = new Map<string, readonly string[]>()
  for (const line of dependencies.split('\n')) {
    const [path, list = ''] = line.split(':')
    if (path !== undefined && path !== '')
      needs.set(
        path,
        list.split(' ').filter((it) => it !== ''),
      )
  }
  const order: string[] = []
  for (const name of wanted) {
    const path = [...needs.keys()].find((it) => it.endsWith(`/${name}.ko`))
    if (path === undefined) raise('EB-IMAGE', `the kernel has no module ${name}`)
    // The list is ordered for unloading.
    const chain = [...(needs.get(path) ?? [])].reverse()
    for (const one of [...chain, path]) if (!order.includes(one)) order.push(one)
  }
  return order
}
