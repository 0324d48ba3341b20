/** The kernel modules of the QEMU board. */

/** Seen by the initramfs: disk, hash tree, watchdog. The last one makes hashing faster. */
export const earlyModules = ['virtio_pci', 'virtio_blk', 'dm-verity', 'softdog', 'sha2-ce'] as const
/** Loaded by the system in the slot. */
export const lateModules = ['virtio_net', 'virtio-rng'] as const
