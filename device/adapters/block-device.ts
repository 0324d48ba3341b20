/**
 * A block device, or a window of a plain file, by O_DIRECT where the file system has it.
 * Promise: what is read comes from the medium, not from a cache; `exclusive` refuses a device that is
 * mounted (O_EXCL); every failure has a code.
 * Leaves to others: which path belongs to which slot (disks.ts).
 */
import { constants, type FileHandle, open, readFile, stat } from 'node:fs/promises'
import type { AlignedMemory } from '../../core/aligned-memory.ts'
import { type ErrorCode, raise } from '../../core/errors.ts'
import type { BlockDevice } from '../../core/ports.ts'
import { blockBytes } from '../../core/units.ts'

export interface DevicePath {
  readonly device: string
  /** Where the window starts; whole 4 KiB blocks. */
  readonly offset?: number | undefined
  /** Length of the window; absent: to the end. */
  readonly bytes?: number | undefined
}

type Mode = 'read' | 'write' | 'exclusive'

/** @throws EverbootError EB-SLOT-MISSING, EB-SLOT-READ-ONLY, EB-SLOT-BUSY, EB-SLOT-IO */
export async function openBlockDevice(
  path: DevicePath,
  mode: Mode,
  memory: AlignedMemory,
): Promise<BlockDevice> {
  const { device, offset = 0 } = path
  const kind = await stat(device).catch((caught: unknown) => failed(device, 'opening', caught))
  const isBlock = kind.isBlockDevice()
  if (!isBlock && !kind.isFile()) raise('EB-SLOT-MISSING', `${device} is neither a block device nor a file`)
  // Some kernels open a read-only device for writing and refuse each write; that would be too late.
  if (isBlock && mode !== 'read' && (await blockAttribute(device, kind.rdev, 'ro')) !== 0) {
    raise('EB-SLOT-READ-ONLY', `${device} is read-only`)
  }
  // fstat says 0 for a block device; the kernel says its size in 512-byte sectors.
  const whole = isBlock ? (await blockAttribute(device, kind.rdev, 'size')) * 512 : kind.size
  const sizeBytes = path.bytes ?? whole - offset
  const fits = sizeBytes > 0 && offset + sizeBytes <= whole
  if (!fits || offset % blockBytes !== 0 || sizeBytes % blockBytes !== 0) {
    const window = `${offset}+${path.bytes ?? 'rest'}`
    raise('EB-SLOT-MISSING', `${device} has ${whole} bytes; the window ${window} does not fit`)
  }
  const access = mode === 'read' ? constants.O_RDONLY : constants.O_RDWR
  const exclusive = mode === 'exclusive' && isBlock ? constants.O_EXCL : 0
  const handle = await openDirect(device, access | exclusive)
  return deviceOver(device, handle, offset, sizeBytes, memory)
}

function deviceOver(
  name: string,
  handle: FileHandle,
  base: number,
  sizeBytes: number,
  memory: AlignedMemory,
): BlockDevice {
  const taken: Uint8Array[] = []
  return {
    sizeBytes,
    sectorBytes: blockBytes,
    allocate(bytes) {
      const buffer = memory.take(bytes)
      taken.push(buffer)
      return buffer
    },
    async read(offset, into) {
      const { bytesRead } = await handle
        .read(into, 0, into.length, base + offset)
        .catch((caught: unknown) => failed(name, `reading at ${offset} of`, caught))
      return bytesRead
    },
    async write(offset, bytes) {
      if (offset + bytes.length > sizeBytes) raise('EB-SLOT-IO', `write past the end of ${name}`)
      const { bytesWritten } = await handle
        .write(bytes, 0, bytes.length, base + offset)
        .catch((caught: unknown) => failed(name, `writing at ${offset} of`, caught))
      return bytesWritten
    },
    flush: () => handle.datasync().catch((caught: unknown) => failed(name, 'flushing', caught)),
    async close() {
      // What is under way ends first; until then its buffer is in use.
      await handle.close()
      for (const buffer of taken.splice(0)) memory.giveBack(buffer)
    },
  }
}

/** Some file systems (tmpfs) have no O_DIRECT; then the cache is read, and flush is all there is. */
async function openDirect(device: string, flags: number): Promise<FileHandle> {
  try {
    return await open(device, flags | constants.O_DIRECT)
  } catch (caught) {
    if ((caught as NodeJS.ErrnoException).code !== 'EINVAL') return failed(device, 'opening', caught)
  }
  return open(device, flags).catch((caught: unknown) => failed(device, 'opening', caught))
}

/** What the kernel says of a block device. */
async function blockAttribute(device: string, rdev: number, name: 'size' | 'ro'): Promise<number> {
  const major = ((rdev >>> 8) & 0xfff) | 0
  const minor = (rdev & 0xff) | ((rdev >>> 12) & 0xfff00)
  const text = await readFile(`/sys/dev/block/${major}:${minor}/${name}`, 'latin1').catch((caught: unknown) =>
    failed(device, `asking the ${name} of`, caught),
  )
  return Number(text.trim())
}

const codes: Readonly<Record<string, ErrorCode>> = {
  ENOENT: 'EB-SLOT-MISSING',
  ENXIO: 'EB-SLOT-MISSING',
  ENODEV: 'EB-SLOT-MISSING',
  EROFS: 'EB-SLOT-READ-ONLY',
  EACCES: 'EB-SLOT-READ-ONLY',
  EPERM: 'EB-SLOT-READ-ONLY',
  EBUSY: 'EB-SLOT-BUSY',
}

function failed(device: string, doing: string, cause: unknown): never {
  const { code = 'unknown error' } = cause as NodeJS.ErrnoException
  raise(codes[code] ?? 'EB-SLOT-IO', `${doing} ${device} failed (${code})`, { cause })
}
