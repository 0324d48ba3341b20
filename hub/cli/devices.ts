/**
 * `everboot devices add` and `devices list`.
 * Promise: the identity file, which holds the token, is readable by its owner only and never overwritten; it is
 * not made when the hub refuses, and the token is printed nowhere.
 */
import { stat } from 'node:fs/promises'
import { type Command, flagOption, requiredOption } from '../../core/command.ts'
import { raise } from '../../core/errors.ts'
import { writePrivately } from '../adapters/files.ts'
import { deviceIdentity } from '../config.ts'
import type { DeviceView } from '../http/views.ts'
import { allOf, hubOption, print, table, withHub } from './common.ts'

export const devicesAdd: Command = {
  name: 'devices add',
  summary: 'Make a device known and write its identity file',
  positionals: 'ID',
  positionalsMin: 1,
  positionalsMax: 1,
  options: {
    ...hubOption,
    out: { type: 'string', value: 'FILE', means: 'identity file to write (required)' },
    renew: { type: 'boolean', means: 'give a known device a new token; the old one is void at once' },
  },
  run: (input) =>
    withHub(input, async (hub) => {
      const [id = ''] = input.positionals
      const out = requiredOption(input, 'out')
      if (await exists(out))
        raise('EB-CONFLICT', `${out} exists`, { todo: 'remove it or choose another name' })
      const renew = flagOption(input, 'renew')
      const { token, renewed } = await hub.post<{ token: string; renewed: boolean }>('/v1/devices', {
        id,
        renew,
      })
      await writePrivately(out, `${JSON.stringify(deviceIdentity(hub.file, id, token), null, 2)}\n`)
      print(input, { id, out, renewed }, () => [`${renewed ? 'renewed' : 'added'} ${id}, identity in ${out}`])
      return 0
    }),
}

export const devicesList: Command = {
  name: 'devices list',
  summary: 'List the devices: presence, running release, drift',
  positionals: '',
  positionalsMin: 0,
  positionalsMax: 0,
  options: hubOption,
  run: (input) =>
    withHub(input, async (hub) => {
      const devices = await allOf<DeviceView>(hub, 'devices')
      print(input, { devices }, () =>
        devices.length === 0
          ? ['no devices']
          : table(
              ['DEVICE', 'PRESENCE', 'STATE', 'SLOT', 'RUNNING', 'DRIFT', 'LAST ATTEMPT'],
              devices.map(row),
            ),
      )
      return 0
    }),
}

function row(it: DeviceView): readonly string[] {
  const { attempt } = it
  const last =
    attempt === null
      ? '-'
      : `${attempt.rollout} ${attempt.state}${attempt.code === null ? '' : ` ${attempt.code}`}`
  const { state = '-', slot = '-' } = it.reported ?? {}
  return [it.id, it.presence, state, slot, it.running?.version ?? '-', it.drift, last]
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
