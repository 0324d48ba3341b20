/**
 * Takes `everboot-first-boot.json` from the first FAT partition: the identity goes to the data partition once, Wi-Fi
 * and SSH keys go to where NetworkManager and sshd look, at every boot, since the root is read-only.
 * Promise: the FAT partition is only read, so that no power cut harms the firmware's autoboot.txt; a file that
 * cannot be used is said on the console and changes nothing.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'

const partition = process.env['EVERBOOT_FIRST_BOOT_PARTITION'] ?? '/dev/everboot/autoboot'
const data = process.env['EVERBOOT_DATA'] ?? '/data/everboot'
const run = process.env['EVERBOOT_RUN'] ?? '/run'
const kept = `${data}/first-boot.json`
const say = (text) => console.log(`first boot: ${text}`)

/** @returns the text of the file, or null when there is none */
function fromCard() {
  const place = `${run}/everboot/first-boot`
  mkdirSync(place, { recursive: true, mode: 0o700 })
  execFileSync('mount', ['-t', 'vfat', '-o', 'ro,umask=077', partition, place])
  try {
    const file = `${place}/everboot-first-boot.json`
    return existsSync(file) ? readFileSync(file, 'utf8') : null
  } finally {
    execFileSync('umount', [place])
  }
}

function put(path, text, mode) {
  writeFileSync(`${path}.new`, text, { mode, flush: true })
  renameSync(`${path}.new`, path)
}

const hash = (text) => createHash('sha256').update(text).digest('hex')

/** A file on the card that was taken before is not taken again: the identity may have changed since. */
function takeOnce(text) {
  const old = existsSync(kept) ? JSON.parse(readFileSync(kept, 'utf8')) : null
  if (old?.sha256 === hash(text)) return old
  const document = JSON.parse(text)
  mkdirSync(data, { recursive: true, mode: 0o700 })
  if (document.identity !== undefined) {
    const path = `${data}/device.json`
    const before = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {}
    const { wrappingKey = before.wrappingKey, ...identity } = document.identity
    put(path, `${JSON.stringify({ ...identity, wrappingKey }, null, 2)}\n`, 0o600)
    say(`this is device ${identity.deviceId}`)
  }
  const { wifi = null, sshAuthorizedKeys = [] } = document
  const now = { sha256: hash(text), wifi, sshAuthorizedKeys }
  put(kept, `${JSON.stringify(now, null, 2)}\n`, 0o600)
  return now
}

function applyEachBoot({ wifi, sshAuthorizedKeys }) {
  mkdirSync(`${run}/everboot`, { recursive: true, mode: 0o755 })
  if (sshAuthorizedKeys.length > 0)
    put(`${run}/everboot/authorized_keys`, `${sshAuthorizedKeys.join('\n')}\n`, 0o644)
  if (wifi === null) return
  const place = `${run}/NetworkManager/system-connections`
  mkdirSync(place, { recursive: true, mode: 0o700 })
  const escaped = (text) => text.replaceAll('\\', '\\\\').replace(/^ | $/g, '\\s')
  const ssid = [...Buffer.from(wifi.ssid)].map((it) => `${it};`).join('')
  const lines = ['[connection]', 'id=everboot', 'type=wifi', '[wifi]', `ssid=${ssid}`]
  if (wifi.password !== undefined)
    lines.push('[wifi-security]', 'key-mgmt=wpa-psk', `psk=${escaped(wifi.password)}`)
  put(`${place}/everboot.nmconnection`, `${lines.join('\n')}\n`, 0o600)
}

try {
  const text = fromCard()
  if (text !== null) applyEachBoot(takeOnce(text))
  else if (existsSync(kept)) applyEachBoot(JSON.parse(readFileSync(kept, 'utf8')))
} catch (caught) {
  // Neither the message of JSON.parse nor the file is shown: there are secrets in it.
  say(
    caught instanceof SyntaxError
      ? 'everboot-first-boot.json is not JSON'
      : `nothing taken: ${caught.message}`,
  )
  process.exitCode = 1
}
