/**
 * The colours of the page in its two themes.
 * Promise: text has a contrast of at least 4.5:1 on what it stands on; the four endings differ also for people
 * with any kind of colour blindness, by lightness as well as by hue, and each has a pattern of its own besides.
 * Leaves to others: applying them (style.ts), the patterns (cell-art.ts).
 */

export type Colour =
  | 'page'
  | 'surface'
  | 'raised'
  | 'line'
  | 'text'
  | 'muted'
  | 'accent'
  | 'good'
  | 'alarm'
  | 'alarm-surface'
  | 'on-alarm'
  | 'old'
  | 'old-mark'
  | 'new'
  | 'new-mark'
  | 'otherwise'
  | 'otherwise-mark'
  | 'violation'
  | 'violation-mark'
  | 'none'

export type Palette = Readonly<Record<Colour, string>>

export const light: Palette = {
  page: '#f4f6f9',
  surface: '#ffffff',
  raised: '#eef1f6',
  line: '#d3dae4',
  text: '#17202c',
  muted: '#4d5a6a',
  accent: '#0b57a8',
  good: '#0b6b4d',
  alarm: '#b3093a',
  'alarm-surface': '#fff0f3',
  'on-alarm': '#ffffff',
  old: '#3f648f',
  'old-mark': '#3f648f',
  new: '#229f7c',
  'new-mark': '#bdf0df',
  otherwise: '#f0b429',
  'otherwise-mark': '#7a5200',
  violation: '#b3093a',
  'violation-mark': '#ffffff',
  none: '#e6eaf0',
}

export const dark: Palette = {
  page: '#0d1218',
  surface: '#151c25',
  raised: '#1e2733',
  line: '#313d4c',
  text: '#e8edf4',
  muted: '#a3b0c0',
  accent: '#7db8ff',
  good: '#4fd6aa',
  alarm: '#ff8099',
  'alarm-surface': '#3a0f1b',
  'on-alarm': '#22060d',
  old: '#4a6f9f',
  'old-mark': '#4a6f9f',
  new: '#3fd3a8',
  'new-mark': '#0e6e54',
  otherwise: '#ffcf5c',
  'otherwise-mark': '#6b4700',
  violation: '#f0305c',
  'violation-mark': '#ffffff',
  none: '#232d3a',
}

/** The custom properties of a theme: `--page:#f4f6f9;…`. */
export function variables(palette: Palette): string {
  return Object.entries(palette)
    .map(([name, value]) => `--${name}:${value};`)
    .join('')
}
