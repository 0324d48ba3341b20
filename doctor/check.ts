/** One check of doctor: what was found, how good that is, what to do. */
import type { Found } from './facts.ts'

export type CheckState = 'ok' | 'attention' | 'problem'

export interface Check {
  readonly name: string
  readonly state: CheckState
  readonly found: string
  /** Null when there is nothing to do. */
  readonly todo: string | null
}

export const good = (name: string, found: string): Check => ({ name, state: 'ok', found, todo: null })

export const attention = (name: string, found: string, todo: string): Check => ({
  name,
  state: 'attention',
  found,
  todo,
})

export const problem = (name: string, found: string, todo: string): Check => ({
  name,
  state: 'problem',
  found,
  todo,
})

/** A check of something that was looked for: what this user must not see is no problem yet. */
export function checkFound<T>(name: string, what: string, it: Found<T>, judge: (value: T) => Check): Check {
  if (it.kind === 'found') return judge(it.value)
  if (it.kind === 'denied') {
    return attention(name, `${what} must not be looked at by this user`, 'run everboot doctor as root')
  }
  const { code, what: found, todo } = it.fault
  return problem(name, `${code}: ${found}`, todo)
}
