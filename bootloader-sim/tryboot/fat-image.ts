/**
 * A small FAT12 file system with one file in its root directory, as bytes: the first partition of an emulated
 * Raspberry Pi. Its data area begins at 4 KiB, so that the file has a block of the disk for itself.
 * Leaves to others: real cards, whose file systems mkfs.fat makes; a test reads both with the same code and with
 * mtools.
 */
import { assert } from '../../core/assert.ts'

const sectorBytes = 512
const perCluster = 8
const sectors = 128
const perFat = 1
const fats = 2
const rootEntries = 80
const dataOffset = 4096
/** Where the content of the file lies. */
export const fatImageFileOffset = dataOffset

/** Of the whole file system. */
export const fatImageBytes = sectors * sectorBytes

/** @param name such as `autoboot.txt` */
export function fatImage(name: string, content: Uint8Array): Uint8Array {
  assert(content.length > 0 && content.length <= sectorBytes * perCluster, 'a file of one cluster')
  const image = Buffer.alloc(fatImageBytes)
  image.set([0xeb, 0x3c, 0x90])
  image.write('EVERBOOT', 3, 'latin1')
  image.writeUInt16LE(sectorBytes, 11)
  image.writeUInt8(perCluster, 13)
  image.writeUInt16LE(1, 14)
  image.writeUInt8(fats, 16)
  image.writeUInt16LE(rootEntries, 17)
  image.writeUInt16LE(sectors, 19)
  image.writeUInt8(0xf8, 21)
  image.writeUInt16LE(perFat, 22)
  // Tracks and heads, which nobody has any more and some tools ask for.
  image.writeUInt16LE(32, 24)
  image.writeUInt16LE(2, 26)
  image.writeUInt8(0x29, 38)
  image.write('NO NAME    FAT12   ', 43, 'latin1')
  image.writeUInt16LE(0xaa55, 510)
  for (let fat = 0; fat < fats; fat += 1) {
    // Two reserved entries, then cluster 2, which ends its chain.
    image.set([0xf8, 0xff, 0xff, 0xff, 0x0f], (1 + fat * perFat) * sectorBytes)
  }
  const [base = '', extension = ''] = name.toUpperCase().split('.')
  const entry = (1 + fats * perFat) * sectorBytes
  image.write(base.padEnd(8) + extension.padEnd(3), entry, 'latin1')
  image.writeUInt8(0x20, entry + 11)
  image.writeUInt16LE(2, entry + 26)
  image.writeUInt32LE(content.length, entry + 28)
  image.set(content, dataOffset)
  return image
}
