/** What the program under load and the test that kills it open one cache with. */
import { EverbootError, fault } from '../../core/errors.ts'
import type { ClipFiles } from '../../core/ports.ts'
import { systemEntropy, systemRandom } from '../../device/adapters/chance.ts'
import { systemClock } from '../../device/adapters/clock.ts'
import type { ClipPorts, ClipSettings } from '../../device/clips/clip-service.ts'
import { verifyEd25519 } from '../../keys/verify-node.ts'

/** So small that clips must give way all the time. */
export const loadBytes = 600_000
export const loadItems = 24

export const loadSettings: ClipSettings = {
  limits: {
    bytes: loadBytes,
    items: loadItems,
    ttlMs: 0,
    pinnedBytes: 100_000,
    quotas: new Map([['skill-1', 300_000]]),
    quotaDefault: Number.POSITIVE_INFINITY,
  },
  memoryBytes: 200_000,
  reserveBytes: 0,
  staleMs: 0,
  wrappingKey: new Uint8Array(32).fill(5),
  earliestWallMs: 0,
  hubUrl: 'http://127.0.0.1:9',
  ring: { keys: new Map(), threshold: 1 },
  verify: verifyEd25519,
  skills: null,
}

export function loadPorts(files: ClipFiles): ClipPorts {
  const away = (): never => {
    throw new EverbootError(fault('EB-HUB-UNREACHABLE', 'there is no hub in this test'))
  }
  return {
    files,
    clock: systemClock,
    random: systemRandom,
    entropy: systemEntropy,
    fetch: { get: away },
    events: { emit: () => {} },
  }
}
