/** The key directory on a real file system: made whole, never overwritten, refused when it is not as it should be. */
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { faultOf } from '../../core/errors.ts'
import {
  addBootKey,
  addDeviceKey,
  createKeyDirectory,
  keyDirectory,
  readTrust,
} from '../../keys/adapters/key-directory.ts'
import { commands } from '../../keys/cli.ts'
import { runCommand } from '../run-command.ts'

let room = ''
let keys = ''
beforeEach(async () => {
  room = await mkdtemp(join(tmpdir(), 'everboot-keys-'))
  keys = join(room, 'keys')
})
afterEach(() => rm(room, { recursive: true, force: true }))

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (caught) => faultOf(caught).code,
  )

const modeOf = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8)

test('init makes every key, readable by the owner alone, and trust for all of them', async () => {
  await createKeyDirectory(keys, ['dev-1', 'dev-2', 'dev-1'])
  const names = [
    'release.key.pem',
    'seal.key.pem',
    'seal-2.key.pem',
    'skill.key.pem',
    'rsa.key.pem',
    'trust.json',
  ]
  expect((await readdir(keys)).sort()).toEqual([...names, 'devices'].sort())
  for (const name of names) expect(await modeOf(join(keys, name))).toBe('600')
  expect(await modeOf(keys)).toBe('700')
  expect(await modeOf(join(keys, 'devices'))).toBe('700')
  const opened = keyDirectory(keys)
  const trust = await opened.trust()
  expect(trust.release.keys.has((await opened.releaseSigner()).keyId)).toBe(true)
  expect(trust.seal.keys.has((await opened.sealSigner()).keyId)).toBe(true)
  expect(trust.seal.keys.has((await opened.nextSealSigner()).keyId)).toBe(true)
  expect(trust.rsa.has((await opened.rsaSigner()).keyId)).toBe(true)
  expect(await opened.deviceIds()).toEqual(['dev-1', 'dev-2'])
  expect(await readFile(join(keys, 'devices', 'dev-1.kek'), 'latin1')).toMatch(/^[0-9a-f]{64}\n$/)
  expect((await opened.wrappingKey('dev-1')).length).toBe(32)
  expect(await opened.wrappingKey('dev-1')).not.toEqual(await opened.wrappingKey('dev-2'))
})

test('init never overwrites: a file, a directory with something in it, keys made before', async () => {
  await createKeyDirectory(keys, [])
  const before = await readFile(join(keys, 'release.key.pem'))
  expect(await codeOf(createKeyDirectory(keys, ['dev-1']))).toBe('EB-CONFLICT')
  expect((await readFile(join(keys, 'release.key.pem'))).equals(before)).toBe(true)
  await writeFile(join(room, 'file'), 'x')
  expect(await codeOf(createKeyDirectory(join(room, 'file'), []))).toBe('EB-CONFLICT')
  await mkdir(join(room, 'other'))
  await writeFile(join(room, 'other', 'x'), 'x')
  expect(await codeOf(createKeyDirectory(join(room, 'other'), []))).toBe('EB-CONFLICT')
  expect(await readdir(join(room, 'other'))).toEqual(['x'])
  expect((await readdir(room)).sort()).toEqual(['file', 'keys', 'other'])
})

test('init takes an empty directory and makes missing parents', async () => {
  await mkdir(keys)
  expect(await codeOf(createKeyDirectory(keys, []))).toBe('done')
  expect(await modeOf(keys)).toBe('700')
  expect(await codeOf(createKeyDirectory(join(room, 'a', 'b'), []))).toBe('done')
})

test.each(['../x', 'a/b', '', '.', '..', 'a\0b', 'x'.repeat(65), 'a b', 'ä'])(
  'the device id %j is refused before anything is made',
  async (id) => {
    expect(await codeOf(createKeyDirectory(keys, [id]))).toBe('EB-USAGE')
    expect(await readdir(room)).toEqual([])
    await createKeyDirectory(keys, [])
    expect(await codeOf(addDeviceKey(keys, id))).toBe('EB-USAGE')
    expect(await codeOf(keyDirectory(keys).wrappingKey(id))).toBe('EB-USAGE')
  },
)

test('a device gets a key once', async () => {
  await createKeyDirectory(keys, [])
  await addDeviceKey(keys, 'dev-9')
  const before = await keyDirectory(keys).wrappingKey('dev-9')
  expect(await codeOf(addDeviceKey(keys, 'dev-9'))).toBe('EB-CONFLICT')
  expect(await keyDirectory(keys).wrappingKey('dev-9')).toEqual(before)
  expect(await codeOf(addDeviceKey(room, 'dev-9'))).toBe('EB-KEY')
})

type Use = (directory: string) => Promise<unknown>
const uses: readonly (readonly [string, Use])[] = [
  ['release.key.pem', (it) => keyDirectory(it).releaseSigner()],
  ['seal.key.pem', (it) => keyDirectory(it).sealSigner()],
  ['skill.key.pem', (it) => keyDirectory(it).skillSigner()],
  ['seal-2.key.pem', (it) => keyDirectory(it).nextSealSigner()],
  ['rsa.key.pem', (it) => keyDirectory(it).rsaSigner()],
  ['devices/dev-1.kek', (it) => keyDirectory(it).wrappingKey('dev-1')],
]

test.each(uses)(
  '%s is refused when missing, damaged, of the wrong kind or readable by others',
  async (name, use) => {
    await createKeyDirectory(keys, ['dev-1'])
    const file = join(keys, name)
    const whole = await readFile(file)
    expect(await codeOf(use(keys))).toBe('done')
    for (const mode of [0o640, 0o604, 0o620, 0o602, 0o666]) {
      await chmod(file, mode)
      expect(await codeOf(use(keys)), mode.toString(8)).toBe('EB-KEY')
    }
    await chmod(file, 0o600)
    const other = name.startsWith('rsa') ? 'seal.key.pem' : 'rsa.key.pem'
    const damaged = [
      new Uint8Array(0),
      whole.subarray(0, Math.floor(whole.length / 2)),
      Buffer.concat([whole.subarray(0, 40), Buffer.from('!'), whole.subarray(41)]),
      await readFile(join(keys, other)),
      await readFile(join(keys, 'trust.json')),
      Buffer.alloc(1 << 20, 0x61),
    ]
    for (const bytes of damaged) {
      await writeFile(file, bytes)
      expect(await codeOf(use(keys))).toBe('EB-KEY')
    }
    await rm(file)
    expect(await codeOf(use(keys))).toBe('EB-KEY')
    await mkdir(file)
    expect(await codeOf(use(keys))).toBe('EB-KEY')
    await rm(file, { recursive: true })
    await symlink('/dev/zero', file)
    expect(await codeOf(use(keys))).toBe('EB-KEY')
  },
)

test('keys in a directory that others can write in are refused', async () => {
  await createKeyDirectory(keys, ['dev-1'])
  for (const place of [keys, join(keys, 'devices')]) {
    for (const mode of [0o720, 0o702, 0o777]) {
      await chmod(place, mode)
      expect(await codeOf(keyDirectory(keys).wrappingKey('dev-1')), `${place} ${mode.toString(8)}`).toBe(
        'EB-KEY',
      )
      if (place === keys) expect(await codeOf(keyDirectory(keys).sealSigner())).toBe('EB-KEY')
    }
    await chmod(place, 0o755)
    expect(await codeOf(keyDirectory(keys).wrappingKey('dev-1'))).toBe('done')
  }
})

test('a trust file that is missing, damaged or writable by everybody is refused', async () => {
  await createKeyDirectory(keys, [])
  const file = join(keys, 'trust.json')
  expect(await codeOf(readTrust(file))).toBe('done')
  await chmod(file, 0o666)
  expect(await codeOf(readTrust(file))).toBe('EB-KEY')
  await chmod(file, 0o644)
  expect(await codeOf(readTrust(file))).toBe('done')
  await writeFile(file, '{}')
  expect(await codeOf(readTrust(file))).toBe('EB-KEY')
  await rm(file)
  expect(await codeOf(readTrust(file))).toBe('EB-KEY')
})

test('the commands make, extend and show keys and print no secret', async () => {
  const made = await runCommand(commands, ['keys', 'init', '--out', keys, '--device', 'dev-1', '--json'])
  expect(made.status).toBe(0)
  expect(JSON.parse(made.out)).toMatchObject({ keys, devices: ['dev-1'] })
  expect((await runCommand(commands, ['keys', 'device', 'dev-2', '--keys', keys])).status).toBe(0)
  const shown = await runCommand(commands, ['keys', 'show', keys])
  expect(shown.out).toMatch(/release +ed25519 +[0-9a-f]{16}… +trusted/)
  expect(shown.out).toContain('dev-1 dev-2')
  for (const line of shown.out.replace(keys, '').split('\n')) expect(line.length).toBeLessThanOrEqual(80)
  const secret = (await readFile(join(keys, 'devices', 'dev-1.kek'), 'latin1')).trim()
  expect(made.out + made.err + shown.out).not.toContain(secret)
  expect(made.out + shown.out).not.toContain('PRIVATE KEY')
  expect((await runCommand(commands, ['keys', 'init', '--out', keys])).code).toBe('EB-CONFLICT')
  expect((await runCommand(commands, ['keys', 'init'])).code).toBe('EB-USAGE')
  await chmod(join(keys, 'seal.key.pem'), 0o644)
  expect((await runCommand(commands, ['keys', 'show', keys])).code).toBe('EB-KEY')
})

test('the key of bootloaders is made once, and only RSA of a size that they know is taken', async () => {
  await createKeyDirectory(keys, [])
  const file = join(keys, 'boot.key.pem')
  expect(await codeOf(keyDirectory(keys).bootKey())).toBe('EB-KEY')
  const { status } = await runCommand(commands, ['keys', 'boot', '--keys', keys])
  expect(status).toBe(0)
  expect(await keyDirectory(keys).bootKey()).toEqual({ file, bits: 3072 })
  expect(await modeOf(file)).toBe('600')
  expect(await codeOf(addBootKey(keys))).toBe('EB-CONFLICT')
  for (const other of ['release.key.pem', 'rsa.key.pem']) {
    await writeFile(file, await readFile(join(keys, other)))
    expect(await codeOf(keyDirectory(keys).bootKey()), other).toBe('EB-KEY')
  }
  await writeFile(file, 'no key')
  expect(await codeOf(keyDirectory(keys).bootKey())).toBe('EB-KEY')
})
