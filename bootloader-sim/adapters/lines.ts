/**
 * Cuts a byte stream into lines of text.
 * Promise: a line longer than the limit comes in parts; control characters are made visible, so that what a
 * board prints cannot play tricks on a terminal.
 */
import { StringDecoder } from 'node:string_decoder'
import { boardLimits } from '../../core/limits.ts'

/** @returns a function to be fed with the stream. */
export function lines(take: (line: string) => void): (bytes: Uint8Array) => void {
  const decoder = new StringDecoder('utf8')
  let open = ''
  return (bytes) => {
    const parts = `${open}${decoder.write(Buffer.from(bytes))}`.split('\n')
    open = parts.pop() ?? ''
    for (const part of parts) take(visible(part))
    while (open.length > boardLimits.consoleLineBytesMax) {
      take(visible(open.slice(0, boardLimits.consoleLineBytesMax)))
      open = open.slice(boardLimits.consoleLineBytesMax)
    }
  }
}

function visible(text: string): string {
  return text.replace(/\r$/, '').replace(/[^\P{Cc}\t\n]/gu, '\u00b7')
}
