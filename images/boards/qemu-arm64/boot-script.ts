/**
 * The boot script of the QEMU board, for the shell of a stock U-Boot, over the record and stamp of all loaders.
 * Promise: each pass of its loop takes the step that the table names, in the table's order; a try is on the medium
 * and read back before its slot is looked at; all keys of the record are kept, known or not, since the record is
 * the whole environment while it is written. It never stops at a prompt.
 * Leaves to others: believing a slot. This loader reads the seal's magic and security version only; signature and
 * image are checked by the initramfs and dm-verity, after the try was counted.
 */
import { bootPartition } from '../../../core/boot-record.ts'
import { boardLimits, qemuLimits, slotLimits } from '../../../core/limits.ts'
import { type SlotId, slotIds } from '../../../core/units.ts'
import { sectorBytes } from '../arm64/partition.ts'
import { nextStep } from './boot-script-table.ts'
import { fitNames, kernelAddress } from './fit-source.ts'

export interface BootScriptPlan {
  /** Numbers of the partitions on the first virtio disk. */
  readonly partitions: { readonly record: number } & Readonly<Record<SlotId, number>>
  /** Files of a slot, without a leading slash: kernel and initramfs for themselves, or in a FIT that `bootm` checks. */
  readonly files: { readonly kernel: string; readonly initramfs: string } | { readonly fit: string }
  /** Words for the kernel besides `everboot.slot=…`. */
  readonly commandLine: string
  /** `print` says what it would start and waits for a reset: for comparing the script with the table. */
  readonly act: 'boot' | 'print'
}

/** Variable of U-Boot's own environment whose words are added to the kernel's command line. */
export const extraWords = 'everboot_args'

/** Memory of the board that the script works in, beyond what a kernel is loaded to. */
const at = {
  kernel: kernelAddress,
  initramfs: '48000000',
  copies: ['50000000', '50100000'],
  stamp: '50200000',
  out: '50300000',
  again: '50400000',
  seal: '50500000',
  kept: '50600000',
  record: '50700000',
} as const

/** Numbers of the shell are hexadecimal. */
const hex = (value: number): string => value.toString(16)
const blocks = (bytes: number): string => hex(bytes / sectorBytes)
const copyBytes = hex(slotLimits.recordCopyBytes)
const copyBlocks = blocks(slotLimits.recordCopyBytes)
const numbers = ['a_sv', 'a_tries', 'b_sv', 'b_tries', 'floor', 'st_seq']
/** What commands of the shell leave in the environment; none of it belongs into the record. */
const foreign = ['eb_t', 'eb_at', 'filesize', 'fileaddr', 'bootargs', 'fdtcontroladdr', 'fdtaddr', extraWords]
const wait = ['while true; do sleep 1; done']
/** EVBT, SEAL, as little-endian words. */
const sealMagic = ['54425645', '4c414553'] as const

/** @returns the text for `mkimage -T script` */
export function bootScript(plan: BootScriptPlan): string {
  const passes = Array.from({ length: boardLimits.bootStepsMax + 4 }, (_, index) => hex(index))
  const lines = [
    // The environment is about to become the record.
    `env export -t ${at.kept} fdtcontroladdr ${extraWords}`,
    ...findRecord(plan),
    ...readStamp(),
    ...([0, 1] as const).flatMap(readCopy),
    ...chooseCopy(),
    ...knownAtPowerOn(),
    `for eb_pass in ${passes.join(' ')}; do`,
    ...nextStep(),
    ...slotIds.flatMap((slot) => look(plan, slot)),
    ...save(),
    ...slotIds.flatMap((slot) => start(plan, slot)),
    ...stop(plan),
    'done',
    'reset',
  ]
  return `${lines.join('\n')}\n`
}

function findRecord({ partitions }: BootScriptPlan): string[] {
  const [first, second] = bootPartition.copyOffsets
  const offset = (name: string, bytes: number): string[] => [
    `setexpr eb_t \${eb_at} + ${blocks(bytes)}`,
    `${name}=\${eb_t}`,
  ]
  return [
    'eb_wr=1',
    `if part start virtio 0 ${partitions.record} eb_at; then true; else eb_wr=0; setenv eb_at 0; fi`,
    ...offset('eb_b0', first),
    ...offset('eb_b1', second),
    ...offset('eb_bs', bootPartition.stampOffset),
  ]
}

/** Clears `flag` unless the variable is a number as a writer of records writes it. */
function requireNumber(name: string, flag: string): string[] {
  const value = `\${${name}}`
  const tests = [
    // The first character first: `setexpr` would follow a star as a pointer.
    `setexpr eb_t sub ^[0123456789abcdef] : ${value}`,
    `setexpr eb_t ${value} + 0`,
    `test "\${eb_t}" = "${value}"`,
    // Not by `itest`, which compares the lower 32 bits only.
    `setexpr eb_t ${value} / ${hex(slotLimits.numberMax + 1)}`,
    `test "\${eb_t}" = 0`,
  ]
  return ['setenv eb_t -', `if ${tests.join(' && ')}; then true; else ${flag}=0; fi`]
}

function requireOne(name: string, values: readonly string[], flag: string): string[] {
  const any = values.map((it) => `test "\${${name}}" = ${it}`).join(' || ')
  return [`if ${any}; then true; else ${flag}=0; fi`]
}

function readStamp(): string[] {
  return [
    'eb_sv=0',
    `if virtio read ${at.stamp} \${eb_bs} ${blocks(slotLimits.stampBytes)}; then`,
    `if env import -d -c ${at.stamp} ${hex(slotLimits.stampBytes)}; then`,
    'eb_sv=1',
    ...requireNumber('floor', 'eb_sv'),
    ...requireOne('st_pri', slotIds, 'eb_sv'),
    `eb_sf=\${floor}`,
    `eb_sp=\${st_pri}`,
    'fi',
    'fi',
    `if test \${eb_sv} = 0; then eb_sf=0; eb_sp=a; fi`,
  ]
}

function readCopy(copy: 0 | 1): string[] {
  const flag = `eb_v${copy}`
  return [
    `${flag}=0`,
    `if virtio read ${at.copies[copy]} \${eb_b${copy}} ${copyBlocks}; then`,
    `if env import -d -c ${at.copies[copy]} ${copyBytes}; then`,
    `${flag}=1`,
    ...numbers.flatMap((it) => requireNumber(it, flag)),
    ...slotIds.flatMap((slot) => requireOne(`${slot}_ok`, ['0', '1'], flag)),
    ...requireOne('st_pri', slotIds, flag),
    `eb_s${copy}=\${st_seq}`,
    'fi',
    'fi',
    `if test \${${flag}} = 0; then eb_s${copy}=0; fi`,
  ]
}

/** Newest valid copy, of equal ones the first; the other one is overwritten next. */
function chooseCopy(): string[] {
  const take = (copy: 0 | 1): string =>
    `env import -d -c ${at.copies[copy]} ${copyBytes}; eb_rec=1; eb_sq=\${eb_s${copy}}; eb_src=\${eb_b${copy}}; eb_dst=\${eb_b${1 - copy}}`
  return [
    'eb_rec=0',
    'eb_sq=0',
    `eb_src=\${eb_b1}`,
    `eb_dst=\${eb_b0}`,
    'setenv eb_t 0',
    `env export -t ${at.out} eb_t`,
    `env import -d -t ${at.out}`,
    `if test \${eb_v0} = 1; then ${take(0)}; fi`,
    `if test \${eb_v1} = 1; then`,
    'eb_newer=1',
    `if test \${eb_v0} = 1 && itest \${eb_s0} -ge \${eb_s1}; then eb_newer=0; fi`,
    `if test \${eb_newer} = 1; then ${take(1)}; fi`,
    'fi',
  ]
}

function knownAtPowerOn(): string[] {
  return [
    `eb_fl=\${eb_sf}`,
    `if test \${eb_rec} = 1 && itest \${floor} -gt \${eb_fl}; then eb_fl=\${floor}; fi`,
    ...slotIds.flatMap((slot) => [`eb_l${slot}=-`, `eb_s${slot}=0`, `eb_t${slot}=0`]),
    'eb_re=0',
    `echo "everboot: record=\${eb_rec} seq=\${eb_sq} floor=\${eb_fl}"`,
  ]
}

/** Magic, form and security version of the seal in the last 64 KiB of the slot. */
function look({ partitions }: BootScriptPlan, slot: SlotId): string[] {
  const word = (offset: number): string => `*${hex(Number.parseInt(at.seal, 16) + offset)}`
  const tests = [
    `itest.l ${word(0)} -eq ${sealMagic[0]}`,
    `itest.l ${word(4)} -eq ${sealMagic[1]}`,
    `itest.l ${word(8)} -eq 1`,
    // The upper half of a security version that fits the record.
    `itest.l ${word(20)} -eq 0`,
  ]
  return [
    `if test \${eb_do} = look && test \${eb_c} = ${slot}; then`,
    `eb_l${slot}=n`,
    `mw.l ${at.seal} 0 80`,
    `if part start virtio 0 ${partitions[slot]} eb_at && part size virtio 0 ${partitions[slot]} eb_t; then`,
    `setexpr eb_at \${eb_at} + \${eb_t}`,
    `setexpr eb_at \${eb_at} - ${blocks(slotLimits.sealAreaBytes)}`,
    `if virtio read ${at.seal} \${eb_at} 1; then`,
    `if ${tests.join(' && ')}; then`,
    `setexpr.l eb_t ${word(16)} + 0`,
    `eb_s${slot}=\${eb_t}`,
    `if itest \${eb_t} -ge \${eb_fl} && itest \${eb_t} -ge 1; then eb_l${slot}=y; fi`,
    'fi',
    'fi',
    'fi',
    `echo "everboot: slot ${slot} seal=\${eb_l${slot}} sv=\${eb_s${slot}}"`,
    'fi',
  ]
}

/** The whole environment is the record; it goes to the copy that does not count and is read back. */
function save(): string[] {
  const put = (block: string): string[] => [
    ...foreign.map((name) => `setenv ${name}`),
    `if env export -c -s ${copyBytes} ${at.out} && virtio write ${at.out} \${${block}} ${copyBlocks} && virtio read ${at.again} \${${block}} ${copyBlocks} && cmp.b ${at.out} ${at.again} ${copyBytes}; then true; else eb_wr=0; fi`,
  ]
  return [
    `if test \${eb_do} = save && test \${eb_wr} = 1; then`,
    `if itest \${eb_sq} -ge ${hex(slotLimits.numberMax)}; then`,
    // After the last number from one, in both copies.
    'setenv st_seq 1',
    ...put('eb_dst'),
    `if test \${eb_wr} = 1; then`,
    'setenv st_seq 2',
    ...put('eb_src'),
    'fi',
    'eb_sq=2',
    'else',
    `setexpr st_seq \${eb_sq} + 1`,
    `eb_sq=\${st_seq}`,
    ...put('eb_dst'),
    `eb_x=\${eb_dst}; eb_dst=\${eb_src}; eb_src=\${eb_x}`,
    'fi',
    `if test \${eb_wr} = 0; then echo "everboot: the record cannot be written"; fi`,
    'fi',
  ]
}

function start(plan: BootScriptPlan, slot: SlotId): string[] {
  const { load, go } = system(plan, slot)
  const act =
    plan.act === 'print'
      ? [`echo "everboot: starts ${slot}"`, ...wait]
      : [
          `if ${load}; then`,
          // No word of the record may reach a command that starts a kernel: `verify=no` would end all checks.
          `env export -c -s ${copyBytes} ${at.record} && env import -d -t ${at.kept}`,
          `setenv bootargs ${plan.commandLine} everboot.slot=${slot} \${${extraWords}}`,
          `echo "everboot: starts ${slot}"`,
          go,
          // Only a kernel that is refused comes back: so is the slot, for this boot.
          `env import -d -c ${at.record} ${copyBytes}`,
          'fi',
          `echo "everboot: slot ${slot} does not start"`,
          `eb_l${slot}=n`,
        ]
  return [`if test \${eb_do} = start && test \${eb_c} = ${slot}; then`, ...act, 'fi']
}

/** How kernel and initramfs of a slot are loaded and started. */
function system(plan: BootScriptPlan, slot: SlotId): { readonly load: string; readonly go: string } {
  const { files } = plan
  const load = (address: string, file: string): string =>
    `ext4load virtio 0:${plan.partitions[slot]} ${address} ${file} ${hex(qemuLimits.kernelImageBytesMax)}`
  if ('fit' in files) {
    const image = `${at.initramfs}#${fitNames.configuration}`
    return { load: load(at.initramfs, files.fit), go: `bootm ${image} ${image} \${fdtcontroladdr}` }
  }
  const both = `${load(at.kernel, files.kernel)} && ${load(at.initramfs, files.initramfs)}`
  return {
    load: `${both} && eb_size=\${filesize}`,
    go: `booti ${at.kernel} ${at.initramfs}:\${eb_size} \${fdtcontroladdr}`,
  }
}

function stop(plan: BootScriptPlan): string[] {
  return [
    `if test \${eb_do} = stop; then`,
    'echo "everboot: no slot can be started"',
    ...(plan.act === 'print' ? wait : [`sleep ${boardLimits.noSlotPauseMs / 1000}`]),
    'reset',
    'fi',
  ]
}
