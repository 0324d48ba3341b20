/**
 * Makes the signed images of a board with mkimage, and the device tree that holds the keys which U-Boot demands.
 * Promise: the same input gives the same bytes; the private key is not copied.
 * Leaves to others: what the images hold (fit-source.ts), who owns the key (keys/).
 */
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { BootKey } from '../../../../keys/adapters/key-directory.ts'
import { tool } from '../../arm64/adapters/disk-file.ts'
import { type FitAlgorithm, kernelSource, keyHints, scriptSource } from '../fit-source.ts'

const packed = promisify(gzip)

export interface KernelFit {
  /** The image to make. */
  readonly out: string
  /** File. */
  readonly kernel: string
  readonly initramfs: Uint8Array
}

/** @param key null: unsigned. @throws EverbootError EB-TOOL-MISSING, EB-TOOL-FAILED */
export async function makeKernelFit(
  { out, kernel, initramfs }: KernelFit,
  key: BootKey | null,
): Promise<void> {
  await withRoom(key, async (room, signing) => {
    const files = { kernel: join(room, 'kernel.gz'), initramfs: join(room, 'initramfs') }
    await writeFile(files.kernel, await packed(await readFile(kernel), { level: 1 }))
    await writeFile(files.initramfs, initramfs)
    const source = kernelSource(files, algorithmOf(key))
    await makeImage(room, source, out, signing)
  })
}

/**
 * @param deviceTree the control device tree to which the public keys are added as required ones; null: unsigned
 * @throws EverbootError EB-TOOL-MISSING, EB-TOOL-FAILED
 */
export async function makeScriptFit(
  out: string,
  script: string,
  key: BootKey | null,
  deviceTree: string | null,
): Promise<void> {
  await withRoom(key, async (room, signing) => {
    const file = join(room, 'script')
    await writeFile(file, script)
    const demand = deviceTree === null ? [] : ['-K', deviceTree, '-r']
    if (deviceTree !== null && key !== null) await putCertificates(room, key)
    await makeImage(room, scriptSource(file, algorithmOf(key)), out, [...signing, ...demand])
  })
}

/**
 * The device tree that QEMU makes for its board, from which U-Boot takes what it drives and whom it trusts. QEMU
 * itself puts the size of the memory into the one that it is given later.
 * @param flash its two units; without them the board is another one
 */
export async function dumpDeviceTree(out: string, flash: readonly [string, string]): Promise<void> {
  const units = flash.flatMap((it) => [
    '-drive',
    `if=pflash,format=raw,readonly=on,file=${it.replaceAll(',', ',,')}`,
  ])
  const machine = ['-M', `virt,dumpdtb=${out.replaceAll(',', ',,')}`, '-cpu', 'cortex-a72', '-smp', '1']
  await tool('qemu-system-aarch64', ['-nodefaults', '-display', 'none', ...machine, ...units])
}

function algorithmOf(key: BootKey | null): FitAlgorithm {
  return key === null ? null : `sha256,rsa${key.bits}`
}

/** mkimage wants a directory with each key under the name that the image gives as a hint. */
async function withRoom(
  key: BootKey | null,
  work: (room: string, signing: readonly string[]) => Promise<void>,
): Promise<void> {
  const room = await mkdtemp(join(tmpdir(), 'everboot-fit-'))
  try {
    if (key !== null)
      for (const hint of Object.values(keyHints)) await symlink(resolve(key.file), join(room, `${hint}.key`))
    await work(room, key === null ? [] : ['-k', room])
  } finally {
    await rm(room, { recursive: true, force: true })
  }
}

/** The public half in the only form that mkimage reads. */
async function putCertificates(room: string, key: BootKey): Promise<void> {
  const [first, ...others] = Object.values(keyHints).map((hint) => join(room, `${hint}.crt`))
  if (first === undefined) return
  await tool('openssl', [
    'req',
    '-batch',
    '-new',
    '-x509',
    '-key',
    resolve(key.file),
    '-subj',
    '/CN=boot',
    '-out',
    first,
  ])
  for (const it of others) await symlink(first, it)
}

async function makeImage(room: string, source: string, out: string, more: readonly string[]): Promise<void> {
  const file = join(room, 'source.its')
  await writeFile(file, source)
  await tool('mkimage', ['-f', file, ...more, out], { environment: { SOURCE_DATE_EPOCH: '0' } })
}
