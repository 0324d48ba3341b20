/**
 * Loop devices over parts of the disk file.
 * Promise: a loop device lives exactly as long as this process holds it open or something on it is mounted;
 * even `kill -9` of this process at any instant leaves none behind.
 * Leaves to others: mounting, and not writing one byte range through two devices.
 */
import { spawn } from 'node:child_process'
import { type FileHandle, open, readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { EverbootError, fault, raise } from '../../core/errors.ts'
import { boardLimits } from '../../core/limits.ts'
import type { DevicePart } from './file-device.ts'
import { toolEnvironment } from './tools.ts'
import { until } from './wait.ts'

/**
 * Attaches, opens, and only then detaches: a device that is open is not detached but cleared at its last
 * close. The shell lives in a session of its own, ignores signals and ends when its input closes, that is
 * when this process has opened the device itself, or is gone. File systems without O_DIRECT get a buffered loop.
 */
const script = `
trap '' INT TERM HUP
attach() { losetup --find --show $2 $3 --offset "$4" --sizelimit "$5" "$1"; }
d=$(attach "$1" --direct-io=on "$2" "$3" "$4" 2>/dev/null) || d=$(attach "$1" "" "$2" "$3" "$4") || exit 1
exec 9<"$d" || { losetup --detach "$d"; exit 1; }
losetup --detach "$d"
echo "$d"
read -r _ || :
`

export interface Loop {
  /** `/dev/loop7` */
  readonly path: string
  readonly major: number
  readonly minor: number
  /** Resolves when the kernel has let go of the file. @throws EverbootError EB-NO-LOOP when it does not. */
  release(): Promise<void>
}

/** @throws EverbootError EB-NO-LOOP */
export async function attachLoop(part: DevicePart, readOnly: boolean): Promise<Loop> {
  const { path, letGo } = await holder(part, readOnly)
  try {
    const handle = await open(path, 'r')
    const numbers = (await readFile(`${sysfs(path)}/dev`, 'utf8')).trim().split(':')
    const [major = 0, minor = 0] = numbers.map(Number)
    return { path, major, minor, release: () => release(handle, path, part) }
  } finally {
    letGo()
  }
}

/** Runs the script until it has printed the device. */
function holder(part: DevicePart, readOnly: boolean): Promise<{ path: string; letGo: () => void }> {
  const args = [part.path, readOnly ? '--read-only' : '', `${part.offset}`, `${part.bytes}`]
  const child = spawn('/bin/sh', ['-c', script, 'sh', ...args], { detached: true, env: toolEnvironment() })
  let output = ''
  let errors = ''
  child.stderr.on('data', (bytes: Buffer) => {
    errors = `${errors}${bytes.toString()}`.slice(-boardLimits.consoleLineBytesMax)
  })
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), boardLimits.toolMs)
    child.on('error', reject)
    child.stdout.on('data', (bytes: Buffer) => {
      output += bytes.toString()
      if (!output.endsWith('\n')) return
      clearTimeout(timer)
      resolve({ path: output.trim(), letGo: () => child.stdin.end() })
    })
    child.on('close', () => {
      clearTimeout(timer)
      const why = errors.trim() || 'losetup printed nothing'
      reject(new EverbootError(fault('EB-NO-LOOP', `no loop device for ${part.path}: ${why}`)))
    })
  })
}

async function release(handle: FileHandle, path: string, part: DevicePart): Promise<void> {
  await handle.close()
  const free = await until(boardLimits.releaseMs, async () => !(await holds(path, part)))
  if (!free) raise('EB-NO-LOOP', `${path} is still attached to ${part.path}`)
}

/** Whether the device still stands for this part of this file. */
async function holds(path: string, part: DevicePart): Promise<boolean> {
  try {
    const file = await readFile(`${sysfs(path)}/loop/backing_file`, 'utf8')
    const offset = await readFile(`${sysfs(path)}/loop/offset`, 'utf8')
    return file.trim() === part.path && Number(offset) === part.offset
  } catch {
    return false
  }
}

function sysfs(path: string): string {
  return `/sys/block/${basename(path)}`
}
