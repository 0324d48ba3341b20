/** The signed images of the QEMU board, looked at with the tools of U-Boot. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { tool } from '../../../../images/boards/arm64/adapters/disk-file.ts'
import { makeKernelFit, makeScriptFit } from '../../../../images/boards/qemu-arm64/adapters/fit.ts'
import { ensureHostTools } from '../../../../images/build/adapters/host-tools.ts'
import { addBootKey, createKeyDirectory, keyDirectory } from '../../../../keys/adapters/key-directory.ts'

const missing = await ensureHostTools(['mkimage', 'dtc', 'openssl'], {
  install: process.getuid?.() === 0,
}).then(
  () => null,
  (caught: Error) => caught.message,
)
if (missing !== null) console.info(`skipped: signed images: ${missing}`)

describe.skipIf(missing !== null)('signed images', () => {
  let room = ''
  const at = (name: string): string => join(room, name)
  const key = () => keyDirectory(at('keys')).bootKey()
  const treeOf = (file: string): Promise<string> => tool('dtc', ['-I', 'dtb', '-O', 'dts', file])
  beforeAll(async () => {
    room = await mkdtemp(join(tmpdir(), 'everboot-fit-test-'))
    await createKeyDirectory(at('keys'), [])
    await addBootKey(at('keys'))
    await writeFile(at('kernel'), 'kernel'.repeat(1000))
  })
  afterAll(() => rm(room, { recursive: true, force: true }))

  test('kernel and initramfs are signed together and each for itself, in the same bytes each time', async () => {
    const files = { kernel: at('kernel'), initramfs: Buffer.from('initramfs') }
    await makeKernelFit({ out: at('one.itb'), ...files }, await key())
    await makeKernelFit({ out: at('two.itb'), ...files }, await key())
    const text = await treeOf(at('one.itb'))
    expect(text.match(/algo = "sha256,rsa3072";/g)).toHaveLength(3)
    expect(text).toMatch(/sign-images = "kernel\\0ramdisk";/)
    expect((await readFile(at('one.itb'))).equals(await readFile(at('two.itb')))).toBe(true)
  })

  test('without a key nothing is signed', async () => {
    const out = at('unsigned.itb')
    await makeKernelFit({ out, kernel: at('kernel'), initramfs: Buffer.from('initramfs') }, null)
    expect(await treeOf(out)).not.toMatch(/signature/)
  })

  test('the device tree demands a signature of configurations and one of single images', async () => {
    await writeFile(at('tree.dts'), '/dts-v1/; / { model = "board"; };')
    await tool('dtc', ['-I', 'dts', '-O', 'dtb', '-o', at('tree.dtb'), at('tree.dts')])
    await makeScriptFit(at('script.itb'), 'echo hello\n', await key(), at('tree.dtb'))
    const text = await treeOf(at('tree.dtb'))
    expect(text).toMatch(/key-everboot \{[^}]*required = "conf";/)
    expect(text).toMatch(/key-everboot-image \{[^}]*required = "image";/)
    expect(text).toMatch(/model = "board";/)
    expect(text).not.toMatch(/rsa,private|PRIVATE/)
    expect(await readFile(at('script.itb'), 'latin1')).toContain('echo hello\n')
  })
})
