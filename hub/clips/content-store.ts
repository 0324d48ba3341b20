/**
 * Where the bytes of clips and lists lie, each content once under its SHA-256, as an interface.
 * Promise of every adapter: after `put` the content is there whole and lasts; before, nothing of it can be opened;
 * `open` gives exactly the bytes asked for or fails; every wait has a deadline.
 * Leaves to others: which contents there are, and who may read them (model.ts): an adapter is never asked to list.
 */
import type { Digest } from '../../core/units.ts'

/** A content in a file of its own on the hub, its hash and length checked. */
export interface Received {
  readonly path: string
  readonly sha256: Digest
  readonly bytes: number
  /** Takes the file away, unless the store took it over. */
  discard(): Promise<void>
}

/** Takes contents from outside. */
export interface Receiving {
  /** @throws EverbootError EB-BLOB (other bytes than named, or cut off), EB-DISK-FULL, EB-FILE; then nothing is left */
  receive(body: AsyncIterable<Uint8Array>, sha256: Digest, bytes: number): Promise<Received>
}

/** Bytes in order. */
export interface ByteStream {
  /** The next bytes, null at the end. @throws EverbootError when they do not come */
  read(): Promise<Uint8Array | null>
  /** Must be called, also after the end. */
  close(): Promise<void>
}

export interface ContentStore {
  /** May take over the file. @throws EverbootError EB-DISK-FULL, EB-FILE, EB-BUCKET */
  put(content: Received): Promise<void>
  /**
   * @param bytes the length of the whole content
   * @param start first byte; @param endExclusive one after the last
   * @returns null when there is no such content. @throws EverbootError EB-FILE, EB-BUCKET
   */
  open(sha256: Digest, bytes: number, start: number, endExclusive: number): Promise<ByteStream | null>
  /** @returns null when there is no such content. @throws EverbootError EB-FILE, EB-BUCKET */
  size(sha256: Digest): Promise<number | null>
  /** Removing a missing content is no failure. @throws EverbootError EB-FILE, EB-BUCKET */
  remove(sha256: Digest): Promise<void>
  /** Ends what is under way. */
  close(): void
}
