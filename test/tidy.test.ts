/**
 * The house rules, as tests: each rule holds for the tree, catches the samples that break it and lets pass the
 * sample that keeps it. Then what is printed from tables, the glossary and the command line.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Command } from '../core/command.ts'
import { errorTable } from '../core/errors.ts'
import { commandFaults, commandFiles } from './tidy/commands.ts'
import { glossaryFaults, glossaryTerms } from './tidy/glossary.ts'
import { withClipReference } from './tidy/print-clip-reference.ts'
import { errorsDocument } from './tidy/print-errors.ts'
import { rules, type Sample } from './tidy/rules.ts'
import { linesToWatch, longer } from './tidy/shape.ts'
import { type Source, source } from './tidy/source.ts'
import { readTree, root } from './tidy/tree.ts'

const tree = readTree()
const all = rules({ codes: Object.keys(errorTable), exists: (path) => existsSync(join(root, path)) })
const sources = (sample: Sample): readonly Source[] =>
  Object.entries(sample).map(([path, text]) => source(path, text))
const document = (path: string): string => readFileSync(join(root, path), 'utf8')

describe.each(Object.entries(all))('%s', (_, rule) => {
  it('holds for the tree', () => {
    expect(rule.check(tree)).toEqual([])
  })

  it.each(rule.breaks)('catches a breach %#', (sample) => {
    expect(rule.check(sources(sample))).not.toEqual([])
  })

  it('lets pass what keeps it', () => {
    expect(rule.check(sources(rule.keeps))).toEqual([])
  })
})

it('looks at every part of the house', () => {
  const parts = new Set(tree.map((file) => file.path.split('/')[0]))
  for (const part of [
    'core',
    'keys',
    'images',
    'audio',
    'device',
    'hub',
    'bootloader-sim',
    'bin',
    'test',
    'docs',
  ]) {
    expect(parts).toContain(part)
  }
})

it('says which files grow long', () => {
  const rows = longer(tree, linesToWatch).map(([path, lines]) => `${String(lines).padStart(5)}  ${path}`)
  if (rows.length > 0) process.stdout.write(`over ${linesToWatch} lines:\n${rows.join('\n')}\n`)
  expect(longer(sources({ 'core/a.ts': 'f()\n'.repeat(linesToWatch + 1) }), linesToWatch)).toHaveLength(1)
})

describe('docs/ERRORS.md', () => {
  it('is printed from the table of error codes', () => {
    expect(document('docs/ERRORS.md')).toBe(errorsDocument())
  })

  it('has a row for every code', () => {
    for (const code of Object.keys(errorTable)) expect(errorsDocument()).toContain(`| \`${code}\` |`)
  })
})

describe('docs/guides/audio-clips.md', () => {
  it('has diagram and reference as the sources have them; node test/tidy/print-clip-reference.ts writes them', () => {
    const guide = document('docs/guides/audio-clips.md')
    expect(guide).toBe(withClipReference(guide))
  })
})

describe('docs/GLOSSARY.md', () => {
  it('has each term once, sorted, in one line', () => {
    expect(glossaryFaults(document('docs/GLOSSARY.md'))).toEqual([])
    expect(glossaryTerms(document('docs/GLOSSARY.md')).length).toBeGreaterThan(40)
  })

  it.each([
    '- **b**: Second.\n- **a**: First.\n',
    '- **a**: First.\n- **a**: Again.\n',
    '- **a**: no capital.\n',
    '- **a**: No full stop\n',
    '- **a** has no colon.\n',
  ])('is refused when it reads %j', (text) => {
    expect(glossaryFaults(text)).not.toEqual([])
  })
})

describe('the command line', async () => {
  const files = commandFiles(tree).filter((path) => existsSync(join(root, path)))
  const modules: { commands: readonly Command[] }[] = await Promise.all(
    files.map((path) => import(join(root, path))),
  )
  const commands = [...new Set(modules.flatMap((it) => it.commands))]

  it('has the commands of every part', () => {
    const names = commands.map((command) => command.name)
    for (const name of ['keys init', 'image build', 'hub serve', 'device status', 'emulator run']) {
      expect(names).toContain(name)
    }
    expect(new Set(names).size).toBe(names.length)
  })

  it.each(commands)('everboot $name shows help in 80 columns and takes --json', (command) => {
    expect(commandFaults(command)).toEqual([])
  })

  const good: Command = {
    name: 'a b',
    summary: 'Do it',
    positionals: '',
    positionalsMin: 0,
    positionalsMax: 0,
    options: {},
    run: async () => 0,
  }
  it.each<Partial<Command>>([
    { summary: 'do it' },
    { notes: 'x'.repeat(81) },
    { options: { json: { type: 'boolean', means: 'own' } } },
    { options: { a: { type: 'string', means: '' } } },
    { options: { a: { type: 'string', means: 'A sentence.' } } },
  ])('a command with %j is caught', (change) => {
    expect(commandFaults(good)).toEqual([])
    expect(commandFaults({ ...good, ...change })).not.toEqual([])
  })
})
