/**
 * Makes disk and flash of the QEMU board as plain files: partition table, the FAT with the boot script, flash with
 * U-Boot and its environment.
 * Promise: no mount and no loop device, so no root either; files are sparse.
 * Leaves to others: what is in the slots and on the data partition (board.ts).
 */
import { cp, rm, truncate, writeFile } from 'node:fs/promises'
import { encodeEnvironment } from '../../../../core/environment-block.ts'
import { raise } from '../../../../core/errors.ts'
import { qemuLimits } from '../../../../core/limits.ts'
import { ensureHostTools, stockUBoot } from '../../../build/adapters/host-tools.ts'
import { copyInto, tool } from '../../arm64/adapters/disk-file.ts'
import { sectorBytes } from '../../arm64/partition.ts'
import { extraWords } from '../boot-script.ts'
import { fitNames } from '../fit-source.ts'
import {
  type DiskLayout,
  flashBytes,
  flashEnvironmentBytes,
  partitionNames,
  partitionNumbers,
} from '../layout.ts'

/** The plain one is Debian's. */
const scriptNames = { plain: 'boot.scr.uimg', signed: 'boot.itb' } as const
/** GPT types: Microsoft basic data for the FAT, Linux for the others. */
const partitionTypes = { loader: '0700', record: '8300', a: '8300', b: '8300', data: '8300' } as const

/** An empty disk with its partition table. @throws EverbootError EB-TOOL-MISSING, EB-TOOL-FAILED */
export async function makeDisk(path: string, layout: DiskLayout): Promise<void> {
  await rm(path, { force: true })
  await writeFile(path, '', { mode: 0o600 })
  await truncate(path, layout.bytes)
  const parts = partitionNames.flatMap((name) => {
    const { number, offset, bytes } = layout.partitions[name]
    const first = offset / sectorBytes
    const last = (offset + bytes) / sectorBytes - 1
    return [
      '-n',
      `${number}:${first}:${last}`,
      '-c',
      `${number}:${name}`,
      '-t',
      `${number}:${partitionTypes[name]}`,
    ]
  })
  await tool('sgdisk', ['-o', ...parts, path])
}

/** Compiles the script, unsigned, and puts it into the FAT. @param work directory for what is made on the way */
export async function putScript(
  disk: string,
  layout: DiskLayout,
  script: string,
  work: string,
): Promise<void> {
  const [text, compiled] = [`${work}/boot.cmd`, `${work}/${scriptNames.plain}`]
  await writeFile(text, script)
  await tool('mkimage', [
    '-A',
    'arm64',
    '-O',
    'linux',
    '-T',
    'script',
    '-C',
    'none',
    '-n',
    'everboot',
    '-d',
    text,
    compiled,
  ])
  await rm(text)
  await putLoaderFile(disk, layout, compiled, 'plain')
}

/** Puts a compiled script into the FAT. @param compiled file, which is gone afterwards */
export async function putLoaderFile(
  disk: string,
  layout: DiskLayout,
  compiled: string,
  kind: keyof typeof scriptNames,
): Promise<void> {
  const fat = `${compiled}.fat`
  await rm(fat, { force: true })
  await writeFile(fat, '')
  await truncate(fat, layout.partitions.loader.bytes)
  await tool('mkfs.vfat', ['-n', 'EVERBOOT', fat])
  await tool('mcopy', ['-i', fat, compiled, `::${scriptNames[kind]}`])
  await copyInto(disk, layout.partitions.loader.offset, fat)
  for (const it of [compiled, fat]) await rm(it)
}

/** The unit with the program. @throws EverbootError EB-TOOL-MISSING without it */
export async function makeProgramFlash(path: string, uBoot: string): Promise<void> {
  if (uBoot === stockUBoot) await ensureHostTools([stockUBoot], { install: true })
  await cp(uBoot, path).catch((cause: Error) =>
    raise('EB-FILE', `${uBoot} cannot be read: ${cause.message}`, { cause }),
  )
  await truncate(path, flashBytes)
}

/**
 * The unit with U-Boot's environment: no delay, no prompt, straight to the script.
 * @param kind `signed`: only a script whose signature holds is run
 * @throws EverbootError EB-USAGE
 */
export async function makeEnvironmentFlash(
  path: string,
  words: string,
  kind: keyof typeof scriptNames = 'plain',
): Promise<void> {
  const count = words.split(/\s+/).length
  if (count > qemuLimits.kernelWordsMax) {
    raise('EB-USAGE', `${count} more words for the kernel, at most ${qemuLimits.kernelWordsMax}`)
  }
  const console = 'pl011@9000000'
  const environment = encodeEnvironment(
    new Map([
      ['bootdelay', '-2'],
      ['loadaddr', '0x40200000'],
      ['stdin', console],
      ['stdout', console],
      ['stderr', console],
      ...bootCommands(kind),
      ...(words === '' ? [] : ([[extraWords, words]] as const)),
    ]),
    flashEnvironmentBytes,
  )
  if (environment === null)
    raise('EB-USAGE', `words for the kernel that U-Boot cannot hold: ${words.slice(0, 80)}`)
  await writeFile(path, environment)
  await truncate(path, flashBytes)
}

/**
 * Variables with what U-Boot does at power on. Of a signed script U-Boot 2023.01 checks the data that
 * `data-position` points to and runs what is in `data`; an image of the old kind it runs unchecked. Neither gets as
 * far as `source`.
 */
function bootCommands(kind: keyof typeof scriptNames): readonly (readonly [string, string])[] {
  const at = '0x52000000'
  const most = qemuLimits.scriptImageBytesMax.toString(16)
  const load = `load virtio 0:${partitionNumbers.loader} ${at} ${scriptNames[kind]} ${most}`
  const command = ['bootcmd', 'pci enum; virtio scan; run eb_script; sleep 1; reset'] as const
  if (kind === 'plain') return [command, ['eb_script', `${load} && source ${at}`]]
  const { script } = fitNames
  const elsewhere = ['data-position', 'data-offset'].map((it) => `fdt get size eb_t /images/${script} ${it}`)
  const checked = `if run eb_elsewhere; then echo everboot: the script keeps its data elsewhere; else source ${at}:${script}; fi`
  const isTree = `itest.l *${at} -eq edfe0dd0 && fdt addr ${at}`
  return [
    command,
    ['eb_elsewhere', elsewhere.join(' || ')],
    ['eb_script', `if ${load} && ${isTree}; then ${checked}; fi`],
  ]
}
