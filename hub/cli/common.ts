/**
 * What the commands that talk to a hub share: which hub, tables, ages.
 */
import { type CommandInput, type CommandOption, textOption } from '../../core/command.ts'
import { type HubClient, openHubClient } from '../adapters/api-client.ts'

export const hubOption: Readonly<Record<string, CommandOption>> = {
  hub: {
    type: 'string',
    value: 'DIR',
    means: 'data directory or client.json of the hub (default: $EVERBOOT_HUB, then ./everboot-hub)',
  },
}

export function hubLocation(input: CommandInput): string {
  return textOption(input, 'hub') ?? input.io.environment['EVERBOOT_HUB'] ?? './everboot-hub'
}

/** Runs `work` with a client and closes it. */
export async function withHub<T>(input: CommandInput, work: (hub: HubClient) => Promise<T>): Promise<T> {
  const hub = await openHubClient(hubLocation(input))
  try {
    return await work(hub)
  } finally {
    hub.close()
  }
}

/** All items of a list that the hub gives out page by page. @param name of the list, in the path and in its pages */
export async function allOf<View>(hub: HubClient, name: 'devices' | 'skills'): Promise<readonly View[]> {
  const all: View[] = []
  for (let after: string | null = ''; after !== null; ) {
    const page: Page<typeof name, View> = await hub.get(`/v1/${name}?after=${encodeURIComponent(after)}`)
    all.push(...page[name])
    after = page.next
  }
  return all
}

type Page<Name extends string, View> = Readonly<Record<Name, View[]>> & { readonly next: string | null }

/** Prints the answer as JSON, or as the lines. */
export function print(input: CommandInput, answer: unknown, lines: () => readonly string[]): void {
  if (input.json) input.io.out(JSON.stringify(answer))
  else for (const line of lines()) input.io.out(line)
}

/** Columns padded to their widest cell. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const widths = head.map((it, at) => Math.max(it.length, ...rows.map((row) => (row[at] ?? '').length)))
  return [head, ...rows].map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

/** Date and time of day by UTC, to the second. */
export function timeText(ms: number | null): string {
  return ms === null ? '-' : new Date(ms).toISOString().slice(0, 19).replace('T', ' ')
}
