/**
 * What a device needs at its first boot, as one file on its first FAT partition.
 * Promise: an unknown key, a wrong type or an impossible value is refused with its place named; secrets never
 * show in messages.
 * Leaves to others: reading and writing files; what the device does with it.
 */
import * as v from 'valibot'
import { raise } from '../../core/errors.ts'
import { flashLimits } from '../../core/limits.ts'
import { safeName } from '../../core/units.ts'

/** On the FAT partition. */
export const firstBootName = 'everboot-first-boot.json'

const code = 'EB-FIRST-BOOT'
const origin = v.pipe(v.string(), v.regex(/^https?:\/\/[^/\s]+$/, 'not an origin like https://hub:8443'))

/** The identity file of `everboot devices add`; the publisher's wrapping key may be in it. */
const identity = v.strictObject({
  v: v.literal(1),
  deviceId: v.pipe(v.string(), v.regex(safeName, 'not a safe name')),
  mqtt: v.pipe(v.string(), v.regex(/^mqtts?:\/\/[^/\s]+$/, 'not a broker like mqtts://hub:8883')),
  http: origin,
  ca: v.string(),
  token: v.pipe(v.string(), v.minLength(1, 'empty')),
  wrappingKey: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'not 64 hex digits'))),
})

const utf8Bytes = (text: string): number => Buffer.byteLength(text)
const wifi = v.strictObject({
  ssid: v.pipe(
    v.string(),
    v.check((it) => utf8Bytes(it) >= 1 && utf8Bytes(it) <= 32, 'not 1 to 32 bytes'),
  ),
  /** Absent for an open network; else a WPA passphrase or the 64 hex digits of a key. */
  password: v.optional(
    v.pipe(v.string(), v.regex(/^([\x20-\x7e]{8,63}|[0-9a-fA-F]{64})$/, 'not 8 to 63 ASCII characters')),
  ),
})

const sshKey = v.pipe(
  v.string(),
  v.regex(
    /^(ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com) [A-Za-z0-9+/]+={0,2}( [^\n]*)?$/,
    'not a public key like ssh-ed25519 AAAA… name',
  ),
)

const schema = v.pipe(
  v.strictObject({
    v: v.literal(1),
    hub: v.optional(origin),
    identity: v.optional(identity),
    wifi: v.optional(wifi),
    sshAuthorizedKeys: v.optional(
      v.pipe(v.array(sshKey), v.maxLength(flashLimits.sshKeysMax, `more than ${flashLimits.sshKeysMax}`)),
    ),
  }),
  v.check(
    (it) => it.hub === undefined || it.identity === undefined || it.hub === it.identity.http,
    'the hub is another one than that of the identity',
  ),
  v.check((it) => Object.values(it).some((part) => part !== undefined && part !== 1), 'nothing is in it'),
)
export type FirstBoot = v.InferOutput<typeof schema>

/** @param name of the file or option, for messages. @throws EverbootError EB-FIRST-BOOT */
export function checkFirstBoot(document: unknown, name: string): FirstBoot {
  const parsed = v.safeParse(schema, document)
  if (parsed.success) return parsed.output
  const [issue] = parsed.issues
  const where = v.getDotPath(issue)
  // Messages of the library would quote the value, which may be a secret; those of the schema do not.
  const own = issue.type === 'regex' || issue.type === 'check' || issue.type.endsWith('_length')
  const why = own
    ? issue.message
    : issue.type === 'strict_object'
      ? 'unknown or missing'
      : `wrong (${issue.type})`
  raise(code, `${name}: ${where === null ? '' : `${where}: `}${why}`)
}

/** The file as it lies on the partition. @throws EverbootError EB-FIRST-BOOT */
export function encodeFirstBoot(it: FirstBoot): string {
  const text = `${JSON.stringify(it, null, 2)}\n`
  if (utf8Bytes(text) <= flashLimits.firstBootBytesMax) return text
  raise(
    code,
    `${firstBootName} would have ${utf8Bytes(text)} bytes, at most ${flashLimits.firstBootBytesMax}`,
  )
}

/** @throws EverbootError EB-FIRST-BOOT */
export function parseJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    raise(code, `${name} is not JSON`)
  }
}

/** Where the password of a `--wifi` is. */
export interface WifiOption {
  readonly ssid: string
  readonly from: 'env' | 'file' | 'open'
  /** Name of the variable or the file. */
  readonly name: string
}

/** @param text `SSID:env:NAME`, `SSID:file:PATH` or `SSID:open`. @throws EverbootError EB-USAGE */
export function parseWifi(text: string): WifiOption {
  const open = /^(.+):open$/s.exec(text)
  if (open !== null) return { ssid: open[1] ?? '', from: 'open', name: '' }
  const [, ssid, from, name] = /^(.+):(env|file):(.+)$/s.exec(text) ?? []
  if (ssid === undefined || name === undefined || (from !== 'env' && from !== 'file')) {
    // What was given may end in a password: it is not quoted.
    raise('EB-USAGE', '--wifi is not SSID:env:NAME, SSID:file:PATH or SSID:open', {
      todo: 'put the password in a variable or a file; a command line is seen by everybody on the machine',
    })
  }
  return { ssid, from, name }
}

/** Lines of an `authorized_keys` or `.pub` file. @throws EverbootError EB-FIRST-BOOT */
export function parseSshKeys(text: string, name: string): readonly string[] {
  if (/PRIVATE KEY/.test(text)) {
    raise(code, `${name} is a private key`, { todo: 'give the public one, which ends in .pub' })
  }
  const lines = text.split(/\r?\n/).map((it) => it.trim())
  return lines.filter((it) => it !== '' && !it.startsWith('#'))
}
