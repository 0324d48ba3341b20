/**
 * Challenges: by answering one, a device proves that it holds a content before it may read it from the hub.
 * Promise: a challenge is of the hub, for one device and one content, good for a while and once, whether or not
 * the answer was right. Making one keeps nothing, so that asking for many costs the hub no memory; only used ones
 * are remembered, until they would be too old anyway. A restart of the hub voids all.
 * Leaves to others: reading the content and comparing the proof (keeper.ts).
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { hubClipLimits } from '../../core/clip-limits.ts'
import { type Fault, fault } from '../../core/errors.ts'
import type { Clock, Entropy } from '../../core/ports.ts'

const keyBytes = 32
const nonceBytes = 16
const timeBytes = 8
const macBytes = 32
export const challengeBytes = nonceBytes + timeBytes + macBytes

export interface Challenges {
  /** @returns 112 hex digits */
  issue(device: string, sha256: string): string
  /** Uses it up. @param challenge hex. @returns null when it was good; EB-CONFLICT, EB-LIMIT */
  use(device: string, sha256: string, challenge: string): Fault | null
}

export function createChallenges(entropy: Entropy, clock: Pick<Clock, 'wallMs'>): Challenges {
  const key = entropy.bytes(keyBytes)
  const used = usedOnes()
  const macOf = (device: string, sha256: string, head: Uint8Array): Buffer =>
    createHmac('sha256', key).update(`${device} ${sha256} `).update(head).digest()
  return {
    issue(device, sha256) {
      const time = Buffer.alloc(timeBytes)
      time.writeBigUInt64BE(BigInt(clock.wallMs()))
      const head = Buffer.concat([entropy.bytes(nonceBytes), time])
      return Buffer.concat([head, macOf(device, sha256, head)]).toString('hex')
    },
    use(device, sha256, challenge) {
      const bytes = Buffer.from(challenge, 'hex')
      const head = bytes.subarray(0, nonceBytes + timeBytes)
      const mac = bytes.subarray(head.length)
      const own =
        bytes.length === challengeBytes &&
        challenge.length === 2 * challengeBytes &&
        timingSafeEqual(mac, macOf(device, sha256, head))
      if (!own) return refusal('is not of this hub since its start, for this device and content')
      const now = clock.wallMs()
      const age = now - Number(head.readBigUInt64BE(nonceBytes))
      if (age < 0 || age > hubClipLimits.challengeMs) return refusal('is too old')
      return used.add(device, head.toString('hex'), now)
    },
  }
}

interface Used {
  add(device: string, challenge: string, nowMs: number): Fault | null
}

/** Oldest first, since each is forgotten the same time after its use. */
function usedOnes(): Used {
  const used = new Map<string, { readonly device: string; readonly atMs: number }>()
  const byDevice = new Map<string, number>()
  const forgetOld = (nowMs: number): void => {
    for (const [challenge, { device, atMs }] of used) {
      if (nowMs - atMs <= hubClipLimits.challengeMs) return
      used.delete(challenge)
      const left = (byDevice.get(device) ?? 1) - 1
      if (left === 0) byDevice.delete(device)
      else byDevice.set(device, left)
    }
  }
  return {
    add(device, challenge, nowMs) {
      forgetOld(nowMs)
      if (used.has(challenge)) return refusal('was used before')
      const own = byDevice.get(device) ?? 0
      if (own >= hubClipLimits.challengesPerDeviceMax || used.size >= hubClipLimits.challengesMax) {
        return fault(
          'EB-LIMIT',
          `too many claims in ${hubClipLimits.challengeMs} ms`,
          'retry in some minutes',
        )
      }
      used.set(challenge, { device, atMs: nowMs })
      byDevice.set(device, own + 1)
      return null
    },
  }
}

function refusal(why: string): Fault {
  return fault('EB-CONFLICT', `the challenge ${why}`, 'ask for another one with POST /clips/have')
}
