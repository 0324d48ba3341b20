/** `everboot flash` on loop devices: right bytes, every dangerous target refused, damaged images, the first boot. */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { zipSync } from 'fflate'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FlashJob, flash } from '../../images/flash/adapters/flash.ts'
import { machineFacts } from '../../images/flash/adapters/machine-facts.ts'
import { refusal } from '../../images/flash/disks.ts'
import { checkFirstBoot, firstBootName } from '../../images/flash/first-boot.ts'
import { codeOf, noRoot, type Workshop, workshop } from '../device/adapters/real.ts'

const MiB = 1 << 20
/** Data, a long hole, data that ends in the middle of a sector. */
const image = Buffer.concat([randomBytes(MiB), Buffer.alloc(11 * MiB), randomBytes(MiB + 777)])
const byXz = (bytes: Uint8Array): Buffer =>
  execFileSync('xz', ['-0', '-c'], { input: bytes, maxBuffer: 64 * MiB })
const everboot = resolve(import.meta.dirname, '../../everboot.ts')

let shop: Workshop
beforeEach(() => {
  shop = workshop()
})
afterEach(() => shop.close())

function put(bytes: Uint8Array, name = 'image.any'): string {
  writeFileSync(shop.path(name), bytes)
  return shop.path(name)
}

function job(imagePath: string, disk: string, more: Partial<FlashJob> = {}): FlashJob {
  return {
    image: imagePath,
    disk,
    anyDisk: true,
    eject: false,
    firstBoot: null,
    signal: new AbortController().signal,
    confirm: async () => {},
    progress: () => {},
    ...more,
  }
}

const refused = (disk: string, more: Partial<FlashJob> = {}): Promise<string> =>
  codeOf(() => flash(job(put(image), disk, more)))

const skip: string | null = noRoot
describe.skipIf(skip !== null)(`flashing loop devices${skip === null ? '' : ` (${skip})`}`, () => {
  it.each<[string, (bytes: Uint8Array) => Uint8Array]>([
    ['raw', (bytes) => bytes],
    ['gz', (bytes) => gzipSync(bytes)],
    ['zst', (bytes) => zstdCompressSync(bytes)],
    ['zip', (bytes) => zipSync({ 'disk.img': bytes })],
    ['xz', byXz],
  ])('puts a %s image on the disk and leaves the rest alone', async (_, pack) => {
    const file = put(randomBytes(16 * MiB), 'disk')
    const before = readFileSync(file)
    const done = await flash(job(put(pack(image)), shop.loop(file)))
    const after = readFileSync(file)
    expect(done.bytes).toBe(image.length)
    expect(after.subarray(0, image.length).equals(image)).toBe(true)
    const end = Math.ceil(image.length / 512) * 512
    expect(after.subarray(image.length, end).every((byte) => byte === 0)).toBe(true)
    expect(after.subarray(end).equals(before.subarray(end))).toBe(true)
  })

  it('puts an image on a disk that it fills to the last sector', async () => {
    const exact = image.subarray(0, 13 * MiB)
    const file = shop.file('disk', exact.length)
    await flash(job(put(exact), shop.loop(file)))
    expect(readFileSync(file).equals(exact)).toBe(true)
  })

  it('refuses a disk that is not removable, unless told', async () => {
    const disk = shop.loop(shop.file('disk', 16 * MiB))
    expect(await refused(disk, { anyDisk: false })).toBe('EB-DISK-FIXED')
  })

  it('refuses a mounted disk', async () => {
    const disk = shop.loop(shop.file('disk', 16 * MiB))
    shop.tool('mkfs.ext4', '-q', disk)
    shop.mount('mnt', disk)
    expect(await refused(disk)).toBe('EB-DISK-BUSY')
  })

  it('refuses a partition, and the disk of a mounted partition', async () => {
    const file = shop.file('disk', 32 * MiB)
    execFileSync('sfdisk', ['-q', file], { input: 'start=2048, type=83\n' })
    const disk = shop.loop(file, '--partscan')
    const part = `${disk}p1`
    // Not every kernel looks by itself.
    if (statSync(part, { throwIfNoEntry: false }) === undefined) shop.tool('partx', '--add', disk)
    expect(await refused(part)).toBe('EB-DISK-PARTITION')
    shop.tool('mkfs.ext4', '-q', part)
    shop.mount('mnt', part)
    expect(await refused(disk)).toBe('EB-DISK-BUSY')
  })

  it('refuses a disk that is swapped to', async () => {
    const file = put(Buffer.alloc(16 * MiB), 'disk')
    shop.tool('mkswap', file)
    const disk = shop.loop(file)
    shop.tool('swapon', '--priority', '0', disk)
    try {
      expect(await refused(disk)).toBe('EB-DISK-SYSTEM')
    } finally {
      shop.tool('swapoff', disk)
    }
  })

  it('refuses a disk that another program holds', async () => {
    const file = shop.file('disk', 16 * MiB)
    const disk = shop.loop(file)
    // Another mount namespace: this process does not see the mount, the kernel does.
    shop.tool('mkfs.ext4', '-q', disk)
    const script = 'mount "$1" /mnt && echo ready && read -r _'
    const child = spawn('unshare', ['--mount', '--', 'sh', '-c', script, 'sh', disk], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    await new Promise((ready) => child.stdout.once('data', ready))
    try {
      expect(await refused(disk)).toBe('EB-DISK-BUSY')
    } finally {
      const ended = new Promise((done) => child.once('close', done))
      child.stdin.end()
      await ended
    }
  })

  it('refuses a read-only disk', async () => {
    expect(await refused(shop.loop(shop.file('disk', 16 * MiB), '--read-only'))).toBe('EB-DISK-READ-ONLY')
  })

  it('refuses a disk that is too small, packed image or not, before it writes', async () => {
    const file = put(randomBytes(8 * MiB), 'disk')
    const before = readFileSync(file)
    const disk = shop.loop(file)
    for (const bytes of [image, gzipSync(image), zstdCompressSync(image)]) {
      expect(await codeOf(() => flash(job(put(bytes), disk)))).toBe('EB-DISK-SMALL')
    }
    expect(readFileSync(file).equals(before)).toBe(true)
  })

  it('refuses names that are no disk, and makes no file in /dev', async () => {
    expect(await refused('/dev/everboot-no-such-disk')).toBe('EB-DISK-MISSING')
    expect(await refused('/dev/null')).toBe('EB-DISK-MISSING')
    expect(await refused(shop.directory)).toBe('EB-DISK-MISSING')
  })

  it('never takes the disk of the running system', async () => {
    const facts = await machineFacts()
    const root = facts.mounts.find((it) => it.at === '/')?.number
    const block = facts.blocks.find((it) => it.number === root)
    const disk = facts.disks.find((it) => it.name === (block?.parent ?? block?.name))
    // The root of a container may lie on no disk of its own.
    if (disk !== undefined) expect(refusal(facts, disk, true)?.code).toBe('EB-DISK-SYSTEM')
    else expect(block).toBe(undefined)
  })

  it.each<[string, (bytes: Uint8Array) => Uint8Array]>([
    ['gz', (bytes) => gzipSync(bytes)],
    ['zst', (bytes) => zstdCompressSync(bytes)],
    ['zip', (bytes) => zipSync({ 'disk.img': bytes })],
    ['xz', byXz],
  ])('a truncated or damaged %s image costs no disk', async (_, pack) => {
    const file = put(randomBytes(16 * MiB), 'disk')
    const before = readFileSync(file)
    const disk = shop.loop(file)
    const packed = Buffer.from(pack(image))
    const damaged = Buffer.from(packed)
    damaged[1_000_000] = (damaged[1_000_000] ?? 0) ^ 0x55
    for (const bytes of [packed.subarray(0, packed.length >> 1), packed.subarray(0, -3)]) {
      expect(await codeOf(() => flash(job(put(bytes), disk)))).toBe('EB-IMAGE')
    }
    // A zst frame without a checksum says nothing of one wrong byte of incompressible data.
    if (_ !== 'zst') expect(await codeOf(() => flash(job(put(damaged), disk)))).toBe('EB-IMAGE')
    expect(readFileSync(file).equals(before)).toBe(true)
  })

  it('tells a disk that was removed meanwhile, and leaves no partition table behind', async () => {
    const file = put(randomBytes(16 * MiB), 'disk')
    const disk = shop.loop(file)
    let pulled = false
    const progress = (phase: string): void => {
      if (phase !== 'writing' || pulled) return
      pulled = true
      truncateSync(file, 4 * MiB)
      shop.tool('losetup', '--set-capacity', disk)
    }
    expect(await codeOf(() => flash(job(put(image), disk, { progress })))).toBe('EB-DISK-GONE')
    expect(readFileSync(file).every((byte) => byte === 0)).toBe(true)
  })

  it('notices that the disk is another one after the answer', async () => {
    const file = shop.file('disk', 16 * MiB)
    const disk = shop.loop(file)
    const confirm = async (): Promise<void> => {
      truncateSync(file, 32 * MiB)
      shop.tool('losetup', '--set-capacity', disk)
    }
    expect(await refused(disk, { confirm })).toBe('EB-DISK-GONE')
  })

  it('stops when it is interrupted and says that the disk holds no system', async () => {
    const disk = shop.loop(shop.file('disk', 16 * MiB))
    const stop = new AbortController()
    expect(await refused(disk, { signal: stop.signal, progress: () => stop.abort() })).toBe('EB-CANCELLED')
  })

  it('says that the file system of a plain file is full, and removes what it made', async () => {
    const room = shop.mount('room', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs')
    expect(await refused(`${room}/disk.img`)).toBe('EB-DISK-FULL')
    expect(statSync(`${room}/disk.img`, { throwIfNoEntry: false })).toBe(undefined)
  })

  it('asks, and without a terminal refuses', () => {
    const disk = shop.loop(shop.file('disk', 16 * MiB))
    const run = (...args: string[]) =>
      spawnSync(process.execPath, [everboot, 'flash', put(image), disk, '--any-disk', ...args], {
        encoding: 'utf8',
      })
    const asked = run('--json')
    expect(asked.status).toBe(3)
    expect(JSON.parse(asked.stdout).error.code).toBe('EB-DISK-UNCONFIRMED')
    const done = run('--yes', '--json')
    expect(done.status).toBe(0)
    expect(JSON.parse(done.stdout)).toMatchObject({ disk, bytes: image.length })
  })
})

describe('flashing a plain file', () => {
  it('makes it as long as the image', async () => {
    await flash(job(put(gzipSync(image)), shop.path('disk.img')))
    expect(readFileSync(shop.path('disk.img')).equals(image)).toBe(true)
  })

  it('refuses to write an image over itself', async () => {
    const path = put(image)
    expect(await codeOf(() => flash(job(path, path)))).toBe('EB-USAGE')
  })
})

describe('the first boot', () => {
  const firstBoot = checkFirstBoot(
    { v: 1, hub: 'https://hub.example:8443', wifi: { ssid: 'home', password: 'open sesame' } },
    'x',
  )

  /** A disk with one FAT partition behind another one. */
  function fatDisk(bits: '16' | '32', table: 'dos' | 'gpt'): string {
    const file = shop.file('fat.img', 44 * MiB)
    const types = table === 'gpt' ? ['L', 'U'] : ['83', 'c']
    const parts = `label: ${table}\nstart=2048, size=4096, type=${types[0]}\nstart=8192, size=73728, type=${types[1]}\n`
    execFileSync('sfdisk', ['-q', file], { input: parts })
    shop.tool('mkfs.vfat', '-F', bits, '--offset', '8192', file, '36864')
    return file
  }
  const readFirstBoot = (disk: string): unknown =>
    JSON.parse(shop.tool('mcopy', '-i', `${disk}@@${8192 * 512}`, `::${firstBootName}`, '-'))

  it.each([
    ['16', 'dos'],
    ['32', 'dos'],
    ['16', 'gpt'],
    ['32', 'gpt'],
  ] as const)('lies on the first FAT%s partition of a %s disk', async (bits, table) => {
    const source = fatDisk(bits, table)
    for (const path of [source, put(gzipSync(readFileSync(source)), 'fat.img.gz')]) {
      const done = await flash(job(path, shop.path('out.img'), { firstBoot }))
      expect(done.firstBoot).toMatchObject({ number: 2, start: 8192 * 512 })
      expect(readFirstBoot(shop.path('out.img'))).toEqual(firstBoot)
    }
  })

  it.skipIf(noRoot !== null)('is put on a disk too, over an older one', async () => {
    const disk = shop.loop(shop.file('disk', 48 * MiB))
    const source = fatDisk('32', 'gpt')
    await flash(job(source, disk, { firstBoot: checkFirstBoot({ v: 1, hub: 'http://old' }, 'x') }))
    await flash(job(source, disk, { firstBoot }))
    expect(readFirstBoot(disk)).toEqual(firstBoot)
  })

  it('is refused before anything is written when the image has no FAT partition', async () => {
    const out = put(Buffer.from('kept'), 'out.img')
    for (const bytes of [image, gzipSync(image)]) {
      expect(await codeOf(() => flash(job(put(bytes), out, { firstBoot })))).toBe('EB-FIRST-BOOT')
    }
    expect(readFileSync(out, 'utf8')).toBe('kept')
  })
})
