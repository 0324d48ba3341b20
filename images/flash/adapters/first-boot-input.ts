/**
 * Gathers what a device needs at its first boot from the options of the command.
 * Promise: everything is read and checked before any disk is touched; secrets come from files and variables only.
 * Leaves to others: the form (first-boot.ts), the partition (fat-file.ts).
 */
import { readFile, stat } from 'node:fs/promises'
import { raise } from '../../../core/errors.ts'
import { flashLimits } from '../../../core/limits.ts'
import { checkFirstBoot, type FirstBoot, parseJson, parseSshKeys, parseWifi } from '../first-boot.ts'

export interface FirstBootOptions {
  /** A file in the form of the result; the other options are added to it. */
  readonly file: string | null
  readonly hubUrl: string | null
  readonly identity: string | null
  readonly wifi: string | null
  readonly sshKeys: readonly string[]
}

/** @returns null when no option was given. @throws EverbootError EB-FIRST-BOOT, EB-FILE, EB-USAGE */
export async function firstBootFrom(
  options: FirstBootOptions,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<FirstBoot | null> {
  const { file, hubUrl, identity, wifi, sshKeys } = options
  const given = [file, hubUrl, identity, wifi].filter((it) => it !== null)
  if (given.length + sshKeys.length === 0) return null
  const base = file === null ? { v: 1 } : checkFirstBoot(parseJson(await text(file), file), file)
  const keys: string[] = []
  for (const path of sshKeys) keys.push(...parseSshKeys(await text(path), path))
  const whole = {
    ...base,
    ...(hubUrl === null ? {} : { hub: hubUrl.replace(/\/$/, '') }),
    ...(identity === null ? {} : { identity: parseJson(await text(identity), identity) }),
    ...(wifi === null ? {} : { wifi: await wifiFrom(wifi, environment) }),
    ...(sshKeys.length === 0 ? {} : { sshAuthorizedKeys: keys }),
  }
  return checkFirstBoot(whole, file ?? 'the first-boot options')
}

async function wifiFrom(
  option: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<{ ssid: string; password?: string }> {
  const { ssid, from, name } = parseWifi(option)
  if (from === 'open') return { ssid }
  const found = from === 'env' ? environment[name] : await text(name)
  if (found === undefined)
    raise('EB-USAGE', `--wifi: the variable ${name} is not set`, { todo: `export ${name}` })
  return { ssid, password: found.replace(/\r?\n$/, '') }
}

async function text(path: string): Promise<string> {
  try {
    const { size } = await stat(path)
    if (size <= flashLimits.firstBootBytesMax) return await readFile(path, 'utf8')
  } catch (cause) {
    raise('EB-FILE', `${path} cannot be read: ${(cause as Error).message}`, { cause })
  }
  raise('EB-FIRST-BOOT', `${path} is longer than ${flashLimits.firstBootBytesMax} bytes`)
}
