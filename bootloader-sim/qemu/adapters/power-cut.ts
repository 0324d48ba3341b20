/**
 * A power cut of a running machine: one of its disks has cut, the others lose their power with it, and the
 * machine forgets everything and starts anew over what is left.
 * Promise: the guest takes no step between the cut and its reset: its processor is stopped while the disk
 * still leaves it waiting, so no program learns that the disk is gone.
 * Leaves to others: when a disk cuts (nbd-disk.ts), which fates.
 */
import { raise } from '../../../core/errors.ts'
import { machineLimits } from '../../../core/limits.ts'
import { until, within } from '../../adapters/wait.ts'
import type { Fate } from '../../devices/fate.ts'
import type { DiskOperation } from '../disk-tally.ts'
import { driveName } from '../machine.ts'
import type { NbdDisk } from '../nbd-disk.ts'
import type { NbdServer } from './nbd-server.ts'
import type { Machine } from './run-machine.ts'

/** Which disk the power went at, and at which operation; null when between two. */
export interface PowerCut {
  readonly disk: NbdDisk
  readonly at: DiskOperation | null
}

/** To be called before the cut can come. @throws EverbootError EB-TIMEOUT */
export async function awaitCut(servers: readonly NbdServer[], timeoutMs: number): Promise<PowerCut> {
  const disks = servers.map((it) => it.disk)
  const before = disks.map((it) => it.onCut)
  const restore = (): void =>
    disks.forEach((it, n) => {
      it.onCut = before[n] ?? it.onCut
    })
  const first = new Promise<PowerCut>((resolve) => {
    for (const disk of disks) {
      disk.onCut = (at) => {
        resolve({ disk, at })
        for (const other of disks) if (other.hasPower()) void other.cutNow()
      }
    }
  })
  const came = await within(timeoutMs, first)
  restore()
  if (came === null) raise('EB-TIMEOUT', `the planned cut did not come within ${timeoutMs} ms`)
  return came
}

/**
 * After a cut: stops the machine, decides what is left, resets and lets it run.
 * @param fates of what is pending on a disk
 * @throws EverbootError EB-QEMU, EB-TIMEOUT
 */
export async function resetAfterCut(
  machine: Machine,
  servers: readonly NbdServer[],
  fates: (disk: NbdDisk) => readonly Fate[],
): Promise<void> {
  // QEMU stops the processor, says so, and only then waits for its disk, which does not answer.
  machine.monitor.forget('STOP')
  const stopped = machine.monitor.execute('stop')
  await machine.monitor.event('STOP')
  await losePower(servers)
  await stopped
  await restorePower(servers, fates)
  machine.console.log.skip()
  await machine.reset()
  await reconnect(machine, servers)
  await machine.monitor.execute('cont')
}

/**
 * QEMU connects to a disk that has hung up only when something is read, and what is read first fails. So that this is
 * not the guest, the monitor reads until an answer comes.
 */
async function reconnect(machine: Machine, servers: readonly NbdServer[]): Promise<void> {
  for (const [n, { disk }] of servers.entries()) {
    const before = disk.counts().operations.read
    const line = `qemu-io ${driveName(n)} "read 0 512"`
    const read = async (): Promise<boolean> => {
      await machine.monitor.execute('human-monitor-command', { 'command-line': line })
      return disk.counts().operations.read > before
    }
    if (!(await until(machineLimits.monitorMs, read))) {
      raise('EB-TIMEOUT', `QEMU does not connect to ${disk.name} within ${machineLimits.monitorMs} ms`)
    }
  }
}

/** The disks of a machine that is stopped or killed lose their power, those that still have it. */
export async function losePower(servers: readonly NbdServer[]): Promise<void> {
  for (const { disk } of servers) if (disk.hasPower()) await disk.cutNow()
  for (const server of servers) server.drop()
}

/** The power is back; machines may connect. */
export async function restorePower(
  servers: readonly NbdServer[],
  fates: (disk: NbdDisk) => readonly Fate[],
): Promise<void> {
  for (const { disk } of servers) await disk.powerOn(fates(disk))
}
