/**
 * Measures an MQTT byte stream by its fixed headers, before any parser holds bytes of it.
 * Promise: a packet that claims more than the limit, a malformed length, a first packet that is not CONNECT,
 * or too many bytes before authentication is noticed at the byte where it shows; memory is a few numbers.
 * Source: MQTT 3.1.1, section 2.2 (fixed header) and 3.1 (CONNECT first).
 * Leaves to others: the socket (adapters/metered-socket.ts), what the packets say (aedes).
 */
import { hubLimits } from '../../core/limits.ts'

const connectType = 1
const lengthBytesMax = 4

export interface PacketMeter {
  /** Takes the next bytes of the connection. @returns null, or why the connection must end. */
  take(bytes: Uint8Array): string | null
  /** The client has proved who it is: the limits of a device hold from here on. */
  authenticated(): void
}

export function createPacketMeter(): PacketMeter {
  let trusted = false
  let total = 0
  let packets = 0
  /** Bytes of the body still to come; null while inside a fixed header. */
  let body: number | null = null
  let headerBytes = 0
  let length = 0

  const header = (byte: number): string | null => {
    if (headerBytes === 0) {
      headerBytes = 1
      length = 0
      const type = byte >> 4
      return packets === 0 && type !== connectType ? 'the first packet is not CONNECT' : null
    }
    length += (byte & 0x7f) * 128 ** (headerBytes - 1)
    if (byte >= 0x80) {
      headerBytes += 1
      return headerBytes > lengthBytesMax ? 'the length of a packet is malformed' : null
    }
    const limit = trusted ? hubLimits.packetBytesMax : hubLimits.connectPacketBytesMax
    if (length > limit) return `a packet claims ${length} bytes, limit ${limit}`
    headerBytes = 0
    packets += 1
    body = length === 0 ? null : length
    return null
  }
  return {
    take(bytes) {
      total += bytes.length
      if (!trusted && total > hubLimits.unauthenticatedBytesMax) {
        return `${total} bytes before authentication, limit ${hubLimits.unauthenticatedBytesMax}`
      }
      let at = 0
      while (at < bytes.length) {
        if (body !== null) {
          const step = Math.min(body, bytes.length - at)
          at += step
          body = body === step ? null : body - step
          continue
        }
        const refusal = header(bytes[at] ?? 0)
        if (refusal !== null) return refusal
        at += 1
      }
      return null
    },
    authenticated() {
      trusted = true
    },
  }
}
