/**
 * The agent's configuration of an image, with the paths that it has in plain emulation.
 * Promise: only paths change, by where they begin; a block device becomes its part of the disk file.
 * Leaves to others: what the settings mean.
 */
import { raise } from '../core/errors.ts'
import type { BoardFile } from './board-file.ts'

export interface PlainPaths {
  /** Where the slot is unpacked. */
  readonly root: string
  readonly run: string
  readonly data: string
  readonly disk: string
  readonly partitions: BoardFile['partitions']
}

/** @param text of `agent.json`. @throws EverbootError EB-CONFIG */
export function plainAgentSettings(text: string, paths: PlainPaths): string {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch {
    raise('EB-CONFIG', 'agent.json of the slot is not JSON')
  }
  return `${JSON.stringify(mapped(document, paths), null, 2)}\n`
}

function mapped(value: unknown, paths: PlainPaths): unknown {
  if (typeof value === 'string') return mappedPath(value, paths)
  if (Array.isArray(value)) return value.map((it) => mapped(it, paths))
  if (typeof value !== 'object' || value === null) return value
  const device = 'device' in value && typeof value.device === 'string' ? partOf(value.device, paths) : null
  if (device !== null) return device
  return Object.fromEntries(Object.entries(value).map(([key, it]) => [key, mapped(it, paths)]))
}

function partOf(device: string, paths: PlainPaths): Record<string, unknown> | null {
  const names = { boot: 'boot', 'slot-a': 'a', 'slot-b': 'b' } as const
  const name = device.replace(/^\/dev\/everboot\//, '')
  if (name !== 'boot' && name !== 'slot-a' && name !== 'slot-b') return null
  return { device: paths.disk, ...paths.partitions[names[name]] }
}

function mappedPath(text: string, paths: PlainPaths): string {
  const [, scheme = '', path = ''] = /^(unix:)?(\/.*)$/s.exec(text) ?? []
  for (const [from, to] of [
    ['/run', paths.run],
    ['/data', paths.data],
    ['/etc', `${paths.root}/etc`],
    ['/usr', `${paths.root}/usr`],
  ] as const) {
    if (path === from || path.startsWith(`${from}/`)) return `${scheme}${to}${path.slice(from.length)}`
  }
  return text
}
