/**
 * `everboot device state`: puts the kept state in its place, shows it, has it forgotten.
 * Leaves to others: doing it (adapters/kept-state.ts).
 */
import { type Command, type CommandInput, textOption } from '../../core/command.ts'
import { raise } from '../../core/errors.ts'
import { askForReset, keptPaths, mountState, newerDefaults, readKeepList } from './adapters/kept-state.ts'

const defaultConfig = '/etc/everboot/state.json'

export const state: Command = {
  name: 'device state',
  summary: 'Mount, show or reset the state that is kept across updates',
  positionals: 'mount|list|reset',
  positionalsMin: 1,
  positionalsMax: 1,
  options: {
    config: { type: 'string', value: 'FILE', means: `what is kept (default ${defaultConfig})` },
  },
  notes: `mount is for the start of the system, before anything reads what is kept; doing it again does nothing.
reset has everything kept forgotten at the next start; the agent's identity is no part of it.`,
  async run(input) {
    const list = readKeepList(textOption(input, 'config') ?? defaultConfig)
    const [word = ''] = input.positionals
    if (word === 'mount') {
      const found = await mountState(list)
      const { mounted, dropped, made, newer, wasReset } = found
      const text = [
        wasReset ? 'everything kept was reset' : '',
        `kept state over ${mounted.join(', ') || 'nothing new'}`,
        made.length > 0 ? `made ${made.join(', ')}` : '',
        dropped > 0 ? `${dropped} unlisted paths dropped` : '',
        newer.length > 0 ? `the release has other defaults for ${newer.join(', ')}` : '',
      ]
      print(input, found, text.filter((it) => it !== '').join('; '))
    } else if (word === 'list') {
      const kept = keptPaths(list)
      const newer = newerDefaults(list)
      const row = (it: string): string =>
        `${it}${newer.includes(it) ? '  (the release has another default)' : ''}`
      print(input, { kept, newer }, kept.map(row).join('\n'))
    } else if (word === 'reset') {
      askForReset(list)
      print(input, { reset: true }, 'everything kept is forgotten at the next start')
    } else raise('EB-USAGE', `device state takes mount, list or reset, not ${word}`)
    return 0
  },
}

function print(input: CommandInput, document: object, text: string): void {
  input.io.out(input.json ? JSON.stringify(document) : text)
}
