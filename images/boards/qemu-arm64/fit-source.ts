/**
 * Sources for `mkimage -f` of the two signed images of a board: kernel with initramfs, and the boot script.
 * Promise: kernel and initramfs are signed together, so they cannot be mixed, and each for itself, because stock
 * U-Boot asks for signatures in two ways: of configurations in `bootm`, of single images in `source`.
 * Leaves to others: running mkimage (adapters/fit.ts). Source of the form: U-Boot doc/uImage.FIT/signature.txt.
 */

/** Names of the two keys in the control device tree of U-Boot. */
export const keyHints = { configuration: 'everboot', image: 'everboot-image' } as const
/** What `bootm` and `source` are asked for. */
export const fitNames = { configuration: 'board', kernel: 'kernel', initramfs: 'initramfs', script: 'script' }
/** Where the kernel runs, in the memory of the board. */
export const kernelAddress = '40400000'

/** As U-Boot names it, such as `sha256,rsa3072`; null: hashes only. */
export type FitAlgorithm = `sha256,rsa${number}` | null

/** @param files absolute paths; the kernel is packed by gzip, since U-Boot hashes more slowly than it unpacks */
export function kernelSource(
  files: { readonly kernel: string; readonly initramfs: string },
  algorithm: FitAlgorithm,
): string {
  const address = `load = <0x${kernelAddress}>; entry = <0x${kernelAddress}>;`
  return source(
    [
      image(fitNames.kernel, files.kernel, `type = "kernel"; compression = "gzip"; ${address}`, algorithm),
      image(fitNames.initramfs, files.initramfs, 'type = "ramdisk"; compression = "none";', algorithm),
    ],
    { kernel: fitNames.kernel, ramdisk: fitNames.initramfs },
    algorithm,
  )
}

/** @param file absolute path of the text of the script */
export function scriptSource(file: string, algorithm: FitAlgorithm): string {
  const script = image(fitNames.script, file, 'type = "script"; compression = "none";', algorithm)
  return source([script], { script: fitNames.script }, algorithm)
}

function source(
  images: readonly string[],
  parts: Readonly<Record<string, string>>,
  algorithm: FitAlgorithm,
): string {
  const signed = Object.keys(parts).map(text).join(', ')
  const lines = [
    '/dts-v1/;',
    '/ {',
    'description = "everboot"; #address-cells = <1>;',
    'images {',
    ...images,
    '};',
    `configurations { default = ${text(fitNames.configuration)}; ${fitNames.configuration} {`,
    ...Object.entries(parts).map(([part, name]) => `${part} = ${text(name)};`),
    signature(algorithm, keyHints.configuration, `sign-images = ${signed};`),
    '}; };',
    '};',
  ]
  return `${lines.filter((it) => it !== '').join('\n')}\n`
}

function image(name: string, file: string, what: string, algorithm: FitAlgorithm): string {
  const form = 'arch = "arm64"; os = "linux"; hash { algo = "sha256"; };'
  return `${name} { data = /incbin/(${text(file)}); ${what} ${form} ${signature(algorithm, keyHints.image, '')} };`
}

function signature(algorithm: FitAlgorithm, hint: string, more: string): string {
  if (algorithm === null) return ''
  return `signature { algo = ${text(algorithm)}; key-name-hint = ${text(hint)}; ${more} };`
}

/** A string of the device tree language. */
function text(value: string): string {
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}
