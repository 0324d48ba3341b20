/**
 * Asks the person at the terminal.
 * Promise: only where input and messages are a terminal; answers are short; an interrupt ends it.
 */
import { createInterface } from 'node:readline/promises'
import { raise } from '../../../core/errors.ts'
import { flashLimits } from '../../../core/limits.ts'

/** @returns the line that was typed; null where nobody can type. @throws EverbootError EB-CANCELLED */
export async function askTerminal(question: string, signal: AbortSignal): Promise<string | null> {
  const { stdin, stderr } = process
  if (!stdin.isTTY || !stderr.isTTY) return null
  // The terminal keeps its own line editing, so that its interrupt key stays a signal.
  const lines = createInterface({ input: stdin, output: stderr, terminal: false })
  try {
    const ended = new Promise<string>((resolve) => lines.once('close', () => resolve('')))
    const answer = await Promise.race([lines.question(question, { signal }), ended])
    return answer.trim().slice(0, flashLimits.answerBytesMax)
  } catch (cause) {
    if (signal.aborted)
      raise('EB-CANCELLED', 'interrupted, nothing was written', { todo: 'start again', cause })
    throw cause
  } finally {
    lines.close()
  }
}
