/**
 * `everboot publish`: sends a release file to the hub.
 * Promise: who may not publish hears it before a byte of the release is sent.
 */
import type { Command } from '../../core/command.ts'
import { bytesText } from '../../core/units.ts'
import type { ReleaseView } from '../http/views.ts'
import { hubOption, print, withHub } from './common.ts'

export const publish: Command = {
  name: 'publish',
  summary: 'Send a release to the hub',
  positionals: 'FILE.ebr',
  positionalsMin: 1,
  positionalsMax: 1,
  options: hubOption,
  run: (input) =>
    withHub(input, async (hub) => {
      const [file = ''] = input.positionals
      const { io } = input
      await hub.get('/v1/hub')
      const answer = await hub.upload<ReleaseView & { published: boolean; devicesWithKeys: number }>(
        '/v1/releases',
        file,
        (sent, total) => {
          if (io.terminal) io.draw(`sending ${bytesText(sent)} of ${bytesText(total)}`)
        },
      )
      print(input, answer, () => [
        `${answer.published ? 'published' : 'already published:'} ${answer.id} (${answer.product} ${answer.version}, ` +
          `${bytesText(answer.bytes)}), content keys for ${answer.devicesWithKeys} devices`,
      ])
      return 0
    }),
}
