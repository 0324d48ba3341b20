/**
 * Limits of boards that Everboot runs: emulated ones, those in QEMU, their disks, lines and stories; a part of limits.ts.
 */
import { GiB, hours, KiB, MiB, minutes, seconds } from './units.ts'

/** The emulated board and its bootloader. */
export const boardLimits = {
  /** Of a Raspberry Pi: clusters of a directory, partitions that its firmware tries, slots that give way to each other. */
  directoryClustersMax: 256,
  partitionsWalkedMax: 8,
  handOversMax: 4,
  /** Decisions of one boot: look at two slots, rebuild or re-arm, a try for each, start. */
  bootStepsMax: 12,
  /** A slot whose images are larger is refused, since it cannot be checked whole in reasonable time. */
  checkedBytesMax: 16 * GiB,
  checkStepBytes: MiB,
  /** One system tool: mkfs, e2fsck, debugfs, losetup, mount. */
  toolMs: minutes(2),
  toolOutputBytesMax: MiB,
  /** Killing everything of a boot, releasing a mount or a loop device. */
  killMs: seconds(5),
  releaseMs: seconds(10),
  /** Looking again while waiting for the kernel. */
  lookAgainMs: 20,
  watchdogMs: seconds(15),
  /** Before the next boot when no slot can be started, or when a boot ended sooner than this. */
  pauseMs: seconds(1),
  noSlotPauseMs: seconds(5),
  bootMsMin: 500,
  consoleBytesMax: 8 * MiB,
  consoleLineBytesMax: 4 * KiB,
  tracesKept: 4,
  powerWordMax: 64,
  /** Slots kept unpacked in plain emulation. */
  unpackedMax: 3,
  controlRequestBytesMax: 4 * KiB,
  controlAnswerBytesMax: 256 * KiB,
  /** A status hashes executables; a reset waits for the old boot to be gone. */
  controlMs: seconds(30),
  /** What the kernel takes for the path of a socket, its end included. */
  socketPathBytesMax: 108,
  processesMax: 4_096,
  hashesKept: 16,
  identityBytesMax: 64 * KiB,
  /** Room in a slot beyond the factory image, for larger releases. */
  slotSpareBytes: 64 * MiB,
  bootPartitionBytes: 4 * MiB,
  dataPartitionBytes: 64 * MiB,
  /** Any time that a board maker may set. */
  settingMsMax: hours(24),
} as const

/** The disk of a QEMU board, served as a network block device. */
export const diskServerLimits = {
  /** One read or write; what is longer ends the connection. */
  requestBytesMax: 32 * MiB,
  optionBytesMax: 8 * KiB,
  optionsMax: 64,
  /** Wishes for information that one option may name. */
  wishesMax: 64,
  connectionsMax: 8,
  handshakeMs: seconds(10),
  /** The volatile cache; the oldest writes beyond it are written through and counted. */
  cacheBytesMax: 64 * MiB,
  cacheWritesMax: 65_536,
  /** Operations that are remembered one by one; all are counted. */
  operationsKept: 1_024,
  rangesMax: 32,
  /** Zeroing a sparse file looks at so much at a time. */
  zeroStepBytes: MiB,
} as const

/** QEMU as a process. */
export const machineLimits = {
  /** From the start to the connections of console and monitor. */
  startMs: seconds(30),
  /** A machine that nobody stops. */
  lifeMs: minutes(10),
  monitorMs: seconds(20),
  monitorLineBytesMax: MiB,
  /** Events of the monitor that nobody has waited for. */
  eventsKept: 256,
  commandsMax: 32,
  consoleLinesKept: 4_096,
  /** What QEMU itself says, kept for the error when it ends. */
  ownWordsKept: 32,
  peekMs: seconds(1),
} as const

/** The board in QEMU. */
export const qemuLimits = {
  /** From the initramfs to an agent that pets it, on a machine with other work. */
  watchdogMs: seconds(30),
  /** Words for the kernel besides the board's own: a command of U-Boot takes sixteen. */
  kernelWordsMax: 8,
  /** What is loaded of a slot or of the loader's partition: below the next thing in memory. */
  kernelImageBytesMax: 96 * MiB,
  scriptImageBytesMax: MiB,
} as const

/** The bad line for demos, benches and tests. */
export const linkLimits = {
  segmentBytes: 1460,
  /** Waiting and under way in one direction of one connection. */
  windowBytes: 64 * KiB,
  burstMs: 5,
  /** A broken connection breaks within 2^20 bytes. */
  cutBytesExponentMax: 21,
  shareSteps: 1_000_000,
  latencyMsMax: minutes(1),
} as const

/** Stories on boards outside this process. */
export const sceneLimits = {
  /** Waiting for one thing on a board outside this process, since the last boot or cut. */
  waitMs: minutes(5),
  pollMs: 100,
  /** Of the boards in QEMU: from the initramfs to an agent that pets. */
  watchdogMs: seconds(12),
  loopWatchdogMs: seconds(4),
  healthDeadlineMs: seconds(6),
  rebootDelayMs: seconds(0.5),
  /** One QEMU, whatever it does. */
  lifeMs: minutes(30),
  /** A board that somebody plays with. */
  homeLifeMs: hours(24),
} as const
