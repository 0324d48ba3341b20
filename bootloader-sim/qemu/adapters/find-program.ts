/**
 * Finds QEMU and other programs, and looks whether QEMU is new enough.
 * Promise: what is missing is named with its Debian package.
 */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { raise } from '../../../core/errors.ts'
import { runTool, toolEnvironment } from '../../adapters/tools.ts'
import { isNewEnough, qemuProgram, qemuVersion, qemuVersionMin } from '../machine.ts'

/** @returns its file, or null */
export function findProgram(name: string): string | null {
  if (name.includes('/')) return isProgram(name) ? name : null
  const directories = (toolEnvironment()['PATH'] ?? '').split(delimiter).filter((it) => it !== '')
  return directories.map((it) => join(it, name)).find(isProgram) ?? null
}

/** @throws EverbootError EB-TOOL-MISSING */
export function needProgram(name: string, debianPackage: string): string {
  const found = findProgram(name)
  if (found !== null) return found
  raise('EB-TOOL-MISSING', `${name} is not installed`, { todo: `apt-get install ${debianPackage}` })
}

/**
 * @param program default: the QEMU of the arm64 boards. @returns its file
 * @throws EverbootError EB-TOOL-MISSING, EB-QEMU-VERSION, EB-QEMU
 */
export async function needQemu(program: string = qemuProgram): Promise<string> {
  const file = needProgram(program, 'qemu-system-arm')
  const { status, output, errors } = await runTool([file, '--version'])
  const version = status === 0 ? qemuVersion(output) : null
  if (version === null) raise('EB-QEMU', `${file} --version: status ${status}: ${errors.trim() || output}`)
  if (!isNewEnough(version)) {
    const least = qemuVersionMin.join('.')
    raise('EB-QEMU-VERSION', `${file} is version ${version.join('.')}, at least ${least} is needed`, {
      todo: `install QEMU ${least} or newer, or put it first in PATH`,
    })
  }
  return file
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
