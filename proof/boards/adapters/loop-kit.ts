/** What stories on emulated boards with loop devices are played with, by the commands that a user would type. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { raise } from '../../../core/errors.ts'
import { sceneLimits } from '../../../core/limits.ts'
import type { Children } from '../../../demo/adapters/children.ts'
import { openLoopBoard } from './loop-board.ts'
import type { BoardKit, Recipe } from './workshop.ts'

export function loopKit(children: Children): BoardKit {
  return {
    async build({ version, behaviour, securityVersion, floorAfterCommit }, keys, out) {
      const root = `${out}.root`
      const trust = join(keys, 'trust.json')
      const timing = [
        ...['--health-ms', `${sceneLimits.healthDeadlineMs}`],
        ...['--reboot-ms', `${sceneLimits.rebootDelayMs}`],
      ]
      await children.run([
        ...['image', 'rootfs', '--out', root, '--board', 'sim', '--version', version, '--trust', trust],
        ...[...timing, ...flagsOf(behaviour)],
      ])
      const floor = floorAfterCommit === null ? [] : ['--floor-after-commit', `${floorAfterCommit}`]
      await children.run([
        ...['image', 'build', root, '--out', out, '--keys', keys, '--level', '1', '--product', 'demo'],
        ...['--version', version, '--security-version', `${securityVersion}`, '--hardware', 'sim', ...floor],
      ])
      await rm(root, { recursive: true })
    },
    async create({ directory, release, keys, identity, onLine }) {
      await children.run([
        ...['emulator', 'create', directory, '--release', release, '--keys', keys, '--identity', identity],
        ...['--watchdog-ms', `${sceneLimits.loopWatchdogMs}`],
      ])
      return openLoopBoard(directory, children, onLine)
    },
  }
}

/** @throws EverbootError EB-UNSUPPORTED */
function flagsOf(behaviour: Recipe['behaviour']): readonly string[] {
  switch (behaviour) {
    case 'healthy':
      return []
    case 'sick':
      return ['--service', 'sick']
    case 'hang':
      return ['--init', 'hang']
    case 'no agent':
      return ['--no-agent']
    default:
      return raise('EB-UNSUPPORTED', `no emulated system is made that behaves as "${behaviour}"`)
  }
}
