/**
 * Finds the one image in a zip file, by the central directory at its end (APPNOTE.TXT 6.3.10, sections 4.3
 * and 4.5.3), ZIP64 included.
 * Promise: lengths and CRC come from the directory, so that what is expanded can be checked; a zip with no file
 * or several, an encrypted one or another method than stored and deflate is EB-IMAGE.
 * Leaves to others: inflating and checking.
 */
import { raise } from '../../core/errors.ts'
import { buildLimits } from '../../core/limits.ts'
import { type ByteSource, readExactly } from '../release/byte-source.ts'

export interface ZipImage {
  readonly name: string
  /** Where the packed bytes start in the file. */
  readonly offset: number
  readonly packedBytes: number
  readonly bytes: number
  readonly crc32: number
  readonly deflated: boolean
}

const endBytes = 22
const commentBytesMax = 0xffff
const endMagic = 0x0605_4b50
const end64Magic = 0x0606_4b50
const end64LocatorMagic = 0x0706_4b50
const entryMagic = 0x0201_4b50
const localMagic = 0x0403_4b50
const all32 = 0xffff_ffff
const all16 = 0xffff

/** @throws EverbootError EB-IMAGE */
export async function findZipImage(file: ByteSource): Promise<ZipImage> {
  const directory = await findDirectory(file)
  const bytes = new Uint8Array(directory.bytes)
  await readExactly(file, directory.offset, bytes, 'EB-IMAGE')
  const entries = readEntries(bytes, directory.entries, file.name)
  const [image, ...others] = entries.filter((it) => !it.name.endsWith('/'))
  if (image === undefined) raise('EB-IMAGE', `${file.name} holds no file`)
  if (others.length > 0) {
    const names = entries.slice(0, 4).map((it) => JSON.stringify(it.name))
    raise('EB-IMAGE', `${file.name} holds ${others.length + 1} files (${names.join(', ')} …), not one image`)
  }
  return { ...image, offset: await dataOffset(file, image.header) }
}

interface Directory {
  readonly offset: number
  readonly bytes: number
  readonly entries: number
}

async function findDirectory(file: ByteSource): Promise<Directory> {
  const start = Math.max(0, file.bytes - endBytes - commentBytesMax - 20)
  const tail = new Uint8Array(file.bytes - start)
  await readExactly(file, start, tail, 'EB-IMAGE')
  const view = new DataView(tail.buffer)
  for (let at = tail.length - endBytes; at >= 0; at -= 1) {
    if (view.getUint32(at, true) !== endMagic) continue
    if (at + endBytes + view.getUint16(at + 20, true) !== tail.length) continue
    const short = {
      entries: view.getUint16(at + 10, true),
      bytes: view.getUint32(at + 12, true),
      offset: view.getUint32(at + 16, true),
    }
    const wide = short.entries === all16 || short.bytes === all32 || short.offset === all32
    return checked(wide ? await readEnd64(file, view, at - 20) : short, file)
  }
  raise('EB-IMAGE', `${file.name} is a zip file without its end`)
}

async function readEnd64(file: ByteSource, tail: DataView, locator: number): Promise<Directory> {
  if (locator < 0 || tail.getUint32(locator, true) !== end64LocatorMagic) {
    raise('EB-IMAGE', `${file.name} lacks its ZIP64 locator`)
  }
  const bytes = new Uint8Array(56)
  await readExactly(file, wide(tail, locator + 8), bytes, 'EB-IMAGE')
  const view = new DataView(bytes.buffer)
  if (view.getUint32(0, true) !== end64Magic) raise('EB-IMAGE', `${file.name} lacks its ZIP64 end`)
  return { entries: wide(view, 32), bytes: wide(view, 40), offset: wide(view, 48) }
}

function checked(it: Directory, file: ByteSource): Directory {
  if (it.bytes <= buildLimits.zipDirectoryBytesMax && it.offset + it.bytes <= file.bytes) return it
  raise('EB-IMAGE', `${file.name} has a zip directory of ${it.bytes} bytes at ${it.offset}`)
}

type Entry = Omit<ZipImage, 'offset'> & { readonly header: number }

function readEntries(bytes: Uint8Array, count: number, file: string): readonly Entry[] {
  const view = new DataView(bytes.buffer)
  const entries: Entry[] = []
  let at = 0
  for (let index = 0; index < count; index += 1) {
    if (at + 46 > bytes.length || view.getUint32(at, true) !== entryMagic) {
      raise('EB-IMAGE', `${file} has a damaged zip directory`)
    }
    const [name, extra, comment] = [28, 30, 32].map((field) => view.getUint16(at + field, true))
    const next = at + 46 + (name ?? 0) + (extra ?? 0) + (comment ?? 0)
    if (next > bytes.length) raise('EB-IMAGE', `${file} has a damaged zip directory`)
    entries.push(readEntry(bytes, view, at, name ?? 0, extra ?? 0, file))
    at = next
  }
  return entries
}

function readEntry(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  nameBytes: number,
  extraBytes: number,
  file: string,
): Entry {
  const name = Buffer.from(bytes.buffer, at + 46, nameBytes).toString('utf8')
  const encrypted = (view.getUint16(at + 8, true) & 1) !== 0
  const method = view.getUint16(at + 10, true)
  if (encrypted || (method !== 0 && method !== 8)) {
    const how = encrypted ? 'encrypted' : `packed by method ${method}`
    raise('EB-IMAGE', `${JSON.stringify(name)} in ${file} is ${how}`)
  }
  const sizes = [view.getUint32(at + 24, true), view.getUint32(at + 20, true), view.getUint32(at + 42, true)]
  const [size = 0, packedBytes = 0, header = 0] = widen(sizes, view, at + 46 + nameBytes, extraBytes)
  const crc = view.getUint32(at + 16, true)
  return { name, packedBytes, bytes: size, header, crc32: crc, deflated: method === 8 }
}

/** Replaces sizes of all ones by those of the ZIP64 extra field, in their order. */
function widen(sizes: readonly number[], view: DataView, start: number, length: number): readonly number[] {
  for (let at = start; at + 4 <= start + length; ) {
    const bytes = view.getUint16(at + 2, true)
    if (view.getUint16(at, true) === 1 && at + 4 + bytes <= start + length) {
      let field = at + 4
      const end = field + bytes
      return sizes.map((it) => {
        if (it !== all32 || field + 8 > end) return it
        field += 8
        return wide(view, field - 8)
      })
    }
    at += 4 + bytes
  }
  return sizes
}

async function dataOffset(file: ByteSource, header: number): Promise<number> {
  const bytes = new Uint8Array(30)
  await readExactly(file, header, bytes, 'EB-IMAGE')
  const view = new DataView(bytes.buffer)
  if (view.getUint32(0, true) !== localMagic) raise('EB-IMAGE', `${file.name} has a damaged zip entry`)
  return header + 30 + view.getUint16(26, true) + view.getUint16(28, true)
}

function wide(view: DataView, at: number): number {
  return Number(view.getBigUint64(at, true))
}
