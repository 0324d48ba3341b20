/** The error codes of flashing a disk; a part of the table in errors.ts. */
export const diskErrors = {
  'EB-DISK-MISSING': {
    family: 'storage',
    means: 'There is no such disk, or no medium in it.',
    todo: 'see everboot flash --list',
  },
  'EB-DISK-PARTITION': {
    family: 'refused',
    means: 'A partition is named where a whole disk is wanted.',
    todo: 'name the disk that it lies on',
  },
  'EB-DISK-SYSTEM': {
    family: 'refused',
    means: 'The disk holds the running system, its swap, or a part of a volume group or an array.',
    todo: 'choose another disk, see everboot flash --list',
  },
  'EB-DISK-BUSY': {
    family: 'refused',
    means: 'The disk is mounted or in use.',
    todo: 'unmount it, then retry',
  },
  'EB-DISK-READ-ONLY': {
    family: 'refused',
    means: 'The disk is write-protected.',
    todo: 'move the lock switch of the card or adapter, or take another disk',
  },
  'EB-DISK-FIXED': {
    family: 'refused',
    means: 'The disk is not removable.',
    todo: 'if it is the right one all the same, give --any-disk',
  },
  'EB-DISK-SMALL': {
    family: 'refused',
    means: 'The disk is smaller than the image.',
    todo: 'take a larger disk',
  },
  'EB-DISK-UNCONFIRMED': {
    family: 'refused',
    means: 'Nobody confirmed that the disk may be overwritten.',
    todo: 'type the name of the disk when asked, or give --yes',
  },
  'EB-DISK-GONE': {
    family: 'storage',
    means: 'The disk was removed or replaced while it was in use.',
    todo: 'put it in again, then flash it from the beginning',
  },
  'EB-DISK-IO': {
    family: 'storage',
    means: 'The disk cannot be read or written.',
    todo: 'check cable and reader, take another disk',
  },
  'EB-DISK-FULL': {
    family: 'storage',
    means: 'The file system of the file is full.',
    todo: 'free space on it, or write elsewhere',
  },
  'EB-DISK-READBACK': {
    family: 'storage',
    means: 'What the disk holds after writing is not what was written.',
    todo: 'do not use the disk: it is worn, or smaller than it says; take another one',
  },
  'EB-FIRST-BOOT': {
    family: 'refused',
    means: 'What a device needs at its first boot cannot be put on the disk.',
    todo: 'see docs/guides/flashing.md',
  },
  'EB-BOARD-FIRMWARE': {
    family: 'refused',
    means: 'What the firmware of the board needs is missing, or set otherwise than the board can have it.',
    todo: 'see docs/guides/raspberry-pi.md',
  },
  'EB-BOARD-ROOT': {
    family: 'refused',
    means: 'The root cannot run on the board: another processor, no init, or no usable kernel.',
    todo: 'see docs/guides/raspberry-pi.md for what a root must hold',
  },
} as const
