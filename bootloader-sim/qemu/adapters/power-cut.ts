/**
 * A power cut of a running machine: the disk has cut, the machine forgets everything and starts anew over
 * what is left.
 * Promise: the guest takes no step between the cut and its reset: its processor is stopped while the disk
 * still leaves it waiting, so no program learns that the disk is gone.
 * Leaves to others: when the disk cuts (nbd-disk.ts), which fates.
 */
import { raise } from '../../../core/errors.ts'
import { within } from '../../adapters/wait.ts'
import type { Fate, Pending } from '../../devices/fate.ts'
import type { DiskOperation, NbdDisk } from '../nbd-disk.ts'
import type { NbdServer } from './nbd-server.ts'
import type { Machine } from './run-machine.ts'

/** @returns the operation at which the power went, null when between two. @throws EverbootError EB-TIMEOUT */
export async function awaitCut(disk: NbdDisk, timeoutMs: number): Promise<DiskOperation | null> {
  const before = disk.onCut
  const cut = new Promise<{ readonly at: DiskOperation | null }>((resolve) => {
    disk.onCut = (at) => {
      disk.onCut = before
      before(at)
      resolve({ at })
    }
  })
  const came = await within(timeoutMs, cut)
  if (came === null) raise('EB-TIMEOUT', `${disk.name}: the planned cut did not come within ${timeoutMs} ms`)
  return came.at
}

/**
 * After a cut: stops the machine, decides what is left, resets and lets it run.
 * @throws EverbootError EB-QEMU, EB-TIMEOUT
 */
export async function resetAfterCut(
  machine: Machine,
  disk: NbdDisk,
  server: NbdServer,
  fates: (pending: readonly Pending[]) => readonly Fate[],
): Promise<void> {
  // QEMU stops the processor, says so, and only then waits for its disk, which does not answer.
  const stopped = machine.monitor.execute('stop')
  await machine.monitor.event('STOP')
  server.drop()
  await stopped
  await disk.powerOn(fates(disk.pending()))
  machine.console.log.skip()
  await machine.reset()
  await machine.monitor.execute('cont')
}
