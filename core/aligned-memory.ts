/**
 * Memory aligned for O_DIRECT: the memory of WebAssembly instances, which is page aligned where an ordinary
 * Buffer is not (EINVAL).
 * Promise: buffers given back are used again; each costs address space that only a garbage collection
 * returns.
 */
/** The part of the WebAssembly interface that is used; its types come with browsers' libraries only. */
declare const WebAssembly: {
  readonly Memory: new (pages: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer }
}

const wasmPageBytes = 65_536

export interface AlignedMemory {
  take(bytes: number): Uint8Array
  giveBack(buffer: Uint8Array): void
}

export function alignedMemory(): AlignedMemory {
  const free = new Map<number, ArrayBuffer[]>()
  return {
    take(bytes) {
      const pages = Math.max(1, Math.ceil(bytes / wasmPageBytes))
      const buffer =
        free.get(pages)?.pop() ?? new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer
      return new Uint8Array(buffer, 0, bytes)
    },
    giveBack({ buffer }) {
      if (!(buffer instanceof ArrayBuffer)) return
      const pages = buffer.byteLength / wasmPageBytes
      const shelf = free.get(pages)
      if (shelf === undefined) free.set(pages, [buffer])
      else shelf.push(buffer)
    },
  }
}
