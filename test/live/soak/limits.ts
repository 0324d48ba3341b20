/**
 * Limits of the soak: how long it waits for what must come about, how hard and how often it strikes.
 * Generous where the product is waited for: the machine may be slow, and a deadline that passes is a violation.
 */
import { MiB, minutes, seconds } from '../../../core/units.ts'

export const soakLimits = {
  pollMs: 100,
  minutesDefault: 5,
  minutesMax: 10_000,
  /** From the last blow until the attempt is decided, told, and the board at rest. */
  restMs: minutes(5),
  /** From power-on until the board is at rest. */
  bootMs: minutes(3),
  hubReadyMs: minutes(1),
  /** How long a program that was told to end may take. */
  stopMs: seconds(20),
  /** Until nothing of a board that is off is left in the kernel. */
  goneMs: seconds(20),
  /** An answer of the hub, while it is killed now and then. */
  answerMs: minutes(2),
  /** How long an order waits for a board that has just been switched on to listen. */
  orderMs: seconds(30),
  lineMs: minutes(1),
  /** Lines of the console that a violation shows. */
  linesShown: 40,
  linkBytesPerSecond: 10 * MiB,
  fillerBytes: 16 * MiB,
  imageBytes: 176 * MiB,
  compareBytes: MiB,
  watchdogMs: seconds(10),
  /** Deadline of a trial: for releases that must pass, and for those that must fail. */
  healthMs: minutes(1),
  sickHealthMs: seconds(6),
  networkMs: minutes(4),
  rebootMs: 500,
  /** An MQTT packet: what the wire allows, and its head. */
  packetBytesMax: 300 * 1024,
} as const
