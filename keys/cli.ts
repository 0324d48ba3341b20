/**
 * `everboot keys`: makes and shows the keys of a publisher.
 * Promise: `init` never overwrites; no command prints a private key.
 * Leaves to others: the directory itself (adapters/key-directory.ts).
 */
import { type Command, type CommandInput, listOption, requiredOption } from '../core/command.ts'
import { addBootKey, addDeviceKey, createKeyDirectory, keyDirectory } from './adapters/key-directory.ts'

const init: Command = {
  name: 'keys init',
  summary: 'Make the keys of a publisher, for development',
  positionals: '',
  positionalsMin: 0,
  positionalsMax: 0,
  options: {
    out: { type: 'string', value: 'DIR', means: 'directory to make; must not exist, or be empty' },
    device: { type: 'string', multiple: true, value: 'ID', means: 'a device to make a wrapping key for' },
  },
  notes: 'Whoever has these files can sign what your devices install. Keep them off the hub and the devices.',
  async run(input) {
    const directory = requiredOption(input, 'out')
    await createKeyDirectory(directory, listOption(input, 'device'))
    return print(input, directory)
  },
}

const device: Command = {
  name: 'keys device',
  summary: 'Make the wrapping key of another device',
  positionals: 'ID',
  positionalsMin: 1,
  positionalsMax: 1,
  options: { keys: { type: 'string', value: 'DIR', means: 'the key directory' } },
  async run(input) {
    const [id = ''] = input.positionals
    const directory = requiredOption(input, 'keys')
    await addDeviceKey(directory, id)
    if (input.json) input.io.out(JSON.stringify({ keys: directory, device: id }))
    else input.io.out(`${directory} has a wrapping key for ${id}`)
    return 0
  },
}

const boot: Command = {
  name: 'keys boot',
  summary: 'Make the key that bootloaders trust, for boards with signed boot',
  positionals: '',
  positionalsMin: 0,
  positionalsMax: 0,
  options: { keys: { type: 'string', value: 'DIR', means: 'the key directory' } },
  notes: 'Its public half is built into boards and cannot be changed by an update: keep the file.',
  async run(input) {
    const directory = requiredOption(input, 'keys')
    await addBootKey(directory)
    const { file, bits } = await keyDirectory(directory).bootKey()
    if (input.json) input.io.out(JSON.stringify({ keys: directory, file, bits }))
    else input.io.out(`${file} is an RSA key of ${bits} bits`)
    return 0
  },
}

const show: Command = {
  name: 'keys show',
  summary: 'Check a key directory and show the public half',
  positionals: 'DIR',
  positionalsMin: 1,
  positionalsMax: 1,
  options: {},
  run: (input) => print(input, input.positionals[0] ?? ''),
}

/** Reads every key, so that a damaged one is found here. */
async function print(input: CommandInput, directory: string): Promise<number> {
  const keys = keyDirectory(directory)
  const trust = await keys.trust()
  const rows = [
    { role: 'release', ...publicHalf(await keys.releaseSigner()), trusted: trust.release.keys },
    { role: 'seal', ...publicHalf(await keys.sealSigner()), trusted: trust.seal.keys },
    { role: 'seal, next', ...publicHalf(await keys.nextSealSigner()), trusted: trust.seal.keys },
  ].map(({ trusted, ...row }) => ({ ...row, trusted: trusted.has(row.keyId) }))
  const rsa = await keys.rsaSigner()
  const all = [
    ...rows,
    { role: 'kindle', type: 'rsa-2048', keyId: rsa.keyId, trusted: trust.rsa.has(rsa.keyId) },
  ]
  const devices = await keys.deviceIds()
  for (const id of devices) await keys.wrappingKey(id)
  if (input.json) {
    input.io.out(JSON.stringify({ keys: directory, roles: all, devices }))
    return 0
  }
  input.io.out(`keys in ${directory}`)
  for (const row of all) {
    const trusted = row.trusted ? 'trusted' : 'not in trust.json'
    input.io.out(`  ${row.role.padEnd(11)} ${row.type.padEnd(9)} ${row.keyId.slice(0, 16)}…  ${trusted}`)
  }
  input.io.out(`  ${'devices'.padEnd(11)} ${devices.length === 0 ? 'none' : devices.join(' ')}`)
  return 0
}

function publicHalf(signer: { readonly keyId: string }): { type: string; keyId: string } {
  return { type: 'ed25519', keyId: signer.keyId }
}

export const commands: readonly Command[] = [init, device, boot, show]
