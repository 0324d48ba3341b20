/** Room for rows in typed arrays: how much, and making it. */

const rowsAtFirst = 64

/** How many rows there are to be room for, when a row is used beyond those there are. */
export function roomFor(row: number, rows: number): number {
  let room = Math.max(rowsAtFirst, rows)
  while (room <= row) room *= 2
  return room
}

/** As `widerInts`. */
export function widerWords(from: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> {
  return new Uint32Array(from.buffer.transfer(length * from.BYTES_PER_ELEMENT))
}

/** As `widerInts`. */
export function widerBytes(from: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(from.buffer.transfer(length))
}
