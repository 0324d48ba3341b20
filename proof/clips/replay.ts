/**
 * Plays a crash state of the sweep of clips again, and writes down each operation and deed.
 * Promise: the same argument gives the same lines. Leaves to others: printing.
 */
import { crashedFiles } from '../../bootloader-sim/devices/file-store.ts'
import { raise } from '../../core/errors.ts'
import type { Replayed } from '../replay.ts'
import { chronicle } from '../swarm/chronicle.ts'
import { type CrashPoint, crashStates } from '../sweep/crash-states.ts'
import { type ClipsFuture, type ClipsImage, playClips, rehearseClips } from './play.ts'
import { killed } from './sweep.ts'

/** @param path `clips/uncut`, `clips/37.torn.1`, two cuts: `clips/37.torn.1/4.before.0`, a kill: `clips/37.killed` */
export async function replayClips(path: string): Promise<Replayed> {
  const notes = chronicle(() => 0)
  const answer = ({ violation }: ClipsFuture): Replayed => ({
    events: notes.lines(),
    count: notes.count(),
    digest: notes.digest(),
    violation: violation === null ? null : { ...violation, atMs: 0, operation: 0 },
  })
  if (path === 'clips/uncut') return answer((await rehearseClips(notes.note)).uncut)
  const { told, uncut } = await rehearseClips()
  const cuts = path.split('/').slice(1)
  const dead = /^clips\/(\d+)\.killed$/.exec(path)?.[1]
  if (dead !== undefined) {
    const point = uncut.points[Number(dead)] ?? unknown(path)
    notes.note(`kill at ${dead}: ${point.name}`)
    return answer(await playClips(killed(point.before), told, { note: notes.note }))
  }
  let { points } = uncut
  for (const [number, cut] of cuts.entries()) {
    const { point, image } = stateAt(points, cut, path)
    notes.note(`cut ${cut}: ${point.name}, during "${point.phase}"`)
    const last = number === cuts.length - 1
    const future = await playClips(image, told, last ? { note: notes.note } : { recording: true })
    if (last) return answer(future)
    points = future.points
  }
  return unknown(path)
}

function stateAt(points: readonly CrashPoint<ClipsImage>[], cut: string, path: string) {
  const [number, way, index] = cut.split('.')
  const point = points[Number(number)] ?? unknown(path)
  const state = crashStates(point).find((it) => it.way === way && it.index === Number(index)) ?? unknown(path)
  const files = crashedFiles(state.image.files, state.fates)
  return { point, image: { ...state.image, files, pending: [] } }
}

function unknown(path: string): never {
  return raise('EB-USAGE', `${path} is no crash state of clips; such as clips/37.torn.1 or clips/37.killed`)
}
