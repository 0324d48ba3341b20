/**
 * `everboot image verify`: checks a release file to the last byte.
 * Promise: exit status 0 only when everything that was said to be checked held.
 * Leaves to others: the checks (release/reader.ts).
 */
import { type Command, type CommandInput, requiredOption, textOption } from '../../core/command.ts'
import { orThrow, raise } from '../../core/errors.ts'
import { bytesText } from '../../core/units.ts'
import { readTrust } from '../../keys/adapters/key-directory.ts'
import { verifyEd25519 } from '../../keys/verify-node.ts'
import { sealOf } from '../release/piece-task.ts'
import { verifyClosed, verifyContent } from '../release/reader.ts'
import { contentKeys, keysOption, type OpenedFile, openReleaseFile } from './open.ts'
import { phaseReporter } from './phase.ts'

export const verify: Command = {
  name: 'image verify',
  summary: 'Check a release file to the last byte',
  positionals: 'FILE.ebr',
  positionalsMin: 1,
  positionalsMax: 1,
  options: {
    trust: { type: 'string', value: 'trust.json', means: 'the public keys to trust' },
    keys: { type: 'string', value: 'DIR', means: 'key directory: check every piece and image too' },
    device: { type: 'string', value: 'ID', means: 'whose content key to use; default: the first one' },
  },
  notes: `Without keys: signatures, container, every index page and blob by their signed hashes, the seal.
With keys also: every piece by cipher and hash, the verity root of each image, the RSA signature (kindle).
Exit status 0: all of it holds. 3: refused, and the message says what.`,
  async run(input) {
    const path = input.positionals[0] ?? ''
    const trust = await readTrust(requiredOption(input, 'trust'))
    const keys = keysOption(input)
    if (keys === null && textOption(input, 'device') !== undefined) raise('EB-USAGE', '--device needs --keys')
    const opened = await openReleaseFile(path, trust)
    try {
      const { release } = opened
      const report = phaseReporter(input)
      orThrow(sealOf(release.manifest, trust.seal, verifyEd25519))
      await verifyClosed(release, trust.release, verifyEd25519, (done, total) =>
        report('checking', done, total),
      )
      if (keys !== null) {
        const found = await contentKeys(release, trust, keys, textOption(input, 'device') ?? null)
        await verifyContent(release, found, trust, verifyEd25519, (done, total) =>
          report('opening', done, total),
        )
      }
      print(input, path, opened, keys !== null)
      return 0
    } finally {
      await opened.close()
    }
  },
}

function print(input: CommandInput, path: string, opened: OpenedFile, withKeys: boolean): void {
  const { manifest } = opened.release
  const rsa = manifest.profile === 'kindle' ? ['RSA signatures'] : []
  const closed = ['container', 'manifest signature', 'seal', 'index pages', 'blobs']
  const wraps = opened.release.wraps === null ? [] : ['key wraps']
  const open = withKeys ? ['pieces', 'images to the verity root', ...rsa] : []
  const checked = [...closed, ...wraps, ...open]
  if (input.json) {
    const { id, product, version, profile } = manifest
    input.io.out(JSON.stringify({ ok: true, file: path, release: id, product, version, profile, checked }))
    return
  }
  input.io.out(`${path}: good`)
  input.io.out(`release  ${manifest.id}, ${bytesText(opened.bytes)}`)
  for (const it of checked) input.io.out(`  ok  ${it}`)
  if (!withKeys) input.io.out('  --  pieces and images: give --keys to check them')
}
