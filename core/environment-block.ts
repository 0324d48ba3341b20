/**
 * U-Boot's plain environment layout: `u32le crc32(data)`, then sorted `key=value` strings each ended by a
 * zero byte, one more zero byte at the end, zero padding up to the size of the block.
 * Promise: what `encode` writes, `env import -c` and `fw_printenv` read; what `decode` takes has a good
 * checksum, known syntax, no key twice. Source: U-Boot tools/env and env/common.c.
 * Leaves to others: which keys there are and what they mean.
 */
import { crc32 } from 'node:zlib'
import { assert } from './assert.ts'

const checksumBytes = 4
const keyForm = /^[A-Za-z0-9_]{1,32}$/
/** Printable ASCII: what survives a shell, `fw_setenv` and a serial console. */
const valueForm = /^[\x20-\x7e]{0,256}$/

/**
 * @param block whole block as on the medium
 * @returns its variables, or null when checksum or syntax is wrong
 */
export function decodeEnvironment(block: Uint8Array): ReadonlyMap<string, string> | null {
  if (block.length <= checksumBytes) return null
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength)
  const data = block.subarray(checksumBytes)
  if (view.getUint32(0, true) !== crc32(data)) return null
  const variables = new Map<string, string>()
  let start = 0
  while (start < data.length && data[start] !== 0) {
    const end = data.indexOf(0, start)
    if (end < 0) return null
    const text = Buffer.from(data.buffer, data.byteOffset + start, end - start).toString('latin1')
    const split = text.indexOf('=')
    const key = text.slice(0, split)
    const value = text.slice(split + 1)
    if (split < 1 || !keyForm.test(key) || !valueForm.test(value) || variables.has(key)) return null
    variables.set(key, value)
    start = end + 1
  }
  return start < data.length ? variables : null
}

/**
 * @param size of the block in bytes
 * @returns the block, or null when the variables do not fit or have a form that could not be read back
 */
export function encodeEnvironment(variables: ReadonlyMap<string, string>, size: number): Uint8Array | null {
  assert(size > checksumBytes + 1, `block of ${size} bytes`)
  let text = ''
  for (const [key, value] of [...variables].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (!keyForm.test(key) || !valueForm.test(value)) return null
    text += `${key}=${value}\0`
  }
  if (text === '') text = '\0'
  if (text.length + 1 > size - checksumBytes) return null
  const block = new Uint8Array(size)
  Buffer.from(block.buffer).write(text, checksumBytes, 'latin1')
  new DataView(block.buffer).setUint32(0, crc32(block.subarray(checksumBytes)), true)
  return block
}
