/**
 * Which file system an image holds, by its magic number.
 * Source: ext4 superblock s_magic at 1024+0x38; squashfs 4.0 magic at 0.
 */
import { openFileDevice } from './file-device.ts'

export type Filesystem = 'ext4' | 'squashfs'

const headBytes = 4096

/** @returns null when it is neither */
export async function filesystemOf(path: string, offset: number): Promise<Filesystem | null> {
  const device = await openFileDevice({ path, offset, bytes: headBytes }, 'read')
  try {
    const head = Buffer.alloc(headBytes)
    const read = await device.read(0, head)
    if (read < headBytes) return null
    if (head.toString('latin1', 0, 4) === 'hsqs') return 'squashfs'
    return head.readUInt16LE(1080) === 0xef53 ? 'ext4' : null
  } finally {
    await device.close()
  }
}
