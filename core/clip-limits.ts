/**
 * Limits of audio clips: one clip, the cache on a device, serving, the store of the hub.
 * Promise: as in limits.ts: bytes and milliseconds unless the name says otherwise.
 */
import { days, GiB, hours, KiB, MiB, minutes, seconds } from './units.ts'

/** One clip and the list of a skill. */
export const clipLimits = {
  /** A longer one is refused before a byte of it is kept. */
  clipBytesMax: 64 * MiB,
  /** Each piece has a hash of its own, so that a clip can be played while it comes. */
  pieceBytes: 64 * KiB,
  /** Memory for reading that is kept for the next time. */
  scratchBytes: 256 * KiB,
  durationMsMax: hours(4),
  channelsMax: 8,
  languageMax: 35,
  compressionLevelMax: 12,
  listBytesMax: 8 * MiB,
  listClipsMax: 10_000,
  skillsMax: 1_000,
  versionMax: 64,
} as const

/** Reading what a sound file is. */
export const audioLimits = {
  /** Tags before the sound, and zeros between them and it. */
  tagsMax: 8,
  tagPaddingBytesMax: 64 * KiB,
  /** Chunks of a WAV file, blocks of metadata before the sound of a FLAC file. */
  partsMax: 128,
  /** What is read of a file besides its sound: descriptions, pictures, what follows the sound. */
  headerBytesMax: MiB,
  /** A reader of headers that asks for parts of them more often than this goes round in circles. */
  headerReadsMax: 500_000,
  /** A claimed length may be off by so much, or by this share: encoders pad. */
  durationErrorMs: 100,
  durationErrorShare: 0.01,
  /** A claimed bit rate may be off by this share: encoders vary it, and headers count or not. */
  bitRateErrorShare: 0.15,
} as const

/** The cache of a device, unless its configuration says otherwise. */
export const cacheLimits = {
  bytes: 500_000_000,
  items: 1_000,
  /** What the memory of the agent takes: 60 MB of it (docs/guides/audio-clips.md). */
  itemsMax: 100_000,
  bytesMax: 1024 * GiB,
  ttlMs: hours(1),
  ttlMsMax: days(3650),
  /** Pinned clips may take this share of the bytes. */
  pinnedShare: 0.5,
  memoryBytes: 8 * MiB,
  memoryBytesMax: GiB,
  /** Larger clips go past the memory tier. */
  memoryClipShare: 0.25,
  /** Left free on the data partition for updates. */
  reserveBytes: 32 * MiB,
} as const

/** The index of the cache on the disk. */
export const indexLimits = {
  /** A frame of the index holds records up to this. */
  frameBytes: 64 * KiB,
  frameBytesMax: MiB,
  /** Records that belong together, and so to one frame. */
  recordsBytesMax: MiB - 4 * KiB,
  /** The index is written anew when it has this many frames that are no snapshot, and this share of records is void. */
  tailFramesMax: 8_192,
  tailBytesMin: 64 * KiB,
  /** Accesses are remembered in the index this often. */
  touchMs: minutes(5),
  /** For more changes at once it is written anew: they would not fit one frame. */
  changesMax: 4_096,
} as const

/** Serving clips on the device. */
export const servingLimits = {
  clientsMax: 64,
  requestBytesMax: 64 * KiB,
  /** Clips that are taken in at once: each is in memory whole. Others wait. */
  uploadsMax: 2,
  /** How long what a refused client still sends is taken and thrown away, so that it sees why. */
  lingerMs: seconds(2),
  /** Clips of one page of the list, unless asked for otherwise, and at most. */
  pageClips: 100,
  pageClipsMax: 1_000,
  /** A program that asks gives up when nothing comes for so long. */
  answerMs: minutes(2),
  /** Files that were read lately and stay open. */
  filesOpenMax: 32,
  /** A client that takes nothing for so long is let go. */
  idleMs: minutes(1),
  /** Fetches from the hub at once, and those that wait. */
  fetchesMax: 4,
  waitingMax: 1_024,
  fetchMs: seconds(30),
  fetchTries: 3,
  /** Of what is fetched ahead of need, what the hub could not give is tried so often, until it is announced anew. */
  prefetchRounds: 3,
  /** What the hub does not have is not asked for again for so long. */
  negativeMs: seconds(30),
  negativesMax: 10_000,
  /** After so many failures in a row the hub is left alone for a while. */
  breakerFailures: 5,
  breakerMs: seconds(30),
  /** Memory pressure is looked at this often. */
  pressureMs: seconds(5),
  /** Share of stalled time (PSI some avg10, percent) and of memory.max from which the memory tier shrinks. */
  pressurePercent: 10,
  pressureUse: 0.9,
  telemetryMs: minutes(1),
  /** A cache that could not be opened is tried again. */
  reopenMs: seconds(30),
  /** What clips give way when the agent's own files find the partition full, at least. */
  yieldBytes: MiB,
} as const

/** Clips at the hub. */
export const hubClipLimits = {
  /** Uploads and claims under way, of all devices and of one. */
  uploadsMax: 8,
  uploadsPerDeviceMax: 2,
  /** One upload; the longest clip takes this long at 37 KiB a second. */
  uploadMs: minutes(30),
  /** Asked whether they are there, in one request. */
  haveMax: 1_000,
  challengeMs: minutes(5),
  /** Used challenges that are remembered, of all devices and of one. */
  challengesMax: 10_000,
  challengesPerDeviceMax: 1_000,
  /** Clips that devices have stored: of one device, and of all. */
  ownClipsMax: 10_000,
  ownBytesMax: 16 * GiB,
  ownTotalMax: 500_000,
  /** Clips on the lists of all skills. */
  listedMax: 200_000,
  /** Clips leave so much of the disk free: the database of the hub must never find it full. */
  reserveBytes: 64 * MiB,
  /** A content that was sent and is used by nobody after so long is removed; how often that is looked for. */
  unusedMs: days(1),
  sweepMs: hours(1),
  removalsAtOnce: 4,
  telemetryKept: 1_440,
  /** How often what devices sent is written, and how many rows at once. */
  telemetryWriteMs: seconds(5),
  telemetryRows: 500,
  telemetryPage: 100,
  /** How long a bucket may take to answer, and to give or take the next bytes. */
  objectMs: seconds(30),
  /** A bucket that is busy, or closed an idle connection, is asked so often in all. */
  objectTries: 3,
  objectRetryMs: 200,
  objectConnections: 256,
  objectFaultBytesMax: 16 * KiB,
  /** Publishing a skill: its description, uploads at once, and how often it begins anew when contents went meanwhile. */
  skillFileBytesMax: 4 * MiB,
  uploadsAtOnce: 4,
  publishTries: 3,
} as const
