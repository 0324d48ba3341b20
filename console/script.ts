/**
 * A script for a console: patterns that must appear, in order, and texts to send in between.
 * Promise: a pattern is looked for in one line at a time, from the end of what the pattern before it matched; a
 * text is sent as soon as everything before it was seen.
 * Leaves to others: the lines (line-splitter.ts), time, sending (watch.ts).
 */
import { raise } from '../core/errors.ts'
import { consoleLimits } from '../core/limits.ts'

export type Step =
  | { readonly kind: 'expect'; readonly pattern: RegExp }
  | { readonly kind: 'send'; readonly bytes: Uint8Array }

/** A pattern and the line it was found in. */
export interface Sighting {
  readonly pattern: string
  readonly line: string
}

export interface Progress {
  readonly seen: readonly Sighting[]
  readonly send: readonly Uint8Array[]
}

export interface ScriptRun {
  /** What is to be sent before anything was seen. */
  start(): Progress
  /** The line that is not ended yet, after a silence. */
  partial(line: string): Progress
  /** The line that has ended. */
  whole(line: string): Progress
  /** The pattern that is waited for; null when everything was seen and sent. */
  waitingFor(): string | null
}

/** @param given `--expect` and `--send` in the order of the command line. @throws EverbootError EB-USAGE */
export function parseSteps(
  given: readonly { readonly name: string; readonly value: string }[],
): readonly Step[] {
  const steps = given.flatMap(({ name, value }): Step[] => {
    if (name === 'expect') return [{ kind: 'expect', pattern: patternOf(value) }]
    return name === 'send' ? [{ kind: 'send', bytes: bytesOf(value) }] : []
  })
  if (steps.length <= consoleLimits.stepsMax) return steps
  return raise('EB-USAGE', `${steps.length} times --expect and --send, more than ${consoleLimits.stepsMax}`)
}

export function scriptRun(steps: readonly Step[]): ScriptRun {
  let next = 0
  /** Characters of the open line that patterns have matched. */
  let used = 0

  const advance = (line: string, whole: boolean): Progress => {
    const seen: Sighting[] = []
    const send: Uint8Array[] = []
    for (; next < steps.length; next += 1) {
      const step = steps[next]
      if (step === undefined) break
      if (step.kind === 'send') {
        send.push(step.bytes)
        continue
      }
      const rest = line.slice(used)
      if (rest === '' && (used > 0 || !whole)) break
      const hit = step.pattern.exec(rest)
      if (hit === null) break
      used += hit.index + hit[0].length
      seen.push({ pattern: step.pattern.source, line })
    }
    if (whole) used = 0
    return { seen, send }
  }
  return {
    start: () => advance('', false),
    partial: (line) => advance(line, false),
    whole: (line) => advance(line, true),
    waitingFor() {
      const step = steps.slice(next).find((it) => it.kind === 'expect')
      return step?.pattern.source ?? null
    },
  }
}

function patternOf(text: string): RegExp {
  try {
    return new RegExp(text)
  } catch (caught) {
    const [, why = ''] = /: ([^:]*)$/.exec((caught as Error).message) ?? []
    return raise('EB-USAGE', `--expect ${JSON.stringify(text)} is no regular expression: ${why}`)
  }
}

const escapes: Readonly<Record<string, string>> = { r: '\r', n: '\n', t: '\t', e: '\x1b', '\\': '\\' }

/** `\r \n \t \e \\` and `\xHH`, which is one byte; everything else as UTF-8. */
function bytesOf(text: string): Uint8Array {
  const parts: Buffer[] = []
  let end = 0
  for (const hit of text.matchAll(/\\(x[0-9a-fA-F]{2}|[\s\S]|$)/g)) {
    const [whole, name = ''] = hit
    parts.push(Buffer.from(text.slice(end, hit.index), 'utf8'))
    end = hit.index + whole.length
    const plain = Object.hasOwn(escapes, name) ? escapes[name] : undefined
    if (plain !== undefined) parts.push(Buffer.from(plain, 'latin1'))
    else if (name.length === 3) parts.push(Buffer.from(name.slice(1), 'hex'))
    else raise('EB-USAGE', `--send ${JSON.stringify(text)}: ${whole} is none of \\r \\n \\t \\e \\\\ \\xHH`)
  }
  return Buffer.concat([...parts, Buffer.from(text.slice(end), 'utf8')])
}
