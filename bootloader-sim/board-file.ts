/**
 * `board.json`: what an emulated board is, and where its partitions lie on the disk file.
 * Promise: a file that is not wholly understood is refused; partitions do not overlap and lie on 1 MiB edges.
 * Leaves to others: reading and writing the file.
 */
import * as v from 'valibot'
import { bootPartition } from '../core/boot-record.ts'
import { type Fault, fault } from '../core/errors.ts'
import { boardLimits } from '../core/limits.ts'
import { fail, ok, type Result } from '../core/result.ts'
import { MiB, roundUp, safeName } from '../core/units.ts'

const bytes = v.pipe(v.number(), v.safeInteger(), v.minValue(MiB), v.multipleOf(MiB))
const part = v.strictObject({ offset: bytes, bytes })

const schema = v.strictObject({
  v: v.literal(1),
  deviceId: v.pipe(v.string(), v.regex(safeName)),
  /** Name of the one image of a slot. */
  image: v.pipe(v.string(), v.regex(safeName)),
  watchdogMs: v.pipe(v.number(), v.safeInteger(), v.minValue(100), v.maxValue(boardLimits.settingMsMax)),
  partitions: v.strictObject({ boot: part, a: part, b: part, data: part }),
})
export type BoardFile = v.InferOutput<typeof schema>

export interface BoardChoices {
  readonly deviceId: string
  readonly image: string
  readonly slotBytes: number
  readonly watchdogMs: number
}

/** Names of the files of a board, below its directory. */
export const boardPaths = {
  board: 'board.json',
  disk: 'disk.img',
  /** The firmware's own copy of the seal keys. */
  trust: 'firmware/trust.json',
  socket: 'board.sock',
  console: 'console.log',
  run: 'run',
  root: 'root',
  /** Plain emulation: the data partition as a directory, unpacked slots. */
  data: 'data',
  unpacked: 'unpacked',
} as const

/** The first MiB stays free, as for a partition table. */
export function layOut(choices: BoardChoices): BoardFile {
  const slot = roundUp(choices.slotBytes, MiB)
  let next = MiB
  const place = (size: number): { offset: number; bytes: number } => {
    const offset = next
    next += size
    return { offset, bytes: size }
  }
  const boot = place(Math.max(boardLimits.bootPartitionBytes, bootPartition.bytesMin))
  const partitions = { boot, a: place(slot), b: place(slot), data: place(boardLimits.dataPartitionBytes) }
  const { deviceId, image, watchdogMs } = choices
  return { v: 1, deviceId, image, watchdogMs, partitions }
}

export function diskBytes(board: BoardFile): number {
  const { data } = board.partitions
  return data.offset + data.bytes
}

/** @param path names it in the fault. @returns the board, or EB-NO-BOARD */
export function decodeBoard(text: string, path: string): Result<BoardFile, Fault> {
  const bad = (what: string): Result<BoardFile, Fault> => fail(fault('EB-NO-BOARD', `${path} ${what}`))
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch {
    return bad('is not JSON')
  }
  const parsed = v.safeParse(schema, document)
  if (!parsed.success) {
    const [issue] = parsed.issues
    return bad(`: ${v.getDotPath(issue) ?? 'document'}: ${issue.message}`)
  }
  const parts = Object.values(parsed.output.partitions).sort((one, other) => one.offset - other.offset)
  const apart = parts.every((it, index) => index === 0 || it.offset >= end(parts[index - 1]))
  return apart ? ok(parsed.output) : bad('has partitions that overlap')
}

function end(it: { offset: number; bytes: number } | undefined): number {
  return it === undefined ? 0 : it.offset + it.bytes
}
