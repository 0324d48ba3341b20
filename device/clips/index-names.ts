/**
 * Names in the index of the clip cache that come again and again.
 * Promise: each is looked at once, and is one text for all records.
 */
import { safeName } from '../../core/units.ts'
import { languageForm } from '../../core/wire/skills.ts'

export interface Names {
  /** @returns the name, or null when it can be none */
  skill(text: string): string | null
  language(text: string): string | null
}

export function knownNames(): Names {
  return { skill: known(safeName), language: known(languageForm) }
}

function known(form: RegExp): (text: string) => string | null {
  const names = new Map<string, string | null>()
  return (text) => {
    const before = names.get(text)
    if (before !== undefined) return before
    const name = form.test(text) ? text : null
    names.set(text, name)
    return name
  }
}
