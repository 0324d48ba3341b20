/**
 * Every limit by name: sizes, counts, deadlines. Bytes and milliseconds unless the name says otherwise.
 * Promise: no loop, queue, retry, buffer or wait in Everboot is without one of these.
 */
import { days, GiB, KiB, MiB, minutes, seconds } from './units.ts'

export {
  boardLimits,
  diskServerLimits,
  linkLimits,
  machineLimits,
  qemuLimits,
  sceneLimits,
} from './machine-limits.ts'

/** What a release may look like. */
export const releaseLimits = {
  manifestBytesMax: MiB,
  jsonDepthMax: 16,
  imagesMax: 8,
  blobsMax: 16,
  hardwareIdsMax: 32,
  signaturesMax: 16,
  wrapsMax: 100_000,
  wrapsBytesMax: 64 * MiB,
  imageBytesMax: 1024 * GiB,
  pieceBytesMax: MiB,
  /** Sealed piece: the piece, one AEAD tag or CBC padding and IV, and room for incompressible data. */
  sealedPieceBytesMax: MiB + 4 * KiB,
  indexPageBytesMax: 64 * KiB,
  indexPagesMax: 16_384,
} as const

/** Files of keys. */
export const keyLimits = {
  keyFileBytesMax: 64 * KiB,
  /** The largest kind but one that bootloaders know. */
  bootKeyBits: 3072,
  devicesMax: releaseLimits.wrapsMax,
} as const

/** Building a release from an image or a directory. */
export const buildLimits = {
  /** Pieces that are read ahead of the one being written, for as many compressors. */
  piecesInFlight: 4,
  /** Room of a made filesystem beyond its content: this share of it, and at least this much. */
  slackShare: 0.1,
  slackBytesMin: 4 * MiB,
  /** A filesystem that turns out too small is made again this much larger, so many times. */
  sizeGrowth: 1.25,
  sizeAttemptsMax: 4,
  filesMax: 2_000_000,
  /** How long a file system tool may take. */
  toolMs: minutes(60),
  toolOutputBytesMax: 64 * KiB,
  zipDirectoryBytesMax: 16 * MiB,
  reportMs: 200,
} as const

/** The slot and the boot partition. */
export const slotLimits = {
  sealAreaBytes: 64 * KiB,
  recordCopyBytes: 64 * KiB,
  stampBytes: 4 * KiB,
  /** A read that fails is tried so often in all. */
  readTries: 3,
  trialTries: 3,
  committedTries: 8,
  /** U-Boot on 32-bit boards computes in 32 bits. */
  numberMax: 0xffff_ffff,
} as const

/** One download. */
export const downloadLimits = {
  rangeBytesMax: 8 * MiB,
  triesPerPiece: 3,
  retryBaseMs: seconds(1),
  retryCeilingMs: minutes(5),
  connectMs: seconds(15),
  /** Below `slowBytesPerSecond` over `slowWindowMs` the transfer is given up. */
  slowBytesPerSecond: KiB,
  slowWindowMs: seconds(60),
  headBytesMax: 16 * KiB,
  /** Progress is made durable after this much or this long, whichever is first. */
  progressBytes: 8 * MiB,
  /** How far a download may run ahead of a mark that is being saved. */
  progressAheadBytes: 4 * MiB,
  progressMs: seconds(2),
  /** On links slower than this every piece is made durable at once. */
  slowLinkBytesPerSecond: 64 * KiB,
  reportMs: seconds(2),
  /** On a slow link a status costs as much as a piece. */
  slowReportMs: seconds(3),
  /** After a start, pieces this far past the last mark may already be on the medium. */
  rescanBytes: 24 * MiB,
} as const

/** The trial of a new system. */
export const trialLimits = {
  deadlineMs: minutes(5),
  networkDeadlineMs: minutes(15),
  rebootDelayMs: seconds(5),
  watchdogMs: seconds(60),
  petMs: seconds(1),
  hookMs: minutes(2),
  hookOutputBytesMax: 16 * KiB,
  /** How long the last output of a program that has ended is waited for. */
  outputGraceMs: 100,
  checkMs: seconds(10),
  checkEveryMs: 250,
  consoleTailBytesMax: 8 * KiB,
} as const

/** MQTT and the outbox. */
export const wireLimits = {
  messageBytesMax: 256 * KiB,
  textBytesMax: 4 * KiB,
  evidenceBytesMax: 32 * KiB,
  outboxMessagesMax: 256,
  /** Statuses in the outbox that keep their evidence; it is what makes them large. */
  outboxEvidencesMax: 8,
  /** Statuses that wait in memory until the data partition takes them, and how often that is tried. */
  keepsWaitingMax: 16,
  keepRetryMs: seconds(30),
  /** Messages of one kind that wait for their turn on the device; the oldest give way. */
  inboxMax: 16,
  /** A desired `seq` may lie at most this far ahead of the device's trusted time. */
  sequenceAheadMs: days(1),
  /** Without a clock that can be trusted only this much is refused. */
  sequenceAheadBlindMs: days(3650),
  ackTimeoutMs: seconds(20),
  /** A throttle below this would be taken for a stalled transfer. */
  throttleBytesMin: 4 * KiB,
  keepAliveSeconds: 30,
  connectMs: seconds(15),
  reconnectBaseMs: seconds(1),
  reconnectCeilingMs: minutes(2),
  /** How long a last word may take to reach the hub, and a connection to close. */
  lastWordMs: 1_500,
  /** An agent that does not answer for so long is taken to have rebooted, not to start anew. */
  agentAwayMs: seconds(5),
  /** How long a connection may take to close in order. */
  closeMs: seconds(2),
  /** Before an agent ends with a fault, so that one that lasts does not become a storm of starts. */
  endPauseMs: seconds(3),
} as const

/** The hub: its fleet, its ports, its history. */
export const hubLimits = {
  devicesMax: 20_000,
  releasesMax: 10_000,
  /** Ended rollouts beyond this make room for new ones, oldest first. */
  rolloutsKeptMax: 1_000,
  /** Attempts of a device held in memory; older ones are in the database. */
  attemptsKept: 4,
  bootsKept: 8,
  /** Statuses and evidences of a device held in the database; more than an outbox can hold back. */
  statusesKept: 512,
  evidencesKept: 32,
  pruneEvery: 32,
  /** MQTT before and after authentication. */
  connectPacketBytesMax: 4 * KiB,
  unauthenticatedBytesMax: 16 * KiB,
  packetBytesMax: 256 * KiB,
  presenceBytesMax: KiB,
  topicLevelsMax: 16,
  connectionsMax: 16_384,
  /** Handshake and CONNECT together end within 10 s. */
  handshakeMs: seconds(5),
  connectMs: seconds(5),
  keepAliveSecondsMax: 300,
  doubleDeliveriesMax: 16,
  clientBacklogBytesMax: MiB,
  /** What all devices hear is handed to so many before other work gets its turn. */
  deliveriesAtOnce: 256,
  drainMs: seconds(10),
  /** Log lines of one kind of event. */
  eventsPerSecond: 20,
  /** HTTP. */
  requestBytesMax: MiB,
  headersMs: seconds(10),
  /** How often the server looks for connections that are over their time. */
  headersCheckMs: seconds(2),
  idleMs: minutes(1),
  blobStepBytes: 256 * KiB,
  uploadsMax: 2,
  uploadBytesMax: 2048 * GiB,
  pageMax: 1_000,
  /** SQLite: how long to wait for a lock. */
  busyMs: seconds(2),
  /** How long a stopping hub waits for its connections. */
  shutdownMs: seconds(5),
  /** The command line as a client of the hub. */
  answerMs: seconds(30),
  uploadAnswerMs: minutes(15),
  answerBytesMax: 64 * MiB,
  pollMs: 500,
  unreachableMs: minutes(1),
  rolloutWaitMs: minutes(60),
  /** Certificates: made anew when less than `renewBeforeMs` is left. */
  authorityMs: days(20 * 365),
  certificateMs: days(5 * 365),
  renewBeforeMs: days(365),
  /** Boards without a battery clock start years back; validity begins before them. */
  backdateMs: days(10 * 365),
} as const

/** Flashing a disk. */
export const flashLimits = {
  /** Written, read back and hashed at once. */
  chunkBytes: 4 * MiB,
  /** Progress: redrawn, and as lines where there is no terminal. */
  reportMs: 200,
  lineMs: seconds(10),
  /** Memory of `xz`; images packed by `xz -9` need 64 MiB. */
  xzMemoryBytesMax: GiB,
  ejectMs: seconds(30),
  /** How long after a failure the kernel may take to show that a disk was pulled out. */
  goneMs: seconds(1),
  /** Tables of partitions. */
  tableEntriesMax: 1_024,
  tableEntryBytesMax: 4 * KiB,
  logicalPartitionsMax: 128,
  /** What is kept of a packed image to find its FAT partition before it is written. */
  sampleHeadBytes: MiB,
  sampleSectorsMax: 8_192,
  /** The file for the first boot, and each file that goes into it. */
  firstBootBytesMax: 64 * KiB,
  sshKeysMax: 16,
  answerBytesMax: 256,
} as const

/** The demonstration. */
export const demoLimits = {
  /** One command, such as building a release. */
  commandMs: minutes(2),
  /** Waiting for something to happen on the board or at the hub. */
  waitMs: minutes(2),
  pollMs: 100,
  stopMs: seconds(10),
  linkBytesPerSecond: 12 * MiB,
  linkCutMs: seconds(1.5),
} as const

/** A serial console. */
export const consoleLimits = {
  baudDefault: 115_200,
  baudMin: 50,
  baudMax: 4_000_000,
  /** A longer line is cut here and goes on as another. */
  lineCharsMax: 4 * KiB,
  /** A control sequence of a terminal that has not ended by then was none. */
  escapeCharsMax: 256,
  /** A line without an end, such as a prompt, is looked at when the device was silent for so long. */
  quietMs: 100,
  /** How long a script waits in all unless told otherwise. */
  scriptMs: seconds(60),
  scriptSecondsMax: 604_800,
  stepsMax: 256,
  /** Lines that a failed script shows. */
  lastLines: 10,
  /** Typed or pasted, and not yet taken by the device; above this the terminal waits. */
  keysBytesMax: 16 * KiB,
  resetMs: 100,
  connectMs: seconds(5),
  closeMs: seconds(1),
} as const

/** What `everboot doctor` asks and wants. */
export const doctorLimits = {
  fileBytesMax: 64 * KiB,
  /** Answers of the hub and of the agent. */
  answerMs: seconds(5),
  /** Less free space than this is worth a word, or a problem. */
  diskLowBytes: 2 * GiB,
  diskFullBytes: 64 * MiB,
  dataLowBytes: 16 * MiB,
  dataFullBytes: MiB,
  /** No clock that is right shows a time before this one: 2025-01-01. */
  clockMsMin: 1_735_689_600_000,
  /** A clock this far from that of the hub is wrong. */
  clockApartMs: minutes(5),
} as const

/** The reports of a sweep. */
export const reportLimits = {
  /** Broken promises that the page lists; the rest are counted. */
  violationsShown: 100,
  /** A report in a terminal. */
  terminalLines: 40,
  terminalColumns: 80,
} as const

/** Sweeps and swarms. */
export const proofLimits = {
  pieces: 64,
  /** Two of them are a run of zeros. */
  piecesMin: 4,
  piecesMax: 4_096,
  /** A sweep is cut into more parts than there are workers. */
  partsPerWorker: 4,
  seedsMax: 1_000_000_000,
  seedsPerJob: 100,
  replayLines: 50,
  replayLinesMax: 100_000,
} as const
