/** The command line frame: the same rules for every command. */
import { expect, test } from 'vitest'
import {
  type Command,
  type CommandInput,
  flagOption,
  helpText,
  listOption,
  numberOption,
  parseCommand,
  requiredOption,
  textOption,
} from '../../core/command.ts'
import { EverbootError, faultOf } from '../../core/errors.ts'

const command: Command = {
  name: 'image demo',
  summary: 'do something',
  positionals: 'FILE [OTHER]',
  positionalsMin: 1,
  positionalsMax: 2,
  options: {
    out: { type: 'string', value: 'FILE', means: 'where to' },
    tag: { type: 'string', multiple: true, means: 'a tag' },
    force: { type: 'boolean', means: 'do it anyway' },
    count: { type: 'string', value: 'N', means: 'how often' },
  },
  notes: 'More to know.',
  run: async () => 0,
}
const parse = (...args: string[]): CommandInput =>
  ({ ...parseCommand(command, args), io: {} }) as unknown as CommandInput

function codeOf(act: () => unknown): string {
  try {
    act()
    return 'done'
  } catch (caught) {
    expect(caught).toBeInstanceOf(EverbootError)
    const it = faultOf(caught)
    expect(it.what.length).toBeGreaterThan(5)
    return it.code
  }
}

test('arguments and options are told apart, in any order', () => {
  const input = parse('--out', 'x', 'a', '--tag=1', '--force', 'b', '--tag', '2', '--json')
  expect(input.positionals).toEqual(['a', 'b'])
  expect(textOption(input, 'out')).toBe('x')
  expect(listOption(input, 'tag')).toEqual(['1', '2'])
  expect(flagOption(input, 'force')).toBe(true)
  expect(input.json).toBe(true)
  const bare = parse('a')
  expect([textOption(bare, 'out'), listOption(bare, 'tag'), flagOption(bare, 'force'), bare.json]).toEqual([
    undefined,
    [],
    false,
    false,
  ])
})

test.each<[string, string[]]>([
  ['an unknown option', ['a', '--nope']],
  ['an unknown short option', ['a', '-x']],
  ['an option without its value', ['a', '--out']],
  ['a value for a flag', ['a', '--force=yes']],
  ['too few arguments', []],
  ['too many arguments', ['a', 'b', 'c']],
  ['an option named like a property of objects', ['a', '--__proto__', 'x']],
])('%s is a usage error', (_, args) => {
  expect(codeOf(() => parse(...args))).toBe('EB-USAGE')
})

test('help is given however few arguments there are', () => {
  expect(parse('--help').values['help']).toBe(true)
})

test('what follows -- is an argument, dashes or not', () => {
  expect(parse('--', '--out').positionals).toEqual(['--out'])
})

test('a required option that is missing is named', () => {
  expect(requiredOption(parse('a', '--out', 'x'), 'out')).toBe('x')
  expect(codeOf(() => requiredOption(parse('a'), 'out'))).toBe('EB-USAGE')
})

test('numbers are whole, decimal and within their bounds', () => {
  const number = (text: string): number | undefined =>
    numberOption(parse('a', '--count', text), 'count', 1, 2 ** 40)
  expect(number('1')).toBe(1)
  expect(number('1099511627776')).toBe(2 ** 40)
  expect(number('007')).toBe(7)
  expect(numberOption(parse('a'), 'count', 1, 2)).toBeUndefined()
  for (const text of [
    '0',
    '1099511627777',
    '',
    ' 1',
    '1 ',
    '0x10',
    '1e3',
    '1.0',
    '+1',
    '٣',
    '9'.repeat(17),
    'NaN',
  ]) {
    expect(
      codeOf(() => number(text)),
      text,
    ).toBe('EB-USAGE')
  }
})

test('the help names every option, the common ones too, within 80 columns', () => {
  const text = helpText(command)
  for (const it of [
    '--out FILE',
    '--tag',
    '--force',
    '--count N',
    '--json',
    '--help',
    'may be repeated',
    'More to know.',
  ]) {
    expect(text).toContain(it)
  }
  expect(text).toContain('Usage: everboot image demo FILE [OTHER] [options]')
  for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
})
