/** System tools that commands of Everboot call on a workstation, with their Debian packages. */

export interface Tool {
  /** Program in PATH, or a file. */
  readonly name: string
  readonly package: string
  /** What needs it. */
  readonly use: string
}

export const tools: readonly Tool[] = [
  { name: 'mkfs.ext4', package: 'e2fsprogs', use: 'image build' },
  { name: 'mksquashfs', package: 'squashfs-tools', use: 'image build' },
  { name: 'veritysetup', package: 'cryptsetup-bin', use: 'tests' },
  { name: 'sgdisk', package: 'gdisk', use: 'disk images' },
  { name: 'mkfs.fat', package: 'dosfstools', use: 'disk images' },
  { name: 'mkimage', package: 'u-boot-tools', use: 'disk images' },
  { name: 'mcopy', package: 'mtools', use: 'disk images' },
  { name: 'xz', package: 'xz-utils', use: 'disk images' },
  { name: 'qemu-system-aarch64', package: 'qemu-system-arm', use: 'QEMU board' },
  { name: '/usr/lib/u-boot/qemu_arm64/u-boot.bin', package: 'u-boot-qemu', use: 'QEMU board' },
]
