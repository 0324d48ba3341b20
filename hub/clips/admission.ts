/**
 * How many uploads and claims may be under way.
 * Promise: one device never takes all places; operators have places of their own.
 */
import { hubClipLimits } from '../../core/clip-limits.ts'
import { raise } from '../../core/errors.ts'

export interface Admission {
  /**
   * @param device null for an operator
   * @returns a function that gives the place back. @throws EverbootError EB-LIMIT
   */
  enter(device: string | null): () => void
}

export function admission(): Admission {
  let operators = 0
  let devices = 0
  const byDevice = new Map<string, number>()
  const { uploadsMax, uploadsPerDeviceMax } = hubClipLimits
  const full = (what: string, most: number): never =>
    raise('EB-LIMIT', `${what} ${most} uploads under way, the most at a time`, {
      todo: 'retry when one has ended',
    })
  return {
    enter(device) {
      if (device === null) {
        if (operators >= uploadsMax) full('operators have', uploadsMax)
        operators += 1
        return () => {
          operators -= 1
        }
      }
      const own = byDevice.get(device) ?? 0
      if (own >= uploadsPerDeviceMax) full(`device ${device} has`, uploadsPerDeviceMax)
      if (devices >= uploadsMax) full('devices have', uploadsMax)
      devices += 1
      byDevice.set(device, own + 1)
      return () => {
        devices -= 1
        const left = (byDevice.get(device) ?? 1) - 1
        if (left === 0) byDevice.delete(device)
        else byDevice.set(device, left)
      }
    },
  }
}
