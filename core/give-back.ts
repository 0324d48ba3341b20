/**
 * Gives the memory of large buffers back at once. Buffers lie outside the JavaScript heap, so that without it
 * they wait for a collection that the heap has no reason to make.
 */

/** @param bytes a buffer that nobody uses any more; left alone unless it is the whole of its memory */
export function giveBack(bytes: Uint8Array): void {
  const { buffer } = bytes
  if (buffer instanceof ArrayBuffer && bytes.byteLength === buffer.byteLength) buffer.transfer(0)
}
