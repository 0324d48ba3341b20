/** The kernel modules that the initramfs of a Raspberry Pi loads; a kernel may have any of them built in. */

export const neededModules = ['dm-verity', 'ext4'] as const
/** Taken where the kernel has them: card readers of all boards, USB and NVMe, the watchdog, faster hashing, what ext4 asks for by another name. */
export const usefulModules = [
  ...['bcm2835-mailbox', 'raspberrypi', 'clk-raspberrypi', 'gpio-raspberrypi-exp', 'gpio-regulator'],
  ...['bcm2835', 'sdhci-iproc', 'sdhci-brcmstb', 'mmc_block'],
  ...[
    'reset-raspberrypi',
    'pcie-brcmstb',
    'xhci-pci',
    'xhci-pci-renesas',
    'uas',
    'usb-storage',
    'sd_mod',
    'nvme',
  ],
  ...['bcm2835-pm', 'bcm2835_wdt', 'softdog', 'sha2-ce', 'sha256-arm64', 'crc32c_generic'],
] as const
