/**
 * Progress of flashing in words: share, amount, rate, time left.
 * Promise: never wider than the terminal; pure.
 */
import { bytesText, seconds } from '../../core/units.ts'

export interface PhaseProgress {
  readonly name: string
  /** Bytes of `total`. */
  readonly done: number
  /** 0: unknown. */
  readonly total: number
  /** Since the phase began. */
  readonly elapsedMs: number
}

/** A line for a terminal of so many columns, with a bar where there is room. */
export function barLine(it: PhaseProgress, columns: number): string {
  if (it.total <= 0) return `${it.name} …`.slice(0, Math.max(1, columns - 1))
  const left = it.name.padEnd(13)
  const right = ` ${figures(it)}`
  const room = Math.min(40, columns - 1 - left.length - right.length - 2)
  if (room < 5) return `${left}${right}`.slice(0, Math.max(1, columns - 1))
  const full = Math.round(share(it) * room)
  return `${left}[${'#'.repeat(full)}${'.'.repeat(room - full)}]${right}`
}

/** A line for a log. */
export function plainLine(it: PhaseProgress): string {
  if (it.total <= 0) return it.name
  return `${it.name}: ${figures(it).trim()}`
}

function figures(it: PhaseProgress): string {
  const percent = `${String(Math.floor(share(it) * 100)).padStart(3)} %`
  const amount = `${bytesText(it.done)} of ${bytesText(it.total)}`
  const rate = rateOf(it)
  if (rate === 0 || it.done >= it.total) return `${percent}  ${amount}`
  return `${percent}  ${amount}  ${bytesText(rate)}/s  ${timeText(((it.total - it.done) / rate) * 1000)} left`
}

function share(it: PhaseProgress): number {
  return Math.min(1, it.done / it.total)
}

/** Bytes a second; 0 until it says something. */
function rateOf(it: PhaseProgress): number {
  return it.elapsedMs < seconds(1) ? 0 : Math.round((it.done * 1000) / it.elapsedMs)
}

/** `0:07`, `12:30`, `1:02:03` */
export function timeText(durationMs: number): string {
  const whole = Math.round(durationMs / 1000)
  const two = (value: number): string => String(value).padStart(2, '0')
  const hours = Math.floor(whole / 3600)
  const minutes = Math.floor(whole / 60) % 60
  const rest = two(whole % 60)
  return hours > 0 ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`
}
