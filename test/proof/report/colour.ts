/**
 * Colours as eyes see them: contrast by WCAG 2, distance in CIE Lab, and the three kinds of colour blindness by
 * the matrices of Machado, Oliveira and Fernandes (2009) at full strength.
 */

/** Red, green and blue from 0 to 1, not linear. */
export type Rgb = readonly [number, number, number]

export function rgb(hex: string): Rgb {
  const part = (at: number): number => Number.parseInt(hex.slice(at, at + 2), 16) / 255
  return [part(1), part(3), part(5)]
}

export function contrast(one: Rgb, other: Rgb): number {
  const [low = 0, high = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b)
  return (high + 0.05) / (low + 0.05)
}

type Matrix = readonly [Rgb, Rgb, Rgb]

export const blindness: Readonly<Record<string, Matrix>> = {
  none: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
}

/** CIE76 distance of two colours for somebody; 2.3 is just noticeable. */
export function distance(one: Rgb, other: Rgb, eyes: Matrix): number {
  const [a, b] = [one, other].map((it) => lab(times(eyes, linear(it))))
  return Math.hypot(...(a ?? []).map((it, index) => it - (b?.[index] ?? 0)))
}

function linear([r, g, b]: Rgb): Rgb {
  const one = (value: number): number => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
  return [one(r), one(g), one(b)]
}

function luminance(colour: Rgb): number {
  const [r, g, b] = linear(colour)
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}

function times([x, y, z]: Matrix, colour: Rgb): Rgb {
  const dot = (row: Rgb): number => row[0] * colour[0] + row[1] * colour[1] + row[2] * colour[2]
  const clamp = (value: number): number => Math.min(1, Math.max(0, value))
  return [clamp(dot(x)), clamp(dot(y)), clamp(dot(z))]
}

function lab(colour: Rgb): Rgb {
  const xyz = times(
    [
      [0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047],
      [0.2126729, 0.7151522, 0.072175],
      [0.0193339 / 1.08883, 0.119192 / 1.08883, 0.9503041 / 1.08883],
    ],
    colour,
  )
  const [x, y, z] = xyz.map((it) => (it > 0.008856 ? Math.cbrt(it) : 7.787 * it + 16 / 116)) as unknown as Rgb
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)]
}
