/** Which disk may be overwritten, how disks are listed, and where the facts come from. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { type KernelPlaces, machineFacts } from '../../../images/flash/adapters/machine-facts.ts'
import { diskTable, listDisks } from '../../../images/flash/disk-list.ts'
import {
  type BlockFacts,
  type DiskFacts,
  isSameDisk,
  type MachineFacts,
  misfit,
  plainText,
  refusal,
  usesOf,
} from '../../../images/flash/disks.ts'

const GiB = 2 ** 30

function block(name: string, number: string, more: Partial<BlockFacts> = {}): BlockFacts {
  return { name, number, sizeBytes: 8 * GiB, readOnly: false, parent: null, holders: [], ...more }
}

function disk(name: string, number: string, more: Partial<DiskFacts> = {}): DiskFacts {
  const facts = { model: 'A Stick', transport: 'usb', removableFlag: true, sectorBytes: 512, sequence: '1' }
  return { ...block(name, number), ...facts, ...more }
}

const stick = disk('sdb', '8:16')
const part = (more: Partial<BlockFacts> = {}): BlockFacts => block('sdb1', '8:17', { parent: 'sdb', ...more })

function machine(blocks: readonly BlockFacts[], more: Partial<MachineFacts> = {}): MachineFacts {
  const disks = blocks.filter((it): it is DiskFacts => 'model' in it)
  return { disks, blocks, mounts: [], swaps: [], ...more }
}

const codeOf = (facts: MachineFacts, anyDisk = false): string | undefined => {
  const found = facts.disks.find((it) => it.name === 'sdb')
  return found === undefined ? 'none' : refusal(facts, found, anyDisk)?.code
}
const mounted = (number: string, at: string): Partial<MachineFacts> => ({ mounts: [{ number, at }] })

describe('which disk may be overwritten', () => {
  it('a removable one that nobody uses', () => {
    expect(codeOf(machine([stick, part()]))).toBe(undefined)
    expect(codeOf(machine([stick, part()], mounted('8:1', '/')))).toBe(undefined)
  })

  it.each<[string, string, MachineFacts]>([
    ['the root is on a partition of it', 'EB-DISK-SYSTEM', machine([stick, part()], mounted('8:17', '/'))],
    [
      'it holds /boot/firmware',
      'EB-DISK-SYSTEM',
      machine([stick, part()], mounted('8:17', '/boot/firmware')),
    ],
    ['it holds /home', 'EB-DISK-SYSTEM', machine([stick, part()], mounted('8:17', '/home'))],
    ['it is mounted whole', 'EB-DISK-BUSY', machine([stick], mounted('8:16', '/media/a'))],
    ['a partition of it is mounted', 'EB-DISK-BUSY', machine([stick, part()], mounted('8:17', '/srv/mnt'))],
    ['a partition of it is swap', 'EB-DISK-SYSTEM', machine([stick, part()], { swaps: ['8:17'] })],
    ['it is a physical volume', 'EB-DISK-SYSTEM', machine([disk('sdb', '8:16', { holders: ['dm-0'] })])],
    ['a partition is in an array', 'EB-DISK-SYSTEM', machine([stick, part({ holders: ['md0'] })])],
    ['it is locked', 'EB-DISK-READ-ONLY', machine([disk('sdb', '8:16', { readOnly: true })])],
    ['there is no card in it', 'EB-DISK-MISSING', machine([disk('sdb', '8:16', { sizeBytes: 0 })])],
  ])('not when %s, whatever is asked for', (_, code, facts) => {
    expect(codeOf(facts, false)).toBe(code)
    expect(codeOf(facts, true)).toBe(code)
  })

  it('not a fixed one, unless it is asked for', () => {
    const fixed = machine([disk('sdb', '8:16', { removableFlag: false, transport: 'ata' })])
    expect(codeOf(fixed, false)).toBe('EB-DISK-FIXED')
    expect(codeOf(fixed, true)).toBe(undefined)
    for (const transport of ['usb', 'sd']) {
      expect(codeOf(machine([disk('sdb', '8:16', { removableFlag: false, transport })]))).toBe(undefined)
    }
  })

  it('what lies over volumes and arrays counts, and circles end', () => {
    const facts = machine(
      [
        stick,
        part({ holders: ['dm-0'] }),
        block('dm-0', '253:0', { holders: ['md0'] }),
        block('md0', '9:0', { holders: ['dm-0'] }),
        block('md0p1', '259:0', { parent: 'md0' }),
      ],
      { mounts: [{ number: '259:0', at: '/' }], swaps: ['253:0'] },
    )
    expect(usesOf(facts, 'sdb').map((it) => `${it.kind} ${it.device} ${it.by}`)).toEqual([
      'holder sdb1 dm-0',
      'swap dm-0 swap',
      'holder dm-0 md0',
      'holder md0 dm-0',
      'system md0p1 /',
    ])
    expect(refusal(facts, stick, true)?.what).toContain('md0p1 is mounted at /')
  })

  it('says what to unmount', () => {
    const mounts = [
      { number: '8:17', at: '/media/one' },
      { number: '8:18', at: '/media/two words' },
      { number: '8:18', at: '/mnt' },
    ]
    const facts = machine([stick, part(), block('sdb2', '8:18', { parent: 'sdb' })], { mounts })
    expect(refusal(facts, stick, false)?.todo).toBe('unmount it: umount /dev/sdb1 /dev/sdb2')
  })

  it('an image must fit to the byte', () => {
    expect(misfit('/dev/sdb', 512, 512)).toBe(null)
    expect(misfit('/dev/sdb', 512, 513)?.code).toBe('EB-DISK-SMALL')
  })

  it('a changed medium is another disk', () => {
    expect(isSameDisk(stick, { ...stick })).toBe(true)
    for (const change of [{ sequence: '2' }, { sizeBytes: GiB }, { model: 'B' }, { number: '8:32' }]) {
      expect(isSameDisk(stick, { ...stick, ...change })).toBe(false)
    }
  })
})

describe('the list', () => {
  const long = disk('mmcblk0', '179:0', { model: 'x'.repeat(200), transport: 'sd' })
  const facts = machine(
    [stick, part(), long, disk('sda', '8:0', { removableFlag: false, transport: 'ata' })],
    mounted('8:17', `/media/${'y'.repeat(100)}`),
  )

  it('shows removable disks, with what is in the way, in 80 columns', () => {
    const disks = listDisks(facts, false)
    expect(disks.map((it) => [it.path, it.refused])).toEqual([
      ['/dev/sdb', 'EB-DISK-BUSY'],
      ['/dev/mmcblk0', null],
    ])
    const table = diskTable(disks)
    expect(table).toHaveLength(3)
    for (const line of table) expect(line.length).toBeLessThanOrEqual(80)
    expect(table[1]).toMatch(/^\/dev\/sdb +8\.00 GiB .*sdb1 is mounted at/)
  })

  it('shows the others when asked', () => {
    expect(listDisks(facts, true).map((it) => it.path)).toContain('/dev/sda')
    expect(diskTable([])).toHaveLength(1)
  })
})

describe('the facts', () => {
  const rooms: string[] = []
  afterEach(() => {
    for (const room of rooms.splice(0)) rmSync(room, { recursive: true })
  })

  /** A kernel that shows these files. */
  function kernel(
    devices: Readonly<Record<string, Readonly<Record<string, string>>>>,
    mountinfo = '',
  ): KernelPlaces {
    const room = mkdtempSync(join(tmpdir(), 'everboot-sys-'))
    rooms.push(room)
    const put = (path: string, text: string): void => {
      mkdirSync(dirname(join(room, path)), { recursive: true })
      writeFileSync(join(room, path), `${text}\n`)
    }
    mkdirSync(join(room, 'sys/class/block'), { recursive: true })
    for (const [path, files] of Object.entries(devices)) {
      for (const [name, text] of Object.entries(files)) put(`sys/devices/${path}/${name}`, text)
      symlinkSync(
        join(room, 'sys/devices', path),
        join(room, 'sys/class/block', path.split('/').at(-1) ?? ''),
      )
    }
    put('proc/self/mountinfo', mountinfo)
    put('proc/swaps', 'Filename Type Size Used Priority')
    return { sys: join(room, 'sys'), proc: join(room, 'proc') }
  }
  const common = { ro: '0', removable: '0', 'queue/logical_block_size': '512', diskseq: '7' }

  it('are read for sticks, cards and partitions', async () => {
    const usb = 'pci0000:00/usb1/1-2/host6/block/sdb'
    const places = kernel(
      {
        [usb]: {
          ...common,
          dev: '8:16',
          size: '2048',
          'device/vendor': 'Acme  ',
          'device/model': 'Stick\u001b[2J 9',
        },
        [`${usb}/sdb1`]: { dev: '8:17', size: '1024', ro: '0', partition: '1', 'holders/dm-0/x': '' },
        'soc/mmc0/block/mmcblk0': {
          ...common,
          dev: '179:0',
          size: '8',
          'device/type': 'SD',
          'device/name': 'SC32G',
        },
        'soc/mmc1/block/mmcblk1': { ...common, dev: '179:8', size: '8', 'device/type': 'MMC', ro: '1' },
        'pci0000:00/virtio1/block/vda': { ...common, dev: '254:0', size: '8', 'device/vendor': '0x1af4' },
      },
      '36 25 8:17 / /media/two\\040words rw - ext4 /dev/sdb1 rw\n37 25 0:30 / /proc rw - proc proc rw',
    )
    const facts = await machineFacts(places)
    const found = Object.fromEntries(facts.disks.map((it) => [it.name, it]))
    expect(Object.keys(found)).toEqual(['mmcblk0', 'mmcblk1', 'sdb', 'vda'])
    expect(found['sdb']).toMatchObject({
      model: 'Acme Stick [2J 9',
      transport: 'usb',
      sizeBytes: 1_048_576,
      sequence: '7',
    })
    expect(found['mmcblk0']).toMatchObject({ model: 'SC32G', transport: 'sd' })
    expect(found['mmcblk1']).toMatchObject({ transport: 'emmc', readOnly: true })
    expect(found['vda']).toMatchObject({ model: '', transport: 'virtio' })
    expect(facts.blocks.find((it) => it.name === 'sdb1')).toMatchObject({ parent: 'sdb', holders: ['dm-0'] })
    expect(facts.mounts).toContainEqual({ number: '8:17', at: '/media/two words' })
  })

  it('what a disk says of itself is plain text', () => {
    expect(plainText(' a\u001b[31m\n\u0000b\u009b ')).toBe('a [31m b')
  })
})
