/**
 * What a device prints, as lines of plain text: UTF-8 that may come cut anywhere, control sequences of
 * terminals left out, other control characters shown as pictures (␀ ␇), lines ended by LF, CR LF or CR.
 * Promise: the lines do not depend on how the bytes were divided; no line and no state is longer than its
 * limit, whatever comes.
 * Leaves to others: time, and what the lines mean.
 */
import { consoleLimits } from '../core/limits.ts'

export interface LineSplitter {
  /** @returns the lines that ended with these bytes */
  push(bytes: Uint8Array): readonly string[]
  /** The line that has not ended yet, such as a prompt. */
  partial(): string
  /** Nothing more comes. @returns the last line, if it has not ended */
  end(): readonly string[]
}

/** Inside a control sequence: `escape` after ESC, `control` after ESC [, `string` after ESC ] and the like. */
type Mode = 'text' | 'escape' | 'control' | 'string' | 'string-escape'

export function lineSplitter(lineCharsMax: number = consoleLimits.lineCharsMax): LineSplitter {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  let line = ''
  let mode: Mode = 'text'
  let skipped = 0
  let afterReturn = false

  const take = (text: string, out: string[]): void => {
    for (let at = 0; at < text.length; ) {
      const run = mode === 'text' ? plainAt(text, at) : ''
      const char = String.fromCodePoint(text.codePointAt(at) ?? 0)
      at += run === '' ? char.length : add(run, out)
      if (run === '') step(char, out)
    }
  }
  /** Adds what has room. @returns how much that was */
  const add = (run: string, out: string[]): number => {
    afterReturn = false
    const room = lineCharsMax - line.length
    // Both halves of a character beyond U+FFFF stay together.
    const cut = run.length > room && /[\ud800-\udbff]/.test(run[room - 1] ?? '') ? room - 1 : room
    const part = run.slice(0, cut)
    if (part === '') flush(out)
    line += part
    return part.length
  }
  const step = (char: string, out: string[]): void => {
    const next = mode === 'text' ? null : after(mode, char)
    if (next !== null) skipped += 1
    // What does not belong to the sequence, or makes it too long, is text again.
    const inside = next !== null && skipped <= consoleLimits.escapeCharsMax
    mode = inside ? next : 'text'
    if (!inside) put(char, out)
  }
  const put = (char: string, out: string[]): void => {
    if (char === '\x1b') {
      mode = 'escape'
      skipped = 0
      return
    }
    if (char === '\n' || char === '\r') {
      const ends = char === '\n' ? !afterReturn : line !== ''
      // A return on an empty line does nothing; after one that ended a line a line feed does nothing.
      if (char === '\n') afterReturn = false
      else if (ends) afterReturn = true
      if (ends) flush(out)
      return
    }
    afterReturn = false
    if (line.length + char.length > lineCharsMax) flush(out)
    line += visible(char)
  }
  const flush = (out: string[]): void => {
    out.push(line)
    line = ''
  }
  return {
    push(bytes) {
      const out: string[] = []
      take(decoder.decode(bytes, { stream: true }), out)
      return out
    },
    partial: () => line,
    end() {
      const out: string[] = []
      take(decoder.decode(), out)
      if (line !== '') flush(out)
      return out
    },
  }
}

const plain = /[\t\x20-\x7e\u00a0-\u{10ffff}]{1,4096}/uy

/** @returns the text from `at` to the next control character, or a part of it */
function plainAt(text: string, at: number): string {
  plain.lastIndex = at
  return plain.exec(text)?.[0] ?? ''
}

/** @returns the mode after `char` inside a sequence; null when it does not belong there */
function after(mode: Exclude<Mode, 'text'>, char: string): Mode | null {
  switch (mode) {
    case 'escape':
      if (char === '[') return 'control'
      if (/^[\]PX^_]$/.test(char)) return 'string'
      // Two-character sequences, with intermediates as in ESC ( B.
      if (/^[ -/]$/.test(char)) return 'escape'
      return /^[0-~]$/.test(char) ? 'text' : null
    case 'control':
      if (/^[ -?]$/.test(char)) return 'control'
      return /^[@-~]$/.test(char) ? 'text' : null
    case 'string':
      if (char === '\x07') return 'text'
      if (char === '\x1b') return 'string-escape'
      return char === '\n' || char === '\r' ? null : 'string'
    case 'string-escape':
      return char === '\\' ? 'text' : after('escape', char)
  }
}

/** C0 and DEL as control pictures, C1 (which a terminal may obey) as unreadable. */
function visible(char: string): string {
  const code = char.codePointAt(0) ?? 0
  if (code === 0x09 || (code >= 0x20 && code < 0x7f) || code > 0x9f) return char
  if (code === 0x7f) return '\u2421'
  return code < 0x20 ? String.fromCodePoint(0x2400 + code) : '\ufffd'
}
