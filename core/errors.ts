/**
 * Every error code that Everboot shows, with what it means, what to do and the exit status of a command
 * that ends with it. `docs/ERRORS.md` is printed from this table and a test compares the two.
 * Leaves to others: the particulars of one failure, which `fault()` adds.
 */

import { clipErrors } from './clip-errors.ts'
import { diskErrors } from './disk-errors.ts'
import { machineErrors } from './machine-errors.ts'

/** Exit statuses of the command line, by family. 0 is success. */
export const exitStatus = {
  internal: 1,
  usage: 2,
  refused: 3,
  network: 4,
  storage: 5,
  updateFailed: 6,
  environment: 7,
} as const
type Family = keyof typeof exitStatus

interface ErrorEntry {
  readonly family: Family
  /** What the code means, for the reference. */
  readonly means: string
  /** What the reader can do about it; the second half of the message. */
  readonly todo: string
}

const entry = (family: Family, means: string, todo: string): ErrorEntry => ({ family, means, todo })

export const errorTable = {
  // The command line, configuration and the machine it runs on.
  'EB-USAGE': entry('usage', 'The command line is not understood.', 'see --help'),
  'EB-CONFIG': entry(
    'usage',
    'A configuration file has an unknown key, a wrong type or a missing value.',
    'correct the named key',
  ),
  'EB-FILE': entry(
    'storage',
    'A file cannot be read or written.',
    'check the path, its permissions and free space',
  ),
  'EB-TOOL-MISSING': entry(
    'environment',
    'A system tool is not installed.',
    'install the named Debian package',
  ),
  'EB-TOOL-FAILED': entry('environment', 'A system tool ended with an error.', 'look at its message'),
  'EB-NO-BOARD': entry(
    'environment',
    'The directory holds no emulated board, or the board is not running.',
    'create it with everboot emulator create, start it with everboot emulator run',
  ),
  'EB-BOARD-RUNNING': entry(
    'environment',
    'The emulated board of this directory is running already.',
    'stop the other one first',
  ),
  'EB-NOT-ROOT': entry('environment', 'The operation needs root.', 'run it as root'),
  'EB-NO-LOOP': entry(
    'environment',
    'No loop device can be had.',
    'run with --plain, or as root on a host with loop devices',
  ),
  'EB-PORT-IN-USE': entry(
    'environment',
    'Another program listens on the port.',
    'choose another port or stop that program',
  ),
  'EB-INTERNAL': entry('internal', 'A bug in Everboot.', 'report it with the printed trace'),

  // Keys, signatures and releases: what is refused.
  'EB-KEY': entry(
    'refused',
    'A key file is missing, damaged, of the wrong kind or readable by others.',
    'restore the key or its mode 0600',
  ),
  'EB-ENVELOPE': entry(
    'refused',
    'Signed metadata is malformed or not in canonical form.',
    'fetch or build it again',
  ),
  'EB-SIGNATURE': entry(
    'refused',
    'A signature does not match.',
    'use a release signed by a trusted key; the file may be damaged',
  ),
  'EB-UNKNOWN-KEY': entry(
    'refused',
    'No trusted key made any of the signatures.',
    'sign with a key that the device trusts',
  ),
  'EB-THRESHOLD': entry(
    'refused',
    'Fewer distinct trusted keys signed than are required.',
    'collect the missing signatures',
  ),
  'EB-MANIFEST': entry(
    'refused',
    'A signed manifest does not have the form this version reads.',
    'build the release with a matching version',
  ),
  'EB-ENDLESS': entry(
    'refused',
    'A file is longer than its limit or its signed length.',
    'fetch it from an honest source',
  ),
  'EB-INDEX': entry(
    'refused',
    'An index page does not match the hash in the manifest or cannot be opened.',
    'fetch it again; build the release again if it persists',
  ),
  'EB-PIECE': entry(
    'refused',
    'A piece does not match its hash or cannot be opened.',
    'fetch it again; build the release again if it persists',
  ),
  'EB-BLOB': entry(
    'refused',
    'A blob does not match the hash or length in the manifest.',
    'fetch or build the release again',
  ),
  'EB-CONTAINER': entry(
    'refused',
    'A release file is truncated, extended or otherwise malformed.',
    'copy or build it again',
  ),
  'EB-SEAL': entry(
    'refused',
    'A slot seal is missing, damaged or signed by an unknown seal key.',
    'install the release again',
  ),
  'EB-READBACK': entry(
    'storage',
    'What the slot holds after writing is not what was written.',
    'check the storage medium, then retry',
  ),
  'EB-IMAGE': entry(
    'refused',
    'An input image or directory cannot be used.',
    'give an image of a known form',
  ),
  'EB-WRONG-DEVICE': entry(
    'refused',
    'The release has no content key for this device.',
    'publish key wraps for the device',
  ),

  // The plan: refused before the first byte.
  'EB-WRONG-HARDWARE': entry(
    'refused',
    'The release is for other hardware.',
    'assign a release whose hardware ids name this board',
  ),
  'EB-WRONG-PRODUCT': entry(
    'refused',
    'The release is of another product.',
    "assign a release of this device's product",
  ),
  'EB-ROLLBACK': entry(
    'refused',
    'The release is below the security floor of the device.',
    'build a release with a higher security version',
  ),
  'EB-TOO-LARGE': entry(
    'refused',
    'The image does not fit the slot.',
    'build a smaller image or lay out larger slots',
  ),
  'EB-TRIAL-OPEN': entry('refused', 'Another system is still on trial.', 'wait for its verdict, then retry'),
  'EB-SPARE-NEEDED': entry(
    'refused',
    'The spare slot is the only good one and must not be written.',
    'let the device boot it, then retry',
  ),
  'EB-BUSY': entry('refused', 'Another update attempt is under way.', 'wait until it has ended, then retry'),
  'EB-SEQUENCE': entry(
    'refused',
    'The assignment number lies too far ahead of the time known to the device.',
    'correct the clock of the hub',
  ),
  'EB-WRONG-SLOT': entry(
    'refused',
    'The other slot holds no intact system to return to.',
    'install a release',
  ),
  'EB-UNSUPPORTED': entry(
    'refused',
    'The release uses a form that this version does not know.',
    'update the device agent first',
  ),

  // The network.
  'EB-HUB-UNREACHABLE': entry(
    'network',
    'The hub does not answer.',
    'check the network and the address of the hub',
  ),
  'EB-TLS': entry(
    'network',
    'The certificate of the server is not signed by the pinned CA.',
    'give the device the CA certificate of this hub',
  ),
  'EB-AUTH': entry('network', 'The hub refuses the credentials.', 'give a valid token'),
  'EB-HTTP-STATUS': entry(
    'network',
    'The server answers with an unexpected status.',
    'check that the release is still published',
  ),
  'EB-RANGE': entry(
    'network',
    'The server answers a range request with other bytes than asked for.',
    'serve the release from a server that supports ranges',
  ),
  'EB-CHANGED': entry(
    'network',
    'The file on the server changed during the download.',
    'publish each release under its own id',
  ),
  'EB-SLOW': entry(
    'network',
    'The server sends less than the least accepted rate.',
    'the device retries later; check the link',
  ),
  'EB-TIMEOUT': entry('network', 'No answer within the time limit.', 'check the peer, then retry'),
  'EB-MESSAGE': entry('network', 'A message does not have the agreed form.', 'update the sender'),

  // Storage of the device.
  'EB-SLOT-MISSING': entry(
    'storage',
    'The block device of a slot does not exist.',
    'correct the slot path in the configuration',
  ),
  'EB-SLOT-READ-ONLY': entry(
    'storage',
    'The block device of the spare slot is read-only.',
    'make the partition writable',
  ),
  'EB-SLOT-BUSY': entry(
    'storage',
    'The spare slot is mounted or in use.',
    'unmount it; the spare must not be used while the system runs',
  ),
  'EB-SLOT-IO': entry('storage', 'Reading or writing a slot failed.', 'check the storage medium'),
  'EB-DATA-FULL': entry('storage', 'The data partition is full.', 'free space on it'),
  'EB-DATA-IO': entry('storage', 'The data partition cannot be read or written.', 'check the storage medium'),
  'EB-JOURNAL': entry(
    'storage',
    'The journal was damaged and has been started anew.',
    'nothing; the boot record decides what is true',
  ),
  'EB-AGENT-RUNNING': entry('environment', 'Another agent runs on this board.', 'stop the other agent first'),
  'EB-NO-AGENT': entry(
    'environment',
    'No agent answers on the socket.',
    'start the agent or correct --socket',
  ),

  ...clipErrors,
  ...diskErrors,
  ...machineErrors,

  // Boot and trial.
  'EB-RECORD': entry(
    'storage',
    'The boot record cannot be read or written.',
    'check the boot partition; the bootloader rebuilds a lost record',
  ),
  'EB-SCENARIO': entry('usage', 'A scenario file is not understood.', 'see docs/TESTING.md for its words'),
  'EB-NO-SLOT': entry('updateFailed', 'No slot verifies.', 'flash the board'),
  'EB-FELL-BACK': entry(
    'updateFailed',
    'The board runs the other slot than the one it should.',
    'create a new rollout for the device, see its evidence',
  ),
  'EB-NO-VERDICT': entry(
    'updateFailed',
    'The new system never reported health in any of its tries.',
    'look at the console tail in the evidence',
  ),
  'EB-HEALTH': entry(
    'updateFailed',
    'A health check of the new system failed.',
    'look at the failing check in the evidence',
  ),
  'EB-HEALTH-NETWORK': entry(
    'updateFailed',
    'The new system could not reach the hub in time.',
    'check the network configuration of the release',
  ),
  'EB-HOOK': entry('updateFailed', 'A hook failed or took too long.', 'look at the output of the hook'),
  'EB-CANCELLED': entry(
    'updateFailed',
    'The attempt was withdrawn.',
    'create a new rollout if it is still wanted',
  ),
  'EB-DEADLINE': entry(
    'updateFailed',
    'The rollout did not end in time.',
    'look at the devices that are not done',
  ),

  // The hub.
  'EB-NOT-FOUND': entry('refused', 'The hub knows no such thing.', 'check the id'),
  'EB-CONFLICT': entry('refused', 'Something else of that id exists.', 'choose another id or version'),
  'EB-LIMIT': entry('refused', 'A limit was reached.', 'see docs/PROTOCOL.md for the limits'),
  'EB-DATABASE': entry(
    'storage',
    'The database of the hub cannot be opened, read or written.',
    'check the data directory; only one hub may use it',
  ),
} as const satisfies Record<string, ErrorEntry>

export type ErrorCode = keyof typeof errorTable

/** One failure: a code of the table, what happened here, what to do. Never holds a secret. */
export interface Fault {
  readonly code: ErrorCode
  /** Names the thing, what was expected and what was found. */
  readonly what: string
  readonly todo: string
}

/** Makes a fault. @param what names the thing, expected and actual value; @param todo replaces the table's advice. */
export function fault(code: ErrorCode, what: string, todo?: string): Fault {
  return { code, what, todo: todo ?? errorTable[code].todo }
}

/** A fault as people see it: `EB-…: what; what to do`. */
export function faultText(it: Fault): string {
  return `${it.code}: ${it.what}; ${it.todo}`
}

export function exitStatusOf(code: ErrorCode): number {
  return exitStatus[errorTable[code].family]
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorTable, text)
}

/** What adapters and commands throw; translated to a `Fault` once, at the edge. */
export class EverbootError extends Error {
  override readonly name = 'EverbootError'
  readonly fault: Fault

  constructor(it: Fault, options?: ErrorOptions) {
    super(faultText(it), options)
    this.fault = it
  }
}

/** Short for `throw new EverbootError(fault(…))`. @throws EverbootError always. */
export function raise(
  code: ErrorCode,
  what: string,
  options: { todo?: string; cause?: unknown } = {},
): never {
  throw new EverbootError(fault(code, what, options.todo), { cause: options.cause })
}

/** The value of a result. @throws EverbootError the fault of a failed one. */
export function orThrow<T>(
  result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: Fault },
): T {
  if (result.ok) return result.value
  throw new EverbootError(result.error)
}

/** The fault inside a caught value; anything else is a bug and becomes `EB-INTERNAL`. */
export function faultOf(caught: unknown): Fault {
  if (caught instanceof EverbootError) return caught.fault
  // No bug, wherever it comes from.
  if (isFull(caught)) return fault('EB-DISK-FULL', caught.message)
  return fault('EB-INTERNAL', caught instanceof Error ? `${caught.name}: ${caught.message}` : String(caught))
}

function isFull(caught: unknown): caught is Error {
  return caught instanceof Error && 'code' in caught && (caught.code === 'ENOSPC' || caught.code === 'EDQUOT')
}
