/**
 * Real chance, from the operating system.
 */
import { randomBytes, randomInt } from 'node:crypto'
import type { Entropy, Random } from '../../core/ports.ts'

export const systemEntropy: Entropy = { bytes: (count) => randomBytes(count) }

export const systemRandom: Random = {
  uint32: () => randomBytes(4).readUInt32LE(),
  below: (limit) => randomInt(limit),
}
