/**
 * The PUBLISH packets in one direction of an MQTT connection (MQTT 3.1.1, sections 2.2 and 3.3).
 * Promise: pure; packets are found however the bytes are cut into parts; one that is longer than any that
 * hub and device send is an error, not memory.
 */
import { soakLimits } from './limits.ts'

const publish = 3

/** @returns a function to be fed with the bytes */
export function publishes(take: (topic: string, payload: Uint8Array) => void): (bytes: Uint8Array) => void {
  let open: Buffer = Buffer.alloc(0)
  return (bytes) => {
    open = Buffer.concat([open, bytes])
    for (;;) {
      const head = headOf(open)
      if (head === null || open.length < head.end) return
      const packet = open.subarray(head.start, head.end)
      if (head.type === publish) takePublish(packet, head.qos, take)
      open = open.subarray(head.end)
    }
  }
}

/** @returns null when the head is not whole yet */
function headOf(bytes: Buffer): { type: number; qos: number; start: number; end: number } | null {
  const [first] = bytes
  if (first === undefined) return null
  let length = 0
  for (let index = 0; index < 4; index += 1) {
    const digit = bytes[1 + index]
    if (digit === undefined) return null
    length += (digit & 0x7f) * 128 ** index
    if (length > soakLimits.packetBytesMax) throw new RangeError(`an MQTT packet of ${length} bytes`)
    if (digit >= 0x80) continue
    const start = 2 + index
    return { type: first >> 4, qos: (first >> 1) & 3, start, end: start + length }
  }
  throw new RangeError('an MQTT packet with a length of more than four digits')
}

function takePublish(packet: Buffer, qos: number, take: (topic: string, payload: Uint8Array) => void): void {
  const topicEnd = 2 + packet.readUInt16BE(0)
  take(packet.toString('utf8', 2, topicEnd), packet.subarray(topicEnd + (qos > 0 ? 2 : 0)))
}
