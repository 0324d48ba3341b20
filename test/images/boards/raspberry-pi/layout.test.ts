/** The table of a Raspberry Pi's disk: what the firmware reads is primary, and others' tools read it as meant. */
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { bootPartition } from '../../../../core/boot-record.ts'
import { GiB, MiB } from '../../../../core/units.ts'
import { tool } from '../../../../images/boards/arm64/adapters/disk-file.ts'
import {
  diskMark,
  layOutPiDisk,
  partitionNames,
  sfdiskScript,
} from '../../../../images/boards/raspberry-pi/layout.ts'
import { readPartitions } from '../../../../images/flash/partition-table.ts'
import { openFileSource } from '../../../../images/release/adapters/file-bytes.ts'

const size = fc.integer({ min: 1, max: 4 * GiB })

test('partitions lie on 1 MiB edges, apart from each other, inside the disk, with room for what was asked', () => {
  fc.assert(
    fc.property(size, size, size, (bootBytes, rootBytes, dataBytes) => {
      const { bytes, partitions, extended } = layOutPiDisk({ bootBytes, rootBytes, dataBytes })
      let end = 0
      for (const name of partitionNames) {
        const it = partitions[name]
        // A logical partition has its own table in the sector before it.
        expect(it.offset).toBeGreaterThanOrEqual(end + (it.number > 4 ? 512 : 0))
        expect([it.offset % MiB, it.bytes % MiB]).toEqual([0, 0])
        expect(it.offset >= extended.offset).toBe(it.number > 4)
        end = it.offset + it.bytes
      }
      expect([end, extended.offset + extended.bytes]).toEqual([bytes, bytes])
      expect(partitions.record.bytes).toBeGreaterThanOrEqual(bootPartition.bytesMin)
      expect(partitions['boot-b'].bytes).toBeGreaterThanOrEqual(bootBytes)
      expect(partitions['root-b'].bytes).toBeGreaterThanOrEqual(rootBytes)
    }),
  )
})

test('sfdisk makes of the script what the layout says, with our mark and FAT where the firmware looks', async () => {
  const room = await mkdtemp(join(tmpdir(), 'everboot-pi-layout-'))
  try {
    const layout = layOutPiDisk({ bootBytes: 64 * MiB, rootBytes: 100 * MiB + 1, dataBytes: 16 * MiB })
    const disk = join(room, 'disk.img')
    await writeFile(disk, '')
    await truncate(disk, layout.bytes)
    await tool('sfdisk', ['-q', '--no-reread', '--no-tell-kernel', disk], { input: sfdiskScript(layout) })
    const source = await openFileSource(disk)
    const mark = new Uint8Array(4)
    await source.read(440, mark)
    const found = await readPartitions(source)
    await source.close()
    // As the initramfs compares it.
    expect(Buffer.from(mark).toString('hex')).toBe('54425645')
    expect(Buffer.from(mark).readUInt32LE()).toBe(diskMark)
    expect(found).toEqual(
      partitionNames
        .map((it) => layout.partitions[it])
        .map(({ number, offset, bytes }) => ({ number, start: offset, bytes })),
    )
    const table = JSON.parse(await tool('sfdisk', ['--json', disk])).partitiontable
    expect(table).toMatchObject({ label: 'dos', id: '0x45564254' })
    const types = table.partitions.map((it: { readonly type: string }) => it.type)
    expect(types).toEqual(['c', 'c', 'c', 'f', '83', '83', '83', '83'])
  } finally {
    await rm(room, { recursive: true })
  }
})
