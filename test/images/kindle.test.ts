/** The kindle profile, checked by a verifier that was written from the paper and knows nothing of ours. */
import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { present } from '../../core/assert.ts'
import { pieceRange } from '../../images/release/manifest.ts'
import { indexPages } from '../../images/release/reader.ts'
import { flipped, kindle, type MadeRelease, make, open, rsaSigner } from './releases.ts'

const script = fileURLToPath(new URL('paper-verifier.sh', import.meta.url))
let room = ''
beforeEach(() => {
  room = mkdtempSync(join(tmpdir(), 'everboot-kindle-'))
})
afterEach(() => rmSync(room, { recursive: true, force: true }))

/** Puts what the verifier reads into files. @returns its arguments */
async function layOut(made: MadeRelease): Promise<string[]> {
  const release = await open(made.container)
  const blob = present(release.manifest.blobs[0], 'blob')
  const image = present(release.manifest.images[0], 'image')
  const key = present(made.keys.get(blob.id), 'key')
  const lines: string[] = []
  for await (const page of indexPages(release, blob, key)) {
    for (const [at, entry] of page.entries.entries()) {
      const place = pieceRange(blob, image.paddedBytes, page.firstPiece + at)
      lines.push(`${entry.offset} ${entry.sealedBytes} ${place.bytes}\n`)
    }
  }
  const file = (name: string): string => join(room, name)
  writeFileSync(file('pieces'), lines.join(''))
  writeFileSync(file('blob'), present(made.files.get('rootfs.blob'), 'blob file'))
  writeFileSync(file('public.pem'), rsaSigner.publicPem)
  writeFileSync(file('signature'), Buffer.from(image.rsa?.sig ?? '', 'base64'))
  const hex = Buffer.from(key).toString('hex')
  return [
    file('pieces'),
    file('blob'),
    hex,
    `${image.bytes}`,
    file('public.pem'),
    file('signature'),
    file('image'),
  ]
}

test("the paper's verifier gets the image and accepts its signature", async () => {
  const image = randomBytes(8192 * 9 - 1234)
  image.fill(0, 8192 * 3, 8192 * 5)
  const args = await layOut(await make(kindle, image))
  expect(execFileSync(script, args, { encoding: 'utf8' })).toContain('Verified OK')
  expect(readFileSync(join(room, 'image')).equals(image)).toBe(true)
})

test("the paper's verifier refuses a changed signature and a changed image", async () => {
  const args = await layOut(await make(kindle, randomBytes(30_000)))
  const signature = join(room, 'signature')
  const good = readFileSync(signature)
  writeFileSync(signature, flipped(good, 1000))
  expect(spawnSync(script, args).status).not.toBe(0)
  writeFileSync(signature, good)
  // A bit of CBC ciphertext garbles its block and nothing else: only the signature sees it.
  writeFileSync(join(room, 'blob'), flipped(readFileSync(join(room, 'blob')), 8 * 100))
  expect(spawnSync(script, args).status).not.toBe(0)
})
