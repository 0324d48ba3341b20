/**
 * Every limit by name: sizes, counts, deadlines. Bytes and milliseconds unless the name says otherwise.
 * Promise: no loop, queue, retry, buffer or wait in Everboot is without one of these.
 */
import { days, GiB, KiB, MiB, minutes, seconds } from './units.ts'

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

/** The slot and the boot partition. */
export const slotLimits = {
  sealAreaBytes: 64 * KiB,
  recordCopyBytes: 64 * KiB,
  stampBytes: 4 * KiB,
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
  progressMs: seconds(2),
  /** On links slower than this every piece is made durable at once. */
  slowLinkBytesPerSecond: 64 * KiB,
  reportMs: seconds(2),
} as const

/** The trial of a new system. */
export const trialLimits = {
  deadlineMs: minutes(5),
  networkDeadlineMs: minutes(15),
  rebootDelayMs: seconds(5),
  watchdogMs: seconds(60),
  petMs: seconds(5),
  hookMs: minutes(2),
  hookOutputBytesMax: 16 * KiB,
  checkMs: seconds(10),
  consoleTailBytesMax: 8 * KiB,
} as const

/** MQTT and the outbox. */
export const wireLimits = {
  messageBytesMax: 256 * KiB,
  textBytesMax: 4 * KiB,
  evidenceBytesMax: 32 * KiB,
  outboxMessagesMax: 256,
  /** A desired `seq` may lie at most this far ahead of the device's trusted time. */
  sequenceAheadMs: days(1),
  ackTimeoutMs: seconds(20),
  keepAliveSeconds: 30,
  reconnectBaseMs: seconds(1),
  reconnectCeilingMs: minutes(2),
} as const
