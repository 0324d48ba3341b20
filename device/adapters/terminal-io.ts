/** Standard output and error for the commands of the agent's own program, which runs without the `everboot` command. */
import type { CommandIo } from '../../core/command.ts'

export function terminalIo(): CommandIo {
  const stopping = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => stopping.abort(signal))
  }
  return {
    out: (line) => void process.stdout.write(`${line}\n`),
    err: (line) => void process.stderr.write(`${line}\n`),
    terminal: false,
    columns: 80,
    draw: () => {},
    environment: process.env,
    interrupted: stopping.signal,
  }
}
