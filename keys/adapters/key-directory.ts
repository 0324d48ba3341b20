/**
 * The key directory of a publisher: `release.key.pem`, `seal.key.pem`, `seal-2.key.pem`, `skill.key.pem`,
 * `rsa.key.pem`, `trust.json`, `devices/ID.kek`; for boards whose bootloader checks the kernel, `boot.key.pem`.
 * Promise: a key that is missing, damaged, of the wrong kind or readable by others is refused (EB-KEY), never
 * worked around; nothing that exists is overwritten; a directory comes to be whole or not at all.
 * Leaves to others: signing (signer.ts), what devices trust (trust.ts).
 */
import { createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { lstat, mkdir, mkdtemp, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { present } from '../../core/assert.ts'
import { orThrow, raise } from '../../core/errors.ts'
import { keyLimits } from '../../core/limits.ts'
import { safeName } from '../../core/units.ts'
import { ed25519Signer, type KeySigner, type PssSigner, pssSigner } from '../signer.ts'
import { decodeTrust, type Trust, type TrustFile } from '../trust.ts'

const files = {
  release: 'release.key.pem',
  seal: 'seal.key.pem',
  nextSeal: 'seal-2.key.pem',
  skill: 'skill.key.pem',
  rsa: 'rsa.key.pem',
  boot: 'boot.key.pem',
  trust: 'trust.json',
  devices: 'devices',
} as const

/** The key that bootloaders trust; programs of the bootloader's own read the file. */
export interface BootKey {
  readonly file: string
  readonly bits: number
}

/** Keys are read when they are asked for. Every method throws EverbootError EB-KEY. */
export interface KeyDirectory {
  readonly path: string
  releaseSigner(): Promise<KeySigner>
  sealSigner(): Promise<KeySigner>
  /** The seal key to change to; bootloaders trust it already. */
  nextSealSigner(): Promise<KeySigner>
  /** Signs what skills announce. */
  skillSigner(): Promise<KeySigner>
  rsaSigner(): Promise<PssSigner>
  bootKey(): Promise<BootKey>
  trust(): Promise<Trust>
  /** Sorted ids of the devices that have a wrapping key. */
  deviceIds(): Promise<readonly string[]>
  /** @returns 32 bytes */
  wrappingKey(deviceId: string): Promise<Uint8Array>
}

/** Reads nothing yet. */
export function keyDirectory(path: string): KeyDirectory {
  const at = (name: string): string => join(path, name)
  const signer = async (name: string): Promise<KeySigner> => {
    return orThrow(ed25519Signer((await readSecret(at(name))).toString('utf8'), at(name)))
  }
  return {
    path,
    releaseSigner: () => signer(files.release),
    sealSigner: () => signer(files.seal),
    nextSealSigner: () => signer(files.nextSeal),
    skillSigner: () => signer(files.skill),
    async rsaSigner() {
      return orThrow(pssSigner((await readSecret(at(files.rsa))).toString('utf8'), at(files.rsa)))
    },
    bootKey: () => readBootKey(at(files.boot)),
    trust: () => readTrust(at(files.trust)),
    deviceIds: () => listDevices(at(files.devices)),
    async wrappingKey(deviceId) {
      checkDeviceId(deviceId)
      await checkPlace(path)
      const file = join(at(files.devices), `${deviceId}.kek`)
      const text = (await readSecret(file)).toString('latin1')
      if (!/^[0-9a-f]{64}\n$/.test(text)) raise('EB-KEY', `${file} is not 64 hex digits and a newline`)
      return Buffer.from(text.trimEnd(), 'hex')
    },
  }
}

/**
 * Makes all keys of a publisher.
 * @throws EverbootError EB-CONFLICT when `path` exists and is not an empty directory, EB-FILE
 */
export async function createKeyDirectory(path: string, deviceIds: readonly string[]): Promise<void> {
  for (const id of deviceIds) checkDeviceId(id)
  const target = resolve(path)
  const parent = dirname(target)
  await attempt(parent, () => mkdir(parent, { recursive: true }))
  if ((await entriesOf(target)) !== null) {
    raise('EB-CONFLICT', `${path} exists already`, { todo: 'choose another directory' })
  }
  const room = await attempt(parent, () => mkdtemp(join(parent, '.everboot-keys-')))
  try {
    await fill(room, new Set(deviceIds))
    // An empty directory may be replaced; anything else makes the rename fail.
    await attempt(path, () => rename(room, target))
  } catch (caught) {
    await rm(room, { recursive: true, force: true })
    throw caught
  }
}

/** Adds a wrapping key. @throws EverbootError EB-CONFLICT when the device has one. */
export async function addDeviceKey(path: string, deviceId: string): Promise<void> {
  checkDeviceId(deviceId)
  await readTrust(join(path, files.trust))
  const directory = join(path, files.devices)
  await attempt(directory, () => mkdir(directory, { recursive: true, mode: 0o700 }))
  await writeSecret(join(directory, `${deviceId}.kek`), `${randomBytes(32).toString('hex')}\n`)
}

/**
 * Adds the key that bootloaders are to trust: it is built into boards, so it is made once and kept.
 * @throws EverbootError EB-CONFLICT when there is one
 */
export async function addBootKey(path: string): Promise<void> {
  await readTrust(join(path, files.trust))
  await writeSecret(join(path, files.boot), rsaPem(keyLimits.bootKeyBits))
}

async function readBootKey(file: string): Promise<BootKey> {
  const pem = await readSecret(file)
  const { bootKeyBits: least } = keyLimits
  const todo = 'make one: everboot keys boot --keys DIR'
  let bits: number | undefined
  try {
    const key = createPrivateKey(pem)
    bits = key.asymmetricKeyType === 'rsa' ? key.asymmetricKeyDetails?.modulusLength : undefined
  } catch (cause) {
    raise('EB-KEY', `${file} is not a private key`, { todo, cause })
  }
  if (bits === least || bits === 4096) return { file, bits }
  return raise('EB-KEY', `${file} is not an RSA key of ${least} or 4096 bits`, { todo })
}

/** Reads the public half of a publisher's keys. @throws EverbootError EB-KEY */
export async function readTrust(file: string): Promise<Trust> {
  return orThrow(decodeTrust(await readSmall(file, false), file))
}

async function fill(room: string, deviceIds: ReadonlySet<string>): Promise<void> {
  const pem = (): string =>
    generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  const texts = { release: pem(), seal: pem(), nextSeal: pem(), skill: pem(), rsa: rsaPem(2048) }
  for (const name of ['release', 'seal', 'nextSeal', 'skill', 'rsa'] as const) {
    await writeSecret(join(room, files[name]), texts[name])
  }
  const made = keyDirectory(room)
  const release = await made.releaseSigner()
  const seals = [await made.sealSigner(), await made.nextSealSigner()]
  const rsa = await made.rsaSigner()
  const ring = (signers: readonly KeySigner[]): TrustFile['release'] => ({
    threshold: 1,
    keys: Object.fromEntries(signers.map((it) => [it.keyId, it.publicKey])),
  })
  const trust: TrustFile = {
    v: 1,
    release: ring([release]),
    seal: ring(seals),
    skill: ring([await made.skillSigner()]),
    rsa: { [rsa.keyId]: rsa.publicPem },
  }
  await writeSecret(join(room, files.trust), `${JSON.stringify(trust, null, 2)}\n`)
  await mkdir(join(room, files.devices), { mode: 0o700 })
  for (const id of deviceIds) await addDeviceKey(room, id)
}

function rsaPem(modulusLength: number): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent: 65537 })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
}

/** Content of a file that nobody else may read. */
async function readSecret(file: string): Promise<Buffer> {
  await checkPlace(dirname(file))
  return readSmall(file, true)
}

/** Who can write a directory can replace what is in it. */
async function checkPlace(directory: string): Promise<void> {
  const mode = await stat(directory).then(
    (it) => it.mode & 0o777,
    (cause: Error) => raise('EB-KEY', `${directory} does not exist or cannot be read`, { cause }),
  )
  if ((mode & 0o022) === 0) return
  raise('EB-KEY', `${directory} has mode ${mode.toString(8)}, so others can write in it, not 700`, {
    todo: 'restore its mode 0700 and check the keys in it',
  })
}

async function readSmall(file: string, secret: boolean): Promise<Buffer> {
  let handle: Awaited<ReturnType<typeof open>>
  try {
    handle = await open(file, 'r')
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    raise('EB-KEY', `${file} ${missing ? 'does not exist' : 'cannot be read'}`, { cause })
  }
  try {
    const it = await handle.stat()
    if (!it.isFile()) raise('EB-KEY', `${file} is not a regular file`)
    if (secret && (it.mode & 0o077) !== 0) {
      raise('EB-KEY', `${file} has mode ${(it.mode & 0o777).toString(8)}, so others can use it, not 600`)
    }
    if ((it.mode & 0o002) !== 0) raise('EB-KEY', `${file} can be written by everybody`)
    if (it.size > keyLimits.keyFileBytesMax) {
      raise('EB-KEY', `${file} has ${it.size} bytes, limit ${keyLimits.keyFileBytesMax}`)
    }
    const bytes = Buffer.alloc(it.size)
    const { bytesRead } = await handle.read(bytes, 0, it.size, 0)
    return bytes.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}

async function writeSecret(file: string, text: string): Promise<void> {
  try {
    const handle = await open(file, 'wx', 0o600)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') {
      raise('EB-CONFLICT', `${file} exists already`, { todo: 'keep it, or remove it yourself', cause })
    }
    raise('EB-FILE', `${file} cannot be written: ${(cause as Error).message}`, { cause })
  }
}

async function listDevices(directory: string): Promise<readonly string[]> {
  const names = await entriesOf(directory)
  const keys = (names ?? []).filter((it) => it.endsWith('.kek')).map((it) => it.slice(0, -'.kek'.length))
  return keys.filter((it) => safeName.test(it)).sort()
}

/** Names in a directory; null when it is an empty directory's place: missing, or empty. */
async function entriesOf(directory: string): Promise<readonly string[] | null> {
  try {
    const names = await readdir(directory)
    return names.length === 0 ? null : names
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
    if ((await lstat(directory).catch(() => null)) !== null) return [directory]
    raise('EB-FILE', `${directory} cannot be read`, { cause })
  }
}

async function attempt<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (cause) {
    raise('EB-FILE', `${path} cannot be made: ${(cause as Error).message}`, { cause })
  }
}

function checkDeviceId(id: string): void {
  if (safeName.test(present(id, 'device id'))) return
  raise('EB-USAGE', `device id ${JSON.stringify(id)} is not 1 to 64 of A-Z a-z 0-9 . _ -`)
}
