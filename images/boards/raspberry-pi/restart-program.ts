/**
 * A program of some 200 bytes for the initramfs: `restart ARGUMENT` is the system call reboot(2) with an argument,
 * which busybox cannot make. The kernel hands the argument to the firmware: a number is the partition to boot from.
 * Promise: static, needs no library; syncs first; ends with status 1 when the kernel refuses.
 * Source: Arm A64 instruction set (movz, movk, ldr, svc), Linux include/uapi/linux/reboot.h and asm-generic/unistd.h.
 */

const call = { sync: 81, exit: 93, reboot: 142 } as const
const magic = { first: 0xfee1dead, second: 0x28121969, withArgument: 0xa1b2c3d4 } as const

const headBytes = 64
const segmentBytes = 56
const base = 0x40_0000
const aarch64 = 183

/** @returns an ELF file */
export function restartProgram(): Uint8Array {
  const code = [
    ...systemCall(call.sync),
    ...constant(0, magic.first),
    ...constant(1, magic.second),
    ...constant(2, magic.withArgument),
    // On the stack: count of arguments, name of the program, its first argument.
    loadFromStack(3, 16),
    ...systemCall(call.reboot),
    ...constant(0, 1),
    ...systemCall(call.exit),
  ]
  const start = headBytes + segmentBytes
  const bytes = start + 4 * code.length
  const file = new Uint8Array(bytes)
  const view = new DataView(file.buffer)
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  view.setUint16(16, 2, true)
  view.setUint16(18, aarch64, true)
  view.setUint32(20, 1, true)
  view.setBigUint64(24, BigInt(base + start), true)
  view.setBigUint64(32, BigInt(headBytes), true)
  view.setUint16(52, headBytes, true)
  view.setUint16(54, segmentBytes, true)
  view.setUint16(56, 1, true)
  // One segment: the whole file, readable and executable.
  view.setUint32(headBytes, 1, true)
  view.setUint32(headBytes + 4, 5, true)
  for (const at of [16, 24]) view.setBigUint64(headBytes + at, BigInt(base), true)
  for (const at of [32, 40]) view.setBigUint64(headBytes + at, BigInt(bytes), true)
  view.setBigUint64(headBytes + 48, 0x10000n, true)
  code.forEach((it, index) => {
    view.setUint32(start + 4 * index, it, true)
  })
  return file
}

/** movz and movk: a 32-bit constant into register x`register`. */
function constant(register: number, value: number): readonly number[] {
  const low = 0xd2800000 + (value % 0x10000) * 32 + register
  const high = 0xf2a00000 + Math.floor(value / 0x10000) * 32 + register
  return value < 0x10000 ? [low] : [low, high]
}

function systemCall(number: number): readonly number[] {
  return [...constant(8, number), 0xd4000001]
}

/** ldr x`register`, [sp, #offset] */
function loadFromStack(register: number, offset: number): number {
  return 0xf9400000 + (offset / 8) * 0x400 + 31 * 32 + register
}
