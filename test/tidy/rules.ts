/**
 * All rules over the tree, each as a sentence, with samples that break it and one that keeps it.
 * Promise: a rule without a breaking sample does not stand here.
 */

import { noLeftovers, noLooseTypes, noSkippedTests, nothingUnfinished } from './forms.ts'
import { coreStandsAlone, importDirection, noBarrels, noCycles, pureImports } from './imports.ts'
import { noAmbientWorld, noModuleState, noWorkAtImport } from './purity.ts'
import { fileLength, headers, kebabCase, linesMax, linksLead, namedFilesExist, testsMirror } from './shape.ts'
import type { Source } from './source.ts'
import { limitsAreUsed, namedCodesExist, unusedCodes } from './tables.ts'

/** Files by path. */
export type Sample = Readonly<Record<string, string>>

export interface Rule {
  readonly check: (files: readonly Source[]) => readonly string[]
  /** Each is caught. */
  readonly breaks: readonly Sample[]
  /** Not caught. */
  readonly keeps: Sample
}

const head = '/** Says what it is. */\n'
/** So that this file does not hold the words it forbids. */
const word = (...parts: readonly string[]): string => parts.join('')

/** What the checks need to know beside the files. */
export interface Known {
  readonly codes: readonly string[]
  exists(path: string): boolean
}

export function rules({ codes, exists }: Known): Readonly<Record<string, Rule>> {
  return { ...structure, ...purity, ...forms, ...shapes(exists), ...tables(codes) }
}

const structure: Readonly<Record<string, Rule>> = {
  'parts import downwards only': {
    check: importDirection,
    breaks: [
      { 'device/agent.ts': "import { x } from '../hub/core/core.ts'" },
      { 'hub/main.ts': "import type { X } from '../device/agent.ts'" },
      { 'bootloader-sim/board.ts': "const it = await import('../device/agent.ts')" },
      { 'hub/main.ts': "export { boot } from '../bootloader-sim/bootloader.ts'" },
      { 'device/agent.ts': "import { build } from '../images/build/zip-directory.ts'" },
      { 'images/cli.ts': "import { x } from '../device/config.ts'" },
      { 'keys/trust.ts': "import { x } from '../images/release/seal.ts'" },
      { 'core/units.ts': "import { x } from '../keys/trust.ts'" },
      { 'core/units.ts': "export type X = import('../keys/trust.ts').Trust" },
      { 'device/slots/slot.ts': "import { x } from '../../proof/world.ts'" },
    ],
    keeps: {
      'device/agent.ts': "import { x } from '../images/release/seal.ts'\nimport { y } from './config.ts'",
      'everboot.ts': "import { x } from './hub/main.ts'\nimport { y } from './device/main.ts'",
      'demo/cli.ts': "import { x } from '../hub/main.ts'",
      'core/units.ts': "// from '../keys/trust.ts'\nconst text = `from '../keys/trust.ts'`",
    },
  },
  'core imports pure built-ins and the schema library only': {
    check: coreStandsAlone,
    breaks: [
      { 'core/units.ts': "import { sha256 } from '@noble/hashes/sha2.js'" },
      { 'core/units.ts': "import type { Readable } from 'node:stream'" },
    ],
    keeps: { 'core/units.ts': "import * as v from 'valibot'\nimport { createHash } from 'node:crypto'" },
  },
  'nothing needs itself to be loaded': {
    check: noCycles,
    breaks: [
      {
        'core/a.ts': "import { b } from './b.ts'",
        'core/b.ts': "import { c } from './c.ts'",
        'core/c.ts': "export { a } from './a.ts'",
      },
    ],
    keeps: { 'core/a.ts': "import { b } from './b.ts'", 'core/b.ts': "import type { A } from './a.ts'" },
  },
  'no file only passes on exports': {
    check: noBarrels,
    breaks: [
      { 'core/index.ts': "export * from './units.ts'\nexport { x } from './prng.ts'" },
      { 'core/index.ts': "import { x } from './prng.ts'\nexport { x }" },
    ],
    keeps: { 'core/units.ts': "import { x } from './prng.ts'\nexport { x }\nexport const y = x" },
  },
}

const purity: Readonly<Record<string, Rule>> = {
  'I/O modules and adapters are imported by adapters, command line and main only': {
    check: pureImports,
    breaks: [
      { 'device/agent.ts': "import { readFile } from 'node:fs/promises'" },
      { 'hub/http/api.ts': "import { connect } from 'node:net'" },
      { 'hub/http/api.ts': "import mqtt from 'mqtt'" },
      { 'audio/headers.ts': "import { parseFile } from 'music-metadata'" },
      { 'device/clips/clip-cache.ts': "import { readFile } from 'node:fs/promises'" },
      { 'hub/fleet/tokens.ts': "import { randomBytes } from 'node:crypto'" },
      { 'images/release/writer.ts': "import { zstdCompress, createGzip } from 'node:zlib'" },
      { 'device/agent.ts': "import { systemClock } from './adapters/clock.ts'" },
      { 'device/agent.ts': "const fs = await import('node:fs')" },
    ],
    keeps: {
      'device/adapters/clock.ts': "import { readFile } from 'node:fs/promises'",
      'device/main.ts': "import { runAgent } from './adapters/run-agent.ts'",
      'audio/headers.ts': "import { parseBuffer } from 'music-metadata'",
      'hub/http/api.ts': "import type { FastifyInstance } from 'fastify'",
      'images/release/writer.ts': "import { createHash } from 'node:crypto'\nimport * as v from 'valibot'",
    },
  },
  'clock, chance, network and process come as ports': {
    check: noAmbientWorld,
    breaks: [
      { 'device/agent.ts': 'const now = Date.now()' },
      { 'device/agent.ts': 'function f(at = new Date()) {}' },
      { 'device/agent.ts': 'setTimeout(() => {}, 1)' },
      { 'hub/core/core.ts': 'const x = { random: Math.random }' },
      { 'hub/core/core.ts': 'const { random } = Math' },
      { 'hub/core/core.ts': 'await fetch(url)' },
      { 'images/build/plan.ts': 'const { process } = globalThis' },
      { 'keys/trust.ts': "const home = process.env['HOME']" },
      { 'core/backoff.ts': 'const from = [performance.now()]' },
      { 'core/backoff.ts': 'const signal = AbortSignal.timeout(5)' },
      { 'core/backoff.ts': 'const it = { setTimeout }' },
    ],
    keeps: {
      'device/adapters/clock.ts': 'const now = Date.now()',
      'device/agent.ts':
        "// Date.now()\nconst text = 'process'\nports.fetch(url)\nconst it = { process: 1 }\ntype T = { Date: 1 }\n" +
        'function f({ fetch }: Ports) { return fetch(it.process) }\nconst n = Math.max(1, 2)',
    },
  },
  'modules hold no state': {
    check: noModuleState,
    breaks: [
      { 'device/agent.ts': 'let count = 0' },
      { 'device/agent.ts': 'export const cache = new Map<string, number>()' },
      { 'device/agent.ts': 'const seen: string[] = []' },
    ],
    keeps: {
      'device/agent.ts': "const names = ['a']\nconst known = new Set(names)\nfunction f() { let i = 0 }",
    },
  },
  'importing a file does nothing': {
    check: noWorkAtImport,
    breaks: [{ 'hub/core/core.ts': 'register()' }, { 'hub/core/core.ts': 'for (const x of xs) use(x)' }],
    keeps: { 'device/main.ts': 'await run()', 'hub/core/core.ts': 'export function f() { register() }' },
  },
}

const forms: Readonly<Record<string, Rule>> = {
  'no way round the checkers': {
    check: noLooseTypes,
    breaks: [
      { 'core/a.ts': 'const a: any = 1' },
      { 'test/a.test.ts': 'const b = a as any' },
      { 'core/a.ts': 'const b = a!' },
      { 'core/a.ts': 'let b!: string' },
      { 'core/a.ts': 'enum Colour { red }' },
      { 'core/a.ts': `// ${word('@ts', '-ignore')}\nf()` },
      { 'core/a.ts': `/* ${word('biome', '-ignore')} lint: because */` },
    ],
    keeps: { 'core/a.ts': "const any = '@ts" + "-ignore'\n// any enum!\nconst b = !a" },
  },
  'nothing is left to be done': {
    check: nothingUnfinished,
    breaks: [word('TO', 'DO'), word('FIX', 'ME'), word('XX', 'X'), word('HA', 'CK')].map((it) => ({
      'core/a.ts': `// ${it} later`,
    })),
    keeps: { 'core/a.ts': "const todo = 'what to do'" },
  },
  'nothing tells of one machine, a registry or who typed it': {
    check: noLeftovers,
    breaks: [
      { 'docs/A.md': `see ${word('/ho', 'me')}/someone/project` },
      { Makefile: `cd ${word('/wo', 'rk')}/main` },
      { '.npmrc': `registry=https://${word('regis', 'try.')}example.com/` },
      { 'docs/A.md': `${word('Co-', 'Authored-', 'By')}: somebody` },
      { 'docs/A.md': `made by an ${word('assis', 'tant')}` },
    ],
    keeps: { 'docs/A.md': 'in `/usr/lib/everboot`, `/data/work/x`; an MQTT session; DIR/work/x' },
  },
  'no test is focused or skipped for good': {
    check: noSkippedTests,
    breaks: [
      { 'test/a.test.ts': "it.skip('x', () => {})" },
      { 'test/a.test.ts': "describe.only('x', () => {})" },
      { 'test/a.test.ts': "test.todo('x')" },
    ],
    keeps: { 'test/a.test.ts': "describe.skipIf(noLoops())('x', () => {})\nit('skip', () => {})" },
  },
}

const shapes = (exists: Known['exists']): Readonly<Record<string, Rule>> => ({
  'every code file begins by saying what it is': {
    check: headers,
    breaks: [
      { 'core/a.ts': "import { b } from './b.ts'" },
      { 'core/a.ts': '// A comment of another kind.\nconst a = 1' },
      { 'core/a.ts': '/** */' },
      { 'core/a.ts': `/**\n${' * A line.\n'.repeat(9)} */` },
      { 'core/a.ts': '/** Ends in the middle of */' },
      { 'bin/a.js': '#!/usr/bin/env node\nrun()' },
    ],
    keeps: {
      'core/a.ts': `/**\n * What it is.\n * Promise: keeps it.\n *\n${' * layout\n'.repeat(9)} */`,
      'bin/a.js': '#!/usr/bin/env node\n// What it is.\nrun()',
    },
  },
  [`no code file has more than ${linesMax} lines`]: {
    check: fileLength,
    breaks: [{ 'core/a.ts': `${head}${'f()\n'.repeat(linesMax)}` }],
    keeps: { 'core/a.ts': `${head}${'f()\n'.repeat(linesMax - 1)}`, 'docs/A.md': 'x\n'.repeat(linesMax + 1) },
  },
  'names are kebab-case': {
    check: kebabCase,
    breaks: [{ 'core/bootRecord.ts': '' }, { 'core/Boot/record.ts': '' }, { 'core/boot_record.ts': '' }],
    keeps: { 'core/boot-record.ts': '', 'test/core/boot-record.test.ts': '', 'docs/ERRORS.md': '' },
  },
  'tests lie where the tested folder lies': {
    check: testsMirror,
    breaks: [{ 'test/core/gone/a.test.ts': '', 'core/a.ts': '' }],
    keeps: {
      'test/core/wire/a.test.ts': '',
      'core/wire/a.ts': '',
      'test/live/a.test.ts': '',
      'test/a.test.ts': '',
    },
  },
  'files that comments and documents name exist': {
    check: namedFilesExist,
    breaks: [
      { 'core/a.ts': '/** Leaves to others: writing (gone.ts). */' },
      { 'docs/A.md': 'see `core/gone.ts`' },
      { 'core/a.ts': '/** See ../core/wire/b.ts. */', 'wire/b.ts': '' },
    ],
    keeps: { 'core/a.ts': '/** See wire/b.ts. */', 'core/wire/b.ts': "const name = 'gone.ts'" },
  },
  'links of documents lead somewhere': {
    check: (files) => linksLead(files, (path) => exists(path) || files.some((file) => file.path === path)),
    breaks: [{ 'docs/A.md': '[b](B-that-is-not.md)' }, { 'README.md': '![x](docs/pictures/none.svg)' }],
    keeps: { 'docs/A.md': '[b](B.md#part) [c](https://example.com) [d](#here)', 'docs/B.md': '' },
  },
})

const tables = (codes: readonly string[]): Readonly<Record<string, Rule>> => ({
  'every limit is read': {
    check: limitsAreUsed,
    breaks: [
      { 'core/limits.ts': 'export const aLimits = { bMax: 1 } as const' },
      {
        'core/limits.ts': 'export const aLimits = { bMax: 1 } as const',
        'device/agent.ts': 'const it = bLimits.bMax // aLimits.bMax',
      },
      {
        'core/limits.ts': 'export const aLimits = { bMax: 1 } as const',
        'test/a.test.ts': 'expect(aLimits.bMax)',
      },
    ],
    keeps: {
      'core/limits.ts': 'export const aLimits = { bMax: 1, cMax: { d: 1 } } as const',
      'device/agent.ts': 'const it = aLimits.bMax\nconst { cMax: own } = aLimits',
    },
  },
  'every error code is used': {
    check: (files) => unusedCodes(files, files.length < 9 ? ['EB-KEY', 'EB-SEAL'] : codes),
    breaks: [
      { 'core/errors.ts': "const table = { 'EB-KEY': 1, 'EB-SEAL': 2 }", 'keys/a.ts': "raise('EB-KEY')" },
      { 'core/errors.ts': '', 'keys/a.ts': "raise('EB-KEY') // EB-SEAL", 'test/a.ts': "raise('EB-SEAL')" },
    ],
    keeps: { 'keys/a.ts': "raise('EB-KEY')\nconst text = `EB-SEAL: it`" },
  },
  'every error code that is named stands in the table': {
    check: (files) => namedCodesExist(files, codes),
    breaks: [
      { 'bin/a.js': "write('EB-NO-SUCH-CODE: x')" },
      { 'docs/A.md': 'then `EB-NO-SUCH-CODE` is shown' },
    ],
    keeps: { 'docs/A.md': 'then `EB-FELL-BACK` is shown, or `EB-…`' },
  },
})
