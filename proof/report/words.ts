/**
 * The words of the report for people who have never heard of Everboot: endings, ways to cut, phases, commands.
 * Promise: pure; one place for each text that page and terminal share.
 */
import type { Ending, Way } from '../sweep/result.ts'

export interface EndingWords {
  readonly name: string
  /** What it means, after the name. */
  readonly means: string
}

export const endingWords: Readonly<Record<Ending, EndingWords>> = {
  old: {
    name: 'same system',
    means:
      'The board started the system that it had been running, and the story still came to the end it has without a cut.',
  },
  new: {
    name: 'other system',
    means: 'The board started the system in its other slot, and the story came to the same end.',
  },
  otherwise: {
    name: 'another end',
    means:
      'The board started and told the truth, but the story ended differently: for example, the attempt was reported as failed.',
  },
  violation: {
    name: 'broken promise',
    means:
      'Something happened that must never happen: no system started, a wrong one did, or the report was not true.',
  },
}

export const wayWords: Readonly<Record<Way, string>> = {
  before: 'just before it; what was not yet safe on the disk is all lost, or all kept',
  torn: 'in the middle of it; only its front or its back arrives',
  after: 'after its effect, but before the program hears of it',
  subset:
    'just before it; of what was not yet safe some survives: every mix of up to ten things, a choice of more',
}

const phases: Readonly<Record<string, string>> = {
  boot: 'the boot loader picks a system, checks it and starts it',
  start: 'the board runs, and its agent has just started',
  IDLE: 'nothing to do but to report',
  DOWNLOADING: 'the new system is written piece by piece into the slot that does not run',
  VERIFYING: 'the slot is read back and compared with what the publisher signed',
  APPLYING: 'the slot is sealed, and the boot loader is told to try it once',
  REBOOTING: 'the board restarts into the new system',
  trial: 'the new system has to prove its health before it is kept',
  COMPLETE: 'the new system is kept, and the hub is told',
  ROLLBACK: 'the new system is given up, and the old one comes back',
  FAILED: 'the attempt is given up, and the hub is told why',
}

/** What happens in a phase; null for one that is not known here. */
export function phaseWords(phase: string): string | null {
  return Object.hasOwn(phases, phase) ? (phases[phase] ?? null) : null
}

export const replayProgram = 'everboot emulator replay'

/** The command for a shell that plays one crash state again. */
export function replayCommand(replay: string): string {
  return `${replayProgram} ${shellWord(replay)}`
}

/** A text as one word of a POSIX shell. */
export function shellWord(text: string): string {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}

/** `12,345`. */
export function countText(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** `1 cut`, `12,345 cuts`. */
export function countOf(count: number, one: string, many: string = `${one}s`): string {
  return `${countText(count)} ${count === 1 ? one : many}`
}

/** `0.4 s`, `12 s`, `3 min 20 s`. */
export function secondsText(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 120) return `${whole} s`
  return `${countText(Math.floor(whole / 60))} min ${whole % 60} s`
}

/** `61 %`; never rounds to 0 % or 100 % what is not. */
export function shareText(part: number, whole: number): string {
  if (part === 0 || whole === 0) return '0 %'
  if (part === whole) return '100 %'
  const percent = (100 * part) / whole
  if (percent < 0.1) return '< 0.1 %'
  if (percent > 99.9) return '> 99.9 %'
  return `${percent < 10 || percent > 90 ? percent.toFixed(1) : Math.round(percent)} %`
}
