/** What a flashed card gives its device at the first boot, and again at each: a program of the board, run as it is. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const run = promisify(execFile)

test('the file on the card gives the device its identity once, and network and keys at each boot', async () => {
  const room = await mkdtemp(join(tmpdir(), 'everboot-first-boot-'))
  try {
    const card = join(room, 'card')
    const identity = {
      v: 1,
      deviceId: 'pi-7',
      mqtt: 'mqtts://h:1',
      http: 'https://h:2',
      ca: 'PEM',
      token: 't',
    }
    const file = {
      ...{ v: 1, identity: { ...identity, wrappingKey: '11'.repeat(32) } },
      ...{ wifi: { ssid: 'Küche', password: 'back\\slash;' }, sshAuthorizedKeys: ['ssh-ed25519 AAAA me'] },
    }
    const apply = async (): Promise<string> => {
      // `mount` and `umount` of the PATH: a card is a directory here.
      const env = { ...process.env, PATH: `${room}/bin:${process.env['PATH']}`, CARD: card }
      const own = { EVERBOOT_DATA: join(room, 'data'), EVERBOOT_RUN: join(room, 'run') }
      const script = new URL('../../../../images/boards/raspberry-pi/files/first-boot.mjs', import.meta.url)
        .pathname
      return (await run(process.execPath, [script], { env: { ...env, ...own } })).stdout
    }
    for (const it of ['bin', 'card', 'data']) await mkdir(join(room, it))
    await writeFile(join(room, 'bin/mount'), '#!/bin/sh\nfor last; do :; done; cp "$CARD"/* "$last"\n', {
      mode: 0o755,
    })
    await writeFile(join(room, 'bin/umount'), '#!/bin/sh\nrm -r "$1"\n', { mode: 0o755 })
    await writeFile(join(card, 'everboot-first-boot.json'), JSON.stringify(file))
    expect(await apply()).toBe('first boot: this is device pi-7\n')
    const device = join(room, 'data/device.json')
    expect(JSON.parse(await readFile(device, 'utf8'))).toEqual(file.identity)
    // A token that changed later stays.
    await writeFile(device, JSON.stringify({ ...file.identity, token: 'newer' }))
    await rm(join(room, 'run'), { recursive: true })
    expect(await apply()).toBe('')
    expect(JSON.parse(await readFile(device, 'utf8'))).toMatchObject({ token: 'newer' })
    expect(await readFile(join(room, 'run/everboot/authorized_keys'), 'utf8')).toBe('ssh-ed25519 AAAA me\n')
    const wifi = await readFile(
      join(room, 'run/NetworkManager/system-connections/everboot.nmconnection'),
      'utf8',
    )
    expect(wifi).toContain(`ssid=${[...Buffer.from('Küche')].map((it) => `${it};`).join('')}\n`)
    expect(wifi).toContain('psk=back\\\\slash;\n')
    // Another file is taken, and keeps the key that it does not name.
    await writeFile(join(card, 'everboot-first-boot.json'), JSON.stringify({ v: 1, identity }))
    await apply()
    expect(JSON.parse(await readFile(device, 'utf8'))).toEqual({
      ...identity,
      wrappingKey: '11'.repeat(32),
    })
  } finally {
    await rm(room, { recursive: true, force: true })
  }
})
