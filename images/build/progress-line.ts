/**
 * One line of progress for a terminal.
 * Promise: never wider than the terminal; pure.
 */
import { bytesText } from '../../core/units.ts'

/** @param total bytes; 0 when unknown. @param columns of the terminal */
export function progressLine(name: string, done: number, total: number, columns: number): string {
  if (total <= 0) return `${name} …`.slice(0, Math.max(1, columns - 1))
  const share = Math.min(1, done / total)
  const left = name.padEnd(12)
  const right = ` ${String(Math.floor(share * 100)).padStart(3)} %  ${bytesText(done)} of ${bytesText(total)}`
  const room = Math.min(40, columns - left.length - right.length - 4)
  if (room < 5) return `${left}${right}`.slice(0, Math.max(1, columns - 1))
  const full = Math.round(share * room)
  return `${left}[${'#'.repeat(full)}${'.'.repeat(room - full)}]${right}`
}
