/**
 * What QEMU says on its monitor (QMP): one JSON object a line, decoded from bytes at any split.
 * Promise: the same bytes give the same messages however they are cut; what is no message of QMP, or longer
 * than the limit, is told once and ends the decoding.
 * Leaves to others: asking and waiting (adapters/monitor.ts).
 * Source: QEMU's docs/interop/qmp-spec, sections 2.2 to 2.5.
 */
import * as v from 'valibot'
import { machineLimits } from '../../core/limits.ts'

export type QmpMessage =
  /** The first word: version as `[7, 2, 19]`. */
  | { readonly kind: 'greeting'; readonly version: readonly number[] }
  | { readonly kind: 'return'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'error'; readonly id: number | null; readonly text: string }
  | { readonly kind: 'event'; readonly name: string; readonly data: unknown }
  /** Not QMP; nothing comes after it. */
  | { readonly kind: 'nonsense'; readonly why: string }

export interface QmpDecoder {
  feed(bytes: Uint8Array): readonly QmpMessage[]
}

export function qmpDecoder(): QmpDecoder {
  let open: Uint8Array[] = []
  let held = 0
  let broken = false
  const take = (part: Uint8Array): QmpMessage => {
    const line = Buffer.concat([...open, part])
    open = []
    held = 0
    return message(line.toString('utf8'))
  }
  return {
    feed(bytes) {
      const found: QmpMessage[] = []
      for (let at = 0; at < bytes.length && !broken; ) {
        const end = bytes.indexOf(newline, at)
        const part = bytes.subarray(at, end < 0 ? bytes.length : end)
        at += part.length + 1
        if (held + part.length > machineLimits.monitorLineBytesMax) {
          found.push({ kind: 'nonsense', why: `a line over ${machineLimits.monitorLineBytesMax} bytes` })
        } else if (end >= 0) {
          if (held + part.length > 0) found.push(take(part))
        } else {
          open.push(part.slice())
          held += part.length
        }
        broken = found.at(-1)?.kind === 'nonsense'
      }
      return found
    },
  }
}

const newline = 0x0a

const greeting = v.object({
  QMP: v.object({
    version: v.object({ qemu: v.object({ major: v.number(), minor: v.number(), micro: v.number() }) }),
  }),
})
const returned = v.object({ return: v.unknown(), id: v.number() })
const failed = v.object({
  error: v.object({ class: v.string(), desc: v.string() }),
  id: v.optional(v.number()),
})
const event = v.object({ event: v.string(), data: v.optional(v.unknown()) })

function message(line: string): QmpMessage {
  const value = parsed(line)
  if (v.is(greeting, value)) {
    const { major, minor, micro } = value.QMP.version.qemu
    return { kind: 'greeting', version: [major, minor, micro] }
  }
  if (v.is(event, value)) return { kind: 'event', name: value.event, data: value.data }
  if (v.is(failed, value)) {
    return { kind: 'error', id: value.id ?? null, text: `${value.error.class}: ${value.error.desc}` }
  }
  if (v.is(returned, value)) return { kind: 'return', id: value.id, value: value.return }
  return { kind: 'nonsense', why: `not a message: ${JSON.stringify(line.slice(0, 80))}` }
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
