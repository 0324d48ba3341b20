/**
 * Sizes, times and the types that must not be mixed up.
 * Promise: sizes are whole bytes up to 2^53-1, never bit-shifted; times are whole milliseconds.
 */

declare const brand: unique symbol
type Branded<T, Name extends string> = T & { readonly [brand]: Name }

/** A SHA-256 as 64 lower-case hex digits. */
export type Digest = Branded<string, 'Digest'>

/** The two slots of a board. */
export type SlotId = 'a' | 'b'

export const slotIds: readonly SlotId[] = ['a', 'b']

export function otherSlot(slot: SlotId): SlotId {
  return slot === 'a' ? 'b' : 'a'
}

export const KiB = 1024
export const MiB = 1024 * 1024
export const GiB = 1024 * 1024 * 1024

export const seconds = (count: number): number => count * 1_000
export const minutes = (count: number): number => count * 60_000
export const hours = (count: number): number => count * 3_600_000
export const days = (count: number): number => count * 86_400_000

/** Block size of dm-verity, of slots and of everything aligned. */
export const blockBytes = 4 * KiB

/** `value` rounded up to a multiple of `step`; both whole numbers of bytes. */
export function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step
}

/** Bytes for people: `1.5 MiB`. */
export function bytesText(bytes: number): string {
  if (bytes < KiB) return `${bytes} B`
  if (bytes < MiB) return `${(bytes / KiB).toFixed(1)} KiB`
  if (bytes < GiB) return `${(bytes / MiB).toFixed(1)} MiB`
  return `${(bytes / GiB).toFixed(2)} GiB`
}

/** Lower-case hex of bytes. */
export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

const hexDigest = /^[0-9a-f]{64}$/

export function isDigest(text: string): text is Digest {
  return hexDigest.test(text)
}

/** Names that may become part of a path, topic or URL. */
export const safeName = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,64}$/
