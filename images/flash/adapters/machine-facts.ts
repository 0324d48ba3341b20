/**
 * The disks of this machine and what uses them, from /sys and /proc.
 * Promise: needs no program and no root; a disk that goes away meanwhile is left out; what a disk says of
 * itself comes without control characters.
 * Leaves to others: what follows from it (disks.ts).
 */
import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { type BlockFacts, type DiskFacts, type MachineFacts, plainText } from '../disks.ts'

/** Where the kernel tells; others in tests. */
export interface KernelPlaces {
  readonly sys: string
  readonly proc: string
}

export const kernelPlaces: KernelPlaces = { sys: '/sys', proc: '/proc' }

export async function machineFacts(places: KernelPlaces = kernelPlaces): Promise<MachineFacts> {
  const names = (await readdir(join(places.sys, 'class/block'))).sort((a, b) =>
    a.localeCompare(b, 'en', { numeric: true }),
  )
  const blocks: BlockFacts[] = []
  const disks: DiskFacts[] = []
  for (const name of names) {
    const block = await blockFacts(places, name)
    if (block === null) continue
    blocks.push(block)
    if (block.parent === null) disks.push(await diskFacts(places, block))
  }
  return { disks, blocks, mounts: await mounts(places), swaps: await swaps(places) }
}

/** `8:16` of a device number as stat gives it. */
export function numberText(rdev: number): string {
  const major = (rdev >>> 8) & 0xfff
  const minor = (rdev & 0xff) | ((rdev >>> 12) & 0xfff00)
  return `${major}:${minor}`
}

async function blockFacts({ sys }: KernelPlaces, name: string): Promise<BlockFacts | null> {
  const directory = await realpath(join(sys, 'class/block', name)).catch(() => null)
  if (directory === null) return null
  const number = await text(directory, 'dev')
  if (number === '') return null
  const isPartition = (await text(directory, 'partition')) !== ''
  return {
    name,
    number,
    sizeBytes: Number(await text(directory, 'size')) * 512,
    readOnly: (await text(directory, 'ro')) !== '0',
    parent: isPartition ? basename(dirname(directory)) : null,
    holders: await readdir(join(directory, 'holders')).catch(() => []),
  }
}

async function diskFacts({ sys }: KernelPlaces, block: BlockFacts): Promise<DiskFacts> {
  const directory = await realpath(join(sys, 'class/block', block.name)).catch(() => '/nonexistent')
  const cardType = await text(directory, 'device/type')
  const words = [
    await text(directory, 'device/vendor'),
    (await text(directory, 'device/model')) || (await text(directory, 'device/name')),
    await text(directory, 'loop/backing_file'),
  ]
  return {
    ...block,
    // Of PCI and virtio devices the vendor is a number.
    model: plainText(words.filter((it) => it !== '' && !/^0x[0-9a-f]+$/.test(it)).join(' ')),
    transport: transportOf(directory, block.name, cardType),
    removableFlag: (await text(directory, 'removable')) === '1',
    sectorBytes: Number(await text(directory, 'queue/logical_block_size')) || 512,
    sequence: await text(directory, 'diskseq'),
  }
}

function transportOf(directory: string, name: string, cardType: string): string {
  if (/\/usb\d+\//.test(directory)) return 'usb'
  if (name.startsWith('mmcblk')) return cardType === 'SD' ? 'sd' : 'emmc'
  const known = /^(nvme|loop|zram|ram|dm-|md|nbd|sr|fd)/.exec(name)?.[1]
  if (known !== undefined) return known.replace('-', '')
  if (directory.includes('/virtio')) return 'virtio'
  return directory.includes('/ata') ? 'ata' : ''
}

async function mounts({ proc }: KernelPlaces): Promise<readonly { number: string; at: string }[]> {
  const lines = (await readFile(join(proc, 'self/mountinfo'), 'utf8')).split('\n').filter((it) => it !== '')
  const found: { number: string; at: string }[] = []
  for (const line of lines) {
    const [left = '', right = ''] = line.split(' - ')
    const [, , number = '', , at = ''] = left.split(' ')
    found.push({ number, at: unescaped(at) })
    // A btrfs shows a number of its own; its device is named only.
    const source = unescaped(right.split(' ')[1] ?? '')
    if (number.startsWith('0:') && source.startsWith('/dev/')) {
      const own = await numberOf(source)
      if (own !== null) found.push({ number: own, at: unescaped(at) })
    }
  }
  return found
}

async function swaps({ proc }: KernelPlaces): Promise<readonly string[]> {
  const lines = (await readFile(join(proc, 'swaps'), 'utf8').catch(() => '')).split('\n').slice(1)
  const numbers: string[] = []
  for (const line of lines) {
    const path = unescaped(line.split(/\s+/)[0] ?? '')
    const number = path.startsWith('/') ? await numberOf(path) : null
    if (number !== null) numbers.push(number)
  }
  return numbers
}

/** Of a block device; a swap file lies on a file system that is mounted anyhow. */
async function numberOf(path: string): Promise<string | null> {
  const it = await stat(path).catch(() => null)
  return it?.isBlockDevice() === true ? numberText(it.rdev) : null
}

/** Spaces and the like come as octal. */
function unescaped(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}

async function text(directory: string, name: string): Promise<string> {
  return (await readFile(join(directory, name), 'utf8').catch(() => '')).trim()
}
