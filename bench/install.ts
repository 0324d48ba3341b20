/**
 * How fast and in how much memory a release is installed: hub → HTTPS → decrypt, check, expand → loop slot →
 * read back → seal → armed. Where Debian's `rauc` is installed it installs the same image in the same run.
 * Prints one JSON object a line. Arguments: sizes in MiB (default 64 320), `sparse8g` for an 8 GiB image.
 */
import { copyFileSync, existsSync, lstatSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { GiB, MiB } from '../core/units.ts'
import { entered, type Ground, makeSlots, median, openGround, startAgent, tool } from './ground.ts'
import { raucInstall } from './rauc.ts'

const runs = 3

async function main(sizes: readonly string[]): Promise<void> {
  const ground = await openGround()
  try {
    let version = 2
    for (const size of sizes) {
      const image = ground.at(`image-${size}`)
      const bytes = size === 'sparse8g' ? 8 * GiB : Number(size) * MiB
      makeImage(ground, image, bytes)
      const file = await ground.release(image, version)
      print(await measure(ground, file, version, size, bytes))
      const rival = size === 'sparse8g' ? null : await raucInstall(ground.directory, image, runs)
      if (rival !== null) print({ name: 'rauc', image: size, ...rival })
      version += 1
    }
  } finally {
    await ground.close()
  }
}

/** An ext4 image of real files; the sparse one has as many as fit 200 MiB. */
function makeImage(ground: Ground, image: string, bytes: number): void {
  const root = ground.at('files')
  const wanted = Math.min(bytes, 400 * MiB) * 0.6
  if (!existsSync(root)) mkdirSync(root)
  let have = 0
  for (const [index, path] of programs().entries()) {
    const { size } = statSync(path)
    if (have + size > wanted) continue
    copyFileSync(path, join(root, `${index}`))
    have += size
  }
  tool('truncate', '-s', `${bytes}`, image)
  tool('mkfs.ext4', '-q', '-F', '-b', '4096', '-d', root, image)
  tool('rm', '-rf', root)
}

/** Programs and libraries of this machine, largest first. */
function programs(): readonly string[] {
  const folders = ['/usr/bin', '/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/sbin']
  const files = folders
    .filter((it) => existsSync(it))
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
    .filter((path) => lstatSync(path).isFile())
  return [process.execPath, ...files].toSorted((one, other) => statSync(other).size - statSync(one).size)
}

async function measure(ground: Ground, file: string, version: number, size: string, bytes: number) {
  await ground.everboot('publish', file, '--hub', ground.at('hub'))
  const seen = []
  for (let run = 0; run < runs; run += 1) {
    const slots = await makeSlots(ground, bytes + 128 * MiB, `board-${version}-${run}`)
    const agent = await startAgent(ground, slots, `agent-${version}-${run}`)
    await agent.until((it) => it['event'] === 'hub connected')
    const rollout = ['rollout', 'create', '--release', `bench@${version}`, '--device', 'bench-1']
    await ground.everboot(...rollout, '--hub', ground.at('hub'))
    const began = await agent.until(entered('DOWNLOADING'))
    const verifying = await agent.until(entered('VERIFYING'))
    const applying = await agent.until(entered('APPLYING'))
    const armed = await agent.until(entered('REBOOTING'))
    const peakBytes = agent.peakBytes()
    await agent.stop()
    slots.release()
    const used = diskUse(join(ground.at(`board-${version}-${run}`), 'disk.img'))
    tool('rm', '-rf', ground.at(`board-${version}-${run}`))
    seen.push({
      seconds: (armed - began) / 1000,
      download: (verifying - began) / 1000,
      readBack: (applying - verifying) / 1000,
      peakBytes,
      used,
    })
  }
  const seconds = median(seen.map((it) => it.seconds))
  return {
    name: 'everboot',
    image: size,
    imageMiB: bytes / MiB,
    releaseMiB: round(statSync(file).size / MiB),
    runs,
    seconds: round(seconds),
    MiBperSecond: round(bytes / MiB / seconds),
    downloadSeconds: round(median(seen.map((it) => it.download))),
    readBackSeconds: round(median(seen.map((it) => it.readBack))),
    peakRssMiB: round(Math.max(...seen.map((it) => it.peakBytes)) / MiB),
    diskUsedMiB: round(median(seen.map((it) => it.used)) / MiB),
  }
}

/** Bytes that a sparse file really takes. */
function diskUse(path: string): number {
  return statSync(path).blocks * 512
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}

function print(it: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(it)}\n`)
}

const sizes = process.argv.slice(2)
await main(sizes.length > 0 ? sizes : ['64', '320'])
