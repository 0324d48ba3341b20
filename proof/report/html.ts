/**
 * HTML as values: text becomes HTML only by escaping, so a name from a scenario can never become markup.
 * Promise: whatever is put between the parts of a template is escaped, unless it is HTML itself.
 */

export interface Html {
  readonly html: string
}

export type HtmlValue = Html | string | number | null | readonly Html[]

/** Template tag. Strings and numbers are escaped, HTML and lists of it are taken as they are, null is nothing. */
export function html(parts: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return { html: parts.map((part, index) => part + markup(values[index] ?? null)).join('') }
}

/** Only for text that this program made: styles, programs, drawings. */
export function raw(text: string): Html {
  return { html: text }
}

/** For text between tags and in quoted attributes. Control characters, which HTML forbids, become `�`. */
export function escaped(text: string): string {
  return text
    .replace(/\p{Cc}/gu, (it) => (/\s/.test(it) ? it : '\ufffd'))
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;')
}

/** JSON for a script element: no `<` in it can end the element or begin a comment. */
export function jsonForScript(value: unknown): Html {
  return raw(
    JSON.stringify(value)
      .replaceAll('<', '\\u003c')
      .replaceAll('\u2028', '\\u2028')
      .replaceAll('\u2029', '\\u2029'),
  )
}

function markup(value: HtmlValue): string {
  if (value === null) return ''
  if (typeof value === 'string') return escaped(value)
  if (typeof value === 'number') return String(value)
  return 'html' in value ? value.html : value.map((it) => it.html).join('')
}
