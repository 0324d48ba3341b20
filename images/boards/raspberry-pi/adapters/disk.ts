/**
 * Makes the disk of a Raspberry Pi: partition table, autoboot.txt, a factory release in slot a, record, data.
 * Promise: no mount, no loop device; every piece of the release is checked, its seal is written last; the file
 * appears whole or not at all.
 * Leaves to others: making the release (release.ts), writing the card (`everboot flash`).
 */
import { mkdir, mkdtemp, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { printAutoboot } from '../../../../core/autoboot.ts'
import { piLimits } from '../../../../core/disk-limits.ts'
import { raise } from '../../../../core/errors.ts'
import { bytesText, MiB, roundUp } from '../../../../core/units.ts'
import { keyDirectory } from '../../../../keys/adapters/key-directory.ts'
import { openFileSource } from '../../../release/adapters/file-bytes.ts'
import { slotBytesNeeded } from '../../../release/slot-layout.ts'
import { copyInto, namedIfFull, tool } from '../../arm64/adapters/disk-file.ts'
import {
  type FactoryKeys,
  openFactory,
  paddedBytesOf,
  putData,
  putFactoryRecord,
  putImage,
} from '../../arm64/adapters/factory.ts'
import { bootImage, hardwareId, rootImage } from '../agent-settings.ts'
import { layOutPiDisk, type PiDiskLayout, partitionNumbers, sfdiskScript } from '../layout.ts'

export interface PiDiskOptions {
  /** The disk to make; replaced when it exists. */
  readonly out: string
  /** The factory release, an `.ebr`. */
  readonly release: string
  /** Key directory of the publisher. */
  readonly keys: string
  /** A device whose key wraps the release has, or the content keys themselves. */
  readonly openBy: FactoryKeys
  /** Into the data partition; null: it comes by `everboot flash --first-boot`. */
  readonly identity: Readonly<Record<string, unknown>> | null
  /** null: room for the factory image and a quarter more. */
  readonly rootBytes?: number | null
  readonly bootBytes?: number
  readonly dataBytes?: number
}

export interface PiDisk {
  readonly file: string
  readonly layout: PiDiskLayout
  readonly releaseId: string
}

/** @throws EverbootError EB-WRONG-HARDWARE, EB-TOO-LARGE, EB-DISK-FULL, EB-TOOL-MISSING, … */
export async function makePiDisk(options: PiDiskOptions): Promise<PiDisk> {
  const out = resolve(options.out)
  return namedIfFull(out, async () => {
    await mkdir(dirname(out), { recursive: true })
    const room = await mkdtemp(join(dirname(out), '.everboot-disk-'))
    const source = await openFileSource(options.release)
    try {
      const factory = await openFactory(source, keyDirectory(options.keys), hardwareId, options.openBy)
      const { manifest } = factory.release
      const names = manifest.images.map((it) => it.name).sort()
      if (names.join() !== [bootImage, rootImage].sort().join())
        raise(
          'EB-WRONG-HARDWARE',
          `release ${manifest.id} has the images ${names.join(', ')}, not boot, rootfs`,
        )
      const layout = layOutPiDisk({
        bootBytes: fitting('boot', slotBytesNeeded(paddedBytesOf(factory, bootImage)), bootBytesOf(options)),
        rootBytes: fitting(
          'root',
          slotBytesNeeded(paddedBytesOf(factory, rootImage)),
          options.rootBytes ?? null,
        ),
        dataBytes: options.dataBytes ?? piLimits.dataPartitionBytes,
      })
      const disk = join(room, 'disk.img')
      await makeTable(disk, layout)
      await putImage(disk, layout.partitions['boot-a'], factory, bootImage, { sealed: false })
      await putAutoboot(disk, layout, room)
      await putImage(disk, layout.partitions['root-a'], factory, rootImage, { sealed: true })
      await putFactoryRecord(disk, layout.partitions.record, manifest)
      await putData(room, disk, layout.partitions.data, options.identity)
      await rename(disk, out)
      return { file: out, layout, releaseId: manifest.id }
    } finally {
      await source.close()
      await rm(room, { recursive: true, force: true })
    }
  })
}

function bootBytesOf({ bootBytes }: PiDiskOptions): number {
  return bootBytes ?? piLimits.bootPartitionBytes
}

/** @param wanted null: some room for larger releases */
function fitting(what: string, needed: number, wanted: number | null): number {
  if (wanted === null) return roundUp(needed * 1.25, 16 * MiB)
  if (wanted >= needed) return roundUp(wanted, MiB)
  return raise(
    'EB-TOO-LARGE',
    `the ${what} image needs ${bytesText(needed)}, its partitions have ${bytesText(wanted)}`,
    {
      todo: 'give larger partitions, or a smaller root',
    },
  )
}

async function makeTable(disk: string, layout: PiDiskLayout): Promise<void> {
  await writeFile(disk, '', { mode: 0o600 })
  await truncate(disk, layout.bytes)
  await tool('sfdisk', ['-q', '--no-reread', '--no-tell-kernel', disk], { input: sfdiskScript(layout) })
}

/** Clusters of one sector, so that autoboot.txt is one sector that can be overwritten in place. */
async function putAutoboot(disk: string, { partitions }: PiDiskLayout, room: string): Promise<void> {
  const image = join(room, 'autoboot.img')
  await writeFile(image, '')
  await truncate(image, partitions.autoboot.bytes)
  await tool('mkfs.vfat', ['-F', '16', '-s', '1', '-S', '512', '-n', 'EVERBOOT', image])
  // First, so that nothing that is added later can come before it.
  const numbers = { partition: partitionNumbers['boot-a'], trial: partitionNumbers['boot-b'] }
  const [text, bootcode] = [join(room, 'autoboot.txt'), join(room, 'bootcode.bin')]
  await writeFile(text, printAutoboot(numbers))
  await tool('mcopy', ['-i', image, text, '::autoboot.txt'])
  // From here the boards before the Pi 4 start.
  const slot = `${disk}@@${partitions['boot-a'].offset}`
  const names = await tool('mdir', ['-b', '-i', slot, '::'])
  if (names.split('\n').includes('::/bootcode.bin')) {
    await tool('mcopy', ['-i', slot, '::bootcode.bin', bootcode])
    await tool('mcopy', ['-i', image, bootcode, '::bootcode.bin'])
  }
  await copyInto(disk, partitions.autoboot.offset, image)
  await rm(image)
}
