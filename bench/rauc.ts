/**
 * The rival of bench/install.ts: Debian's RAUC installs the same image as a plain bundle into a loop device,
 * with a custom bootloader back end, through its D-Bus service, as its documentation recommends.
 * Leaves to others: installing the packages `rauc`, `rauc-service`, `dbus` and `squashfs-tools`.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { median, tool } from './ground.ts'

export interface RaucResult {
  readonly seconds: number
  readonly peakRssMiB: number
  readonly version: string
}

/** @returns null when rauc is not installed */
export async function raucInstall(
  directory: string,
  image: string,
  runs: number,
): Promise<RaucResult | null> {
  if (spawnSync('rauc', ['--version']).status !== 0 || !existsSync('/usr/bin/dbus-daemon')) return null
  const home = join(directory, `rauc-${Date.now()}`)
  mkdirSync(join(home, 'bundle'), { recursive: true })
  const slot = makeConfig(home, image)
  const bundle = makeBundle(home, image)
  const bus = await startBus(home)
  const environment = { ...process.env, DBUS_SYSTEM_BUS_ADDRESS: bus.address }
  const seen: { seconds: number; peakKiB: number }[] = []
  try {
    for (let run = 0; run < runs; run += 1) {
      const service = spawn('rauc', ['-c', join(home, 'system.conf'), 'service', '--override-boot-slot=A'], {
        env: environment,
        stdio: 'ignore',
      })
      await sleep(1_000)
      const startMs = performance.now()
      const ran = spawnSync('rauc', ['install', bundle], { env: environment, encoding: 'utf8' })
      const seconds = (performance.now() - startMs) / 1000
      if (ran.status !== 0) throw new Error(`rauc install: ${ran.stdout}${ran.stderr}`)
      const kB = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${service.pid}/status`, 'latin1'))?.[1]
      seen.push({ seconds, peakKiB: Number(kB ?? 0) })
      service.kill('SIGKILL')
    }
  } finally {
    bus.stop()
    for (const it of slot) tool('losetup', '-d', it)
  }
  return {
    seconds: Math.round(median(seen.map((it) => it.seconds)) * 100) / 100,
    peakRssMiB: Math.round(Math.max(...seen.map((it) => it.peakKiB)) / 10.24) / 100,
    version: tool('rauc', '--version').trim(),
  }
}

function makeConfig(home: string, image: string): readonly string[] {
  const size = readSize(image)
  const loops = ['a', 'b'].map((name) => {
    const file = join(home, `${name}.img`)
    tool('truncate', '-s', `${size}`, file)
    return tool('losetup', '-f', '--show', '--direct-io=on', file).trim()
  })
  const [a, b] = loops
  const backend = join(home, 'backend.sh')
  const state = join(home, 'state')
  writeFileSync(state, 'A')
  writeFileSync(
    backend,
    `#!/bin/sh\ncase $1 in get-primary) cat ${state};; set-primary) echo $2 > ${state};; get-state) echo good;; set-state) exit 0;; get-current) echo A;; esac\n`,
    { mode: 0o755 },
  )
  tool(
    'openssl',
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '30',
    '-subj',
    '/CN=bench',
    '-keyout',
    join(home, 'key.pem'),
    '-out',
    join(home, 'cert.pem'),
  )
  writeFileSync(
    join(home, 'system.conf'),
    `[system]\ncompatible=bench\nbootloader=custom\nbundle-formats=plain verity\ndata-directory=${home}\n[handlers]\nbootloader-custom-backend=${backend}\n[keyring]\npath=${join(home, 'cert.pem')}\n[slot.rootfs.0]\ndevice=${a}\ntype=raw\nbootname=A\n[slot.rootfs.1]\ndevice=${b}\ntype=raw\nbootname=B\n`,
  )
  return loops
}

function makeBundle(home: string, image: string): string {
  const content = join(home, 'bundle')
  tool('cp', '--sparse=always', image, join(content, 'rootfs.img'))
  writeFileSync(
    join(content, 'manifest.raucm'),
    '[update]\ncompatible=bench\nversion=1\n[bundle]\nformat=plain\n[image.rootfs]\nfilename=rootfs.img\n',
  )
  const bundle = join(home, 'bench.raucb')
  tool('rauc', 'bundle', '--cert', join(home, 'cert.pem'), '--key', join(home, 'key.pem'), content, bundle)
  return bundle
}

async function startBus(home: string): Promise<{ readonly address: string; stop(): void }> {
  const socket = join(home, 'bus')
  const config = join(home, 'bus.conf')
  writeFileSync(
    config,
    `<busconfig><type>system</type><listen>unix:path=${socket}</listen><auth>EXTERNAL</auth><policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/><allow eavesdrop="true"/></policy></busconfig>`,
  )
  const daemon = spawn('dbus-daemon', [`--config-file=${config}`, '--nofork'], { stdio: 'ignore' })
  while (!existsSync(socket)) await sleep(20)
  return { address: `unix:path=${socket}`, stop: () => void daemon.kill('SIGKILL') }
}

function readSize(image: string): number {
  return Number(tool('stat', '-c', '%s', image).trim())
}
