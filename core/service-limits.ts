/**
 * Limits of the agent as a part of a running system: its service manager, programs that ask it, state that is kept.
 * Promise: as in limits.ts: bytes and milliseconds unless the name says otherwise.
 */
import { days, KiB, MiB, minutes, seconds } from './units.ts'

/** The agent as a service of the system, and what it offers to programs on the device. */
export const serviceLimits = {
  /** How often the service manager is told what is new; more often until the agent answers. */
  beatMs: seconds(5),
  startBeatMs: 200,
  /** Signs of life within the time that the manager allows. */
  petsPerWatch: 3,
  /** An agent whose queue has not answered for so long is stuck; reading two large slots takes less. */
  stuckMs: minutes(30),
  tellMs: seconds(5),
  tellTextMax: 512,
} as const

/** State that is kept across updates. */
export const stateLimits = {
  directoriesMax: 16,
  namesMax: 128,
  /** Files whose default is compared; larger ones and more are kept without a word about their defaults. */
  comparedBytesMax: MiB,
  comparedMax: 1_024,
  toolMs: seconds(30),
  makeMs: minutes(1),
} as const

/** Programs that say "not now", and the local interface. */
export const inhibitLimits = {
  /** How often those who hold an update up are looked at. */
  lookMs: seconds(5),
  holdersMax: 64,
  fileBytesMax: 4 * KiB,
  whyMax: 256,
  /** The longest lease; what lasts longer is renewed. */
  leaseMsMax: days(7),
  clientsMax: 32,
  /** Requests of one client that wait for their answers. */
  requestsMax: 16,
  watchersMax: 8,
  watchMs: 500,
  /** A client that does not read is let go. */
  backlogBytesMax: 256 * KiB,
} as const

/** What the kernel kept of a crash. */
export const crashLimits = {
  entriesMax: 32,
  scannedMax: 1_024,
  /** systemd-pstore makes a directory for each crash, and in it one for each part. */
  depthMax: 2,
  entryBytesMax: 8 * KiB,
} as const
