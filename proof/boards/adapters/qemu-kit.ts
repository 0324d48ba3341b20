/** What stories on QEMU boards are played with: releases and boards of images/boards/qemu-arm64. */
import { raise } from '../../../core/errors.ts'
import { sceneLimits } from '../../../core/limits.ts'
import { buildQemuBoard } from '../../../images/boards/qemu-arm64/adapters/board.ts'
import { buildQemuRelease } from '../../../images/boards/qemu-arm64/adapters/release.ts'
import { openQemuBoard } from './qemu-board.ts'
import { type BoardKit, type Recipe, readIdentity } from './workshop.ts'

export const qemuKit: BoardKit = {
  async build({ version, behaviour, securityVersion, floorAfterCommit }, keys, out) {
    await buildQemuRelease({
      ...{ out, keys, version, securityVersion, floorAfterCommit },
      ...partsOf(behaviour),
      rebootDelayMs: sceneLimits.rebootDelayMs,
      healthDeadlineMs: sceneLimits.healthDeadlineMs,
    })
  },
  async create({ directory, release, keys, identity, onLine }) {
    const board = await buildQemuBoard({
      ...{ directory, release, keys, identity: await readIdentity(identity) },
      watchdogSeconds: sceneLimits.watchdogMs / 1000,
    })
    return openQemuBoard({ board, onLine, lifeMs: sceneLimits.lifeMs })
  },
}

/** @throws EverbootError EB-UNSUPPORTED */
function partsOf(behaviour: Recipe['behaviour']) {
  const well = { service: 'healthy', init: 'normal', agent: 'bundle' } as const
  switch (behaviour) {
    case 'healthy':
      return well
    case 'sick':
      return { ...well, service: 'sick' } as const
    case 'hang':
      return { ...well, init: 'hang' } as const
    case 'no agent':
      return { ...well, agent: 'none' } as const
    default:
      return raise('EB-UNSUPPORTED', `no system for QEMU is made that behaves as "${behaviour}"`)
  }
}
