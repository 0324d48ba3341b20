/** The colours of the report: text can be read, and the endings can be told apart by everybody. */
import { describe, expect, it } from 'vitest'
import { type Colour, dark, light, variables } from '../../../proof/report/palette.ts'
import { endings } from '../../../proof/sweep/result.ts'
import { blindness, contrast, distance, rgb } from './colour.ts'

const pairs = endings.flatMap((one, at) => endings.slice(at + 1).map((other) => [one, other] as const))

describe.each([
  ['light', light],
  ['dark', dark],
])('in the %s theme', (_, palette) => {
  const ratio = (one: Colour, other: Colour): number => contrast(rgb(palette[one]), rgb(palette[other]))

  it.each<readonly [Colour, Colour]>([
    ['text', 'page'],
    ['text', 'surface'],
    ['text', 'raised'],
    ['text', 'alarm-surface'],
    ['muted', 'page'],
    ['muted', 'surface'],
    ['muted', 'line'],
    ['muted', 'alarm-surface'],
    ['accent', 'surface'],
    ['accent', 'alarm-surface'],
    ['good', 'surface'],
    ['alarm', 'surface'],
    ['alarm', 'page'],
    ['on-alarm', 'alarm'],
    ['page', 'text'],
  ])('%s can be read on %s', (text, ground) => {
    expect(ratio(text, ground)).toBeGreaterThanOrEqual(4.5)
  })

  it.each(endings)('%s stands out by its colour or by its marks', (ending) => {
    const most = Math.max(ratio(ending, 'surface'), ratio(`${ending}-mark`, 'surface'))
    expect(most).toBeGreaterThanOrEqual(3)
  })

  it.each(Object.entries(blindness))('endings differ for eyes with %s', (_name, eyes) => {
    for (const [one, other] of pairs) {
      const far = distance(rgb(palette[one]), rgb(palette[other]), eyes)
      expect(far, `${one} and ${other}`).toBeGreaterThan(20)
    }
  })
})

it('two reds do not pass for different', () => {
  const [eyes] = [blindness['deuteranopia']]
  expect(eyes && distance(rgb('#b04000'), rgb('#4e6a00'), eyes)).toBeLessThan(20)
})

it('both themes have every colour as a custom property', () => {
  expect(Object.keys(light)).toEqual(Object.keys(dark))
  expect(variables(light)).toContain('--violation-mark:#ffffff;')
})
