/**
 * The frames of the index file: `EBX1`, the file's nonce (16 bytes), then for each frame `EBF1`, its number, the
 * length of what is sealed, the sealed records with a mark before them.
 * Promise: a frame opens only as what was sealed under its number in this file; whole frames behind damaged ones are found again, in
 * bounded memory.
 * Leaves to others: records (index-record.ts), what damage means (index-log.ts).
 */
import { indexLimits } from '../../core/clip-limits.ts'
import type { ClipFiles } from '../../core/ports.ts'
import { FileWindow } from './file-window.ts'
import { letGo } from './scratch.ts'
import { type ChunkSeal, chunkSeal, fileNonceBytes, sealTagBytes } from './xchacha.ts'

const fileMagic = Buffer.from('EBX1')
const frameMagic = Buffer.from('EBF1')
const fileHeadBytes = fileMagic.length + fileNonceBytes
/** Magic, number, length. */
const frameHeadBytes = 12
/** First byte of what is sealed: the frame belongs to a snapshot. */
const snapshotMark = 1

export interface Frame {
  /** Counts the frames of the file. */
  readonly number: number
  /** One of those that were written when the file was made. */
  readonly snapshot: boolean
  /** Good until `free`. */
  readonly records: Buffer
  readonly endOffset: number
  /** Gives the memory of the records back, which would wait for the garbage collector: of a large index that is much. */
  free(): void
}

/** Makes the frames of one file. */
export interface FrameSealer {
  readonly head: Buffer
  frame(number: number, snapshot: boolean, records: Uint8Array): Buffer
}

/** @param nonce 16 bytes that were never used with this key */
export function frameSealer(key: Uint8Array, nonce: Uint8Array): FrameSealer {
  const seal = chunkSeal(key, nonce)
  return {
    head: Buffer.concat([fileMagic, nonce]),
    frame(number, snapshot, records) {
      const sealed = seal.seal(
        number,
        false,
        Buffer.concat([Buffer.of(snapshot ? snapshotMark : 0), records]),
      )
      const head = Buffer.alloc(frameHeadBytes)
      frameMagic.copy(head)
      head.writeUInt32LE(number, 4)
      head.writeUInt32LE(sealed.length, 8)
      return Buffer.concat([head, sealed])
    },
  }
}

/** Reads the frames of one file in order. */
export interface FrameReader {
  readonly nonce: Buffer
  /** The frame that begins there; null when there is none that is whole, and numbered `least` or more. */
  at(offset: number, least: number): Promise<Frame | null>
  /** Where the next whole frame begins at or behind `offset`; null when there is none. */
  find(offset: number, least: number): Promise<number | null>
  /** Nothing lies there or behind. */
  isEnd(offset: number): Promise<boolean>
}

/** @returns null: no such file; `foreign`: it is not one that this version reads. */
export async function openFrames(
  files: ClipFiles,
  name: string,
  key: Uint8Array,
): Promise<FrameReader | 'foreign' | null> {
  const window = new FileWindow(files, name)
  if ((await files.readAt(name, 0, Buffer.alloc(0))) === null) return null
  const head = await window.at(0, fileHeadBytes)
  if (head.length < fileHeadBytes || !head.subarray(0, fileMagic.length).equals(fileMagic)) return 'foreign'
  const nonce = Buffer.from(head.subarray(fileMagic.length))
  const seal = chunkSeal(key, nonce)
  const at = (offset: number, least: number): Promise<Frame | null> => frameAt(window, seal, offset, least)
  return {
    nonce,
    at,
    async find(offset, least) {
      for (let from = offset; ; ) {
        const room = await window.at(from, searchBytes)
        const place = room.indexOf(frameMagic)
        if (place >= 0 && (await at(from + place, least)) !== null) return from + place
        // A magic may lie across the edge of what was looked at.
        const on = place >= 0 ? place + 1 : room.length - frameMagic.length + 1
        if (on <= 0 || (place < 0 && room.length < searchBytes)) return null
        from += on
      }
    },
    isEnd: async (offset) => (await window.at(offset, 1)).length === 0,
  }
}

export const firstFrameOffset = fileHeadBytes
const searchBytes = 64 * 1024

async function frameAt(
  window: FileWindow,
  seal: ChunkSeal,
  offset: number,
  least: number,
): Promise<Frame | null> {
  const head = await window.at(offset, frameHeadBytes)
  if (head.length < frameHeadBytes || !head.subarray(0, frameMagic.length).equals(frameMagic)) return null
  const number = head.readUInt32LE(4)
  const length = head.readUInt32LE(8)
  if (number < least || length <= sealTagBytes || length > indexLimits.frameBytesMax) return null
  const sealed = await window.at(offset + frameHeadBytes, length)
  const clear = sealed.length === length ? seal.open(number, false, sealed) : null
  if (clear === null) return null
  const endOffset = offset + frameHeadBytes + length
  return {
    number,
    snapshot: clear[0] === snapshotMark,
    records: clear.subarray(1),
    endOffset,
    free: () => letGo(clear),
  }
}
