/**
 * Everything outside the program, as interfaces: time, chance, storage, network, the machine itself.
 * Promise: the same agent and hub core run on real adapters and under simulation, because nothing else
 * reaches out. After a simulated power cut a port never answers again: its promises stay pending.
 * Leaves to others: what the bytes mean. Failures are thrown as `EverbootError` by adapters.
 */
import type { Fault } from './errors.ts'
import type { Result } from './result.ts'
import type { SlotId } from './units.ts'

export interface Clock {
  /** Milliseconds since some fixed instant of this boot; never goes back. */
  monotonicMs(): number
  /** Milliseconds since 1970 as far as the machine knows; may be wrong and may jump. */
  wallMs(): number
  sleep(durationMs: number): Promise<void>
  /** Calls `fire` once after `durationMs`. @returns a function that cancels. */
  timer(durationMs: number, fire: () => void): () => void
}

/** Chance that need not be secret: jitter. */
export interface Random {
  uint32(): number
  /** A whole number, 0 ≤ n < limit ≤ 2^32. */
  below(limit: number): number
}

/** Chance that must be secret or unique: keys, ids. */
export interface Entropy {
  bytes(count: number): Uint8Array
}

/** Raw storage. Offsets and lengths are multiples of `sectorBytes`. */
export interface BlockDevice {
  readonly sizeBytes: number
  readonly sectorBytes: number
  /** A buffer that `read` and `write` take without a copy (aligned for O_DIRECT where that is used). */
  allocate(bytes: number): Uint8Array
  /** @returns bytes read, which may be fewer than asked for. */
  read(offset: number, into: Uint8Array): Promise<number>
  /** @returns bytes written, which may be fewer than given. */
  write(offset: number, bytes: Uint8Array): Promise<number>
  /** Returns when everything written so far is on the medium. */
  flush(): Promise<void>
  close(): Promise<void>
}

/** The block devices of a board. */
export interface Disks {
  /**
   * @param image name of the image inside the slot (a board may need several partitions a slot)
   * @param mode `exclusive` fails with EB-SLOT-BUSY when the slot is mounted or another program writes it; with
   *   `read` nothing can be written, but what others have written can be flushed
   */
  openSlot(slot: SlotId, image: string, mode: 'read' | 'exclusive'): Promise<BlockDevice>
  /** The raw partition of boot record and commit stamp. */
  openBoot(): Promise<BlockDevice>
  /** The FAT partition of autoboot.txt, on boards whose firmware reads one. */
  openAutoboot?(): Promise<BlockDevice>
}

/** A flat directory on the data partition. Nothing is durable before `syncFile` and, for names, `syncDir`. */
export interface FileStore {
  /** @returns null when there is no such file. */
  read(name: string): Promise<Uint8Array | null>
  /** Creates the file or replaces its content. */
  write(name: string, bytes: Uint8Array): Promise<void>
  rename(from: string, to: string): Promise<void>
  /** Removing a missing file is no failure. */
  remove(name: string): Promise<void>
  list(): Promise<readonly string[]>
  syncFile(name: string): Promise<void>
  syncDir(): Promise<void>
}

/** A file store for larger files: parts of them are read, and they grow at their end. */
export interface ClipFiles extends FileStore {
  /** Adds to the end of the file, which comes to be when it was not there. */
  append(name: string, bytes: Uint8Array): Promise<void>
  /** @returns bytes read, fewer only at the end of the file; null when there is no such file. */
  readAt(name: string, offset: number, into: Uint8Array): Promise<number | null>
  /** Room on the medium for somebody without privileges, in bytes. */
  freeBytes(): Promise<number>
}

/** One MQTT message. */
export interface LinkMessage {
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: 0 | 1
  readonly retain: boolean
}

export interface LinkListener {
  /** The connection stands; subscriptions have to be made again. */
  up(): void
  down(reason: Fault): void
  message(topic: string, payload: Uint8Array): void
}

/** The MQTT connection; reconnects by itself until closed. */
export interface Link {
  /** @param will is called for each connection, since each carries its own number. */
  open(listener: LinkListener, will: () => LinkMessage): void
  /** Resolves when the broker has taken the message; rejects when the connection is lost first. */
  publish(message: LinkMessage): Promise<void>
  subscribe(topics: readonly string[]): Promise<void>
  close(): Promise<void>
}

export interface FetchRequest {
  /** Absolute URL. */
  readonly url: string
  /** Asks for bytes start … endExclusive-1 of the file. */
  readonly range?: { readonly start: number; readonly endExclusive: number; readonly ifRange?: string }
}

export interface FetchResponse {
  readonly status: number
  /** As sent, quotes included; null when absent. */
  readonly etag: string | null
  /** Of a 206: the bytes the server says it sends; null when absent or malformed. */
  readonly contentRange: {
    readonly start: number
    readonly endExclusive: number
    readonly size: number
  } | null
  readonly contentLength: number | null
  /** Milliseconds of a Retry-After header, or null. */
  readonly retryAfterMs: number | null
  /** The next bytes of the body, null at its end. The buffer is the caller's. */
  read(): Promise<Uint8Array | null>
  /** Gives the rest up; safe to call at any time. */
  cancel(): void
}

/** HTTP GET without redirects, cookies or content encodings. Rejects with a coded error when no answer comes. */
export interface Fetch {
  get(request: FetchRequest): Promise<FetchResponse>
}

/** What the bootloader told the system that it started (kernel command line). */
export interface HandOver {
  readonly slot: SlotId
  /** Different for every boot. */
  readonly bootId: string
  /** `Clock.monotonicMs()` at the moment this boot began. */
  readonly bootMs: number
}

export interface ProgramResult {
  /** Exit status; null when a signal or the deadline ended it. */
  readonly status: number | null
  readonly timedOut: boolean
  /** Last bytes of its output, standard error included. */
  readonly output: string
}

/** Programs of the integrator that run at fixed points of an update. */
export type HookName = 'pre-install' | 'post-install' | 'pre-commit' | 'post-rollback'

/** What the firmware of a Raspberry Pi says of this boot. */
export interface FirmwareFacts {
  /** The one-shot flag was set. */
  readonly tryboot: boolean
  /** It started this partition. */
  readonly partition: number
}

/** The board itself. */
export interface Machine {
  handOver(): HandOver
  /** What the firmware says of this boot; null when it says nothing. Only on boards that are started by tryboot. */
  firmware?(): FirmwareFacts | null
  /** Ends this boot; never returns. @param how `trial`: the firmware is told to try the other partition, once */
  reboot(how?: 'trial'): Promise<never>
  /** Tells the watchdog that the system lives. */
  pet(): void
  /** Runs a custom check. */
  run(argv: readonly string[], deadlineMs: number): Promise<ProgramResult>
  /** Runs the hook of that name with these variables set. @returns null when the board has no such hook. */
  hook(
    name: HookName,
    environment: Readonly<Record<string, string>>,
    deadlineMs: number,
  ): Promise<ProgramResult | null>
  /** GET on a local service, by URL or Unix socket (`unix:/run/x.sock:/path`). @returns the HTTP status, null when it does not answer. */
  probe(target: string, deadlineMs: number): Promise<number | null>
  /** Hardware ids that this board answers to. */
  hardware(): readonly string[]
  /** The end of the console of the boot before this one, and the trace of the bootloader, where the board keeps them. */
  lastWords(): Promise<{
    readonly console: string | null
    readonly bootTrace: string | null
    /** What the kernel kept of a crash, newest first. */
    readonly crash?: string | null
  }>
  /** The hub has what the kernel kept, by the text of `lastWords`: it need not be kept any longer. */
  forgetCrash?(crash: string): Promise<void>
}

/** One sealed piece and everything needed to open and check it. */
export interface PieceTask {
  readonly suite: 'chacha20-poly1305' | 'aes-256-gcm' | 'aes-256-cbc'
  readonly compression: 'none' | 'zstd'
  /** 32 bytes. */
  readonly key: Uint8Array
  readonly pieceIndex: number
  /** Authenticated with the piece by the AEAD suites. */
  readonly aad: Uint8Array
  readonly sealed: Uint8Array
  readonly sealedSha256: Uint8Array
  readonly rawBytes: number
  readonly rawSha256: Uint8Array
}

/** Opens pieces: checks the ciphertext hash, opens, expands, checks the raw hash, in this order. */
export interface PieceCodec {
  open(task: PieceTask): Promise<Result<Uint8Array, Fault>>
}

/** Something worth a line in the log. Never holds a secret. */
export interface LogEvent {
  readonly event: string
  readonly [field: string]: string | number | boolean | null
}

export interface Events {
  emit(event: LogEvent): void
}
