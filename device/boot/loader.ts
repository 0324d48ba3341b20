/**
 * What starts the next boot, as far as the agent has a part in it: the seam between the rules of the boot record,
 * which are the same on every board, and the loaders that there are.
 * Promise: the record stays the truth; what a loader reads beside it is derived from it and written after it.
 * Leaves to others: the Raspberry Pi's firmware (tryboot.ts).
 */
import type { BootRecord } from '../../core/boot-record.ts'
import type { BootControl } from './boot-control.ts'

/** What BootControl asks of a loader. */
export interface RecordFollower {
  /**
   * Told of each record that is on the medium: what the loader reads beside it must say the same. Fails silently:
   * the record stands all the same, and `tell` says what is wrong.
   */
  follow(record: BootRecord): Promise<void>
  /** Rule 4, for loaders that do not do it themselves; null: this one does. */
  rebuild(): Promise<BootRecord | null>
}

export interface Loader {
  /**
   * First thing in a boot: whether another slot should run. `strayed`: the loader had not been told, and must be
   * told again; `trial due`: a trial has ended without a verdict, and has tries left.
   */
  misplaced(boot: BootControl): Promise<'strayed' | 'trial due' | null>
  /** Puts right what the loader reads beside the record. @throws EverbootError */
  tell(boot: BootControl): Promise<void>
  /** The running slot is committed and was found healthy in this boot. @throws EverbootError */
  proved(): Promise<void>
  /**
   * Last thing before a reboot: the slot that the record wants comes next.
   * @returns how the machine is to be rebooted. @throws EverbootError when that cannot be had: nobody may reboot then
   */
  prepareReboot(boot: BootControl): Promise<'trial' | undefined>
}

/** A loader that reads the record itself: U-Boot's script, the emulated board's. */
export const recordLoader: Loader & RecordFollower = {
  follow: async () => {},
  rebuild: async () => null,
  misplaced: async () => null,
  tell: async () => {},
  proved: async () => {},
  prepareReboot: async () => undefined,
}
