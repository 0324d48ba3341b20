/**
 * What the program in the page knows of each operation, as short as it can be: a page of ten stories must stay
 * light enough to be sent around.
 * Leaves to others: what is done with it (browser/).
 */
import { endings, type SweepResult, type SweptOperation, ways } from '../sweep/result.ts'
import { art } from './cell-art.ts'
import { operationOf } from './operation.ts'
import { endingWords, phaseWords, replayProgram, shellWord, wayWords } from './words.ts'

/** Number of the way, states, distinct states, one count for each ending, argument for the replay command: a
 * number stands for `story/operation.way.number`. */
export type CellData = readonly [
  way: number,
  states: number,
  distinct: number,
  counts: readonly number[],
  replay: number | string,
]

export interface OperationData {
  /** Number in the story. */
  readonly n: number
  readonly name: string
  /** Empty when they would only repeat the name. */
  readonly words: string
  /** Index in the scenario's `phases`. */
  readonly phase: number
  readonly atMs: number
  readonly cells: readonly CellData[]
  /** States, distinct states and violations two cuts deep. */
  readonly deeper: readonly [number, number, number] | null
}

export interface ScenarioData {
  readonly id: string
  /** Before the number of a replay; a word for a shell. */
  readonly story: string
  readonly phases: readonly { readonly name: string; readonly words: string }[]
  readonly operations: readonly OperationTuple[]
}

/** An `OperationData` in the order of its fields. */
export type OperationTuple = readonly [
  number,
  string,
  string,
  number,
  number,
  OperationData['cells'],
  OperationData['deeper'],
]

export interface PageData {
  readonly scenarios: readonly ScenarioData[]
  /** Before each replay argument. */
  readonly command: string
  readonly ways: readonly { readonly name: string; readonly words: string }[]
  readonly endings: readonly { readonly key: string; readonly name: string }[]
  /** Pixels in the drawing of an operation: a row for each way, `rowStep` from one to the next. */
  readonly drawing: { readonly width: number; readonly rowHeight: number; readonly rowStep: number }
}

export function pageData(results: readonly SweepResult[], ids: readonly string[]): PageData {
  return {
    scenarios: results.map((it, index) => scenarioData(it, ids[index] ?? '')),
    command: replayProgram,
    ways: ways.map((name) => ({ name, words: wayWords[name] })),
    endings: endings.map((key) => ({ key, name: endingWords[key].name })),
    drawing: { width: art.width, rowHeight: art.rowHeight, rowStep: art.rowHeight + art.gap },
  }
}

function scenarioData({ scenario, operations }: SweepResult, id: string): ScenarioData {
  const names = [...new Set(operations.map((it) => it.phase))]
  return {
    id,
    story: scenario,
    phases: names.map((name) => ({ name, words: phaseWords(name) ?? '' })),
    operations: operations.map((it) => operationData(it, names.indexOf(it.phase), scenario)),
  }
}

function operationData(it: SweptOperation, phase: number, story: string): OperationTuple {
  const { words } = operationOf(it.name)
  const cells = it.cells.map((cell): CellData => {
    const counts = endings.map((ending) => cell.endings[ending])
    return [
      ways.indexOf(cell.way),
      cell.states,
      cell.distinct,
      counts,
      shortReplay(cell.replay, `${story}/${it.number}.${cell.way}.`),
    ]
  })
  const deeper = it.deeper === null ? null : deeperData(it.deeper)
  return [it.number, it.name, words === it.name ? '' : words, phase, it.atMs, cells, deeper]
}

function shortReplay(replay: string, usual: string): number | string {
  const word = shellWord(replay)
  const rest = word.startsWith(usual) ? word.slice(usual.length) : ''
  return /^(0|[1-9]\d{0,8})$/.test(rest) ? Number(rest) : word
}

function deeperData(it: NonNullable<SweptOperation['deeper']>): readonly [number, number, number] {
  return [it.states, it.distinct, it.violations]
}
