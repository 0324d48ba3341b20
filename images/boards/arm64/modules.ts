/**
 * In what order kernel modules are loaded, from `modules.dep` of the kernel itself.
 * Promise: whatever a module needs comes before it, each module once. The order changes between builds of one
 * kernel, so nothing here knows it.
 * Leaves to others: which modules a board wants, loading them.
 */
import { raise } from '../../../core/errors.ts'

/** `modules.dep` and `modules.builtin` of a kernel. */
export interface KernelLists {
  readonly dependencies: string
  /** Paths of what is part of the kernel itself and need not be loaded. */
  readonly builtin: string
}

/** The name of a module from its path; the kernel takes `-` and `_` as one. */
export function moduleName(path: string): string {
  return (path.split('/').at(-1) ?? '').replace(/\.ko(\.(xz|zst|gz))?$/, '').replaceAll('-', '_')
}

/**
 * @param wanted names; those that are built in are left out
 * @returns paths below the directory of those lists. @throws EverbootError EB-IMAGE naming a module that is missing
 */
export function loadOrder(lists: KernelLists, wanted: readonly string[]): readonly string[] {
  const needs = dependenciesOf(lists)
  const builtin = new Set(lists.builtin.split('\n').map(moduleName))
  const order: string[] = []
  for (const name of wanted) {
    const path = [...needs.keys()].find((it) => moduleName(it) === moduleName(name))
    if (path === undefined && builtin.has(moduleName(name))) continue
    if (path === undefined) raise('EB-IMAGE', `the kernel has no module ${name}`)
    // The list is ordered for unloading.
    const chain = [...(needs.get(path) ?? [])].reverse()
    for (const one of [...chain, path]) if (!order.includes(one)) order.push(one)
  }
  return order
}

/** Those of `names` that the kernel has, as a module or built in. */
export function presentModules(lists: KernelLists, names: readonly string[]): readonly string[] {
  const paths = [...dependenciesOf(lists).keys(), ...lists.builtin.split('\n')]
  const there = new Set(paths.map(moduleName))
  return names.filter((it) => there.has(moduleName(it)))
}

function dependenciesOf({ dependencies }: KernelLists): ReadonlyMap<string, readonly string[]> {
  const needs = new Map<string, readonly string[]>()
  for (const line of dependencies.split('\n')) {
    const [path, list = ''] = line.split(':')
    if (path === undefined || path === '') continue
    needs.set(
      path,
      list.split(' ').filter((it) => it !== ''),
    )
  }
  return needs
}
