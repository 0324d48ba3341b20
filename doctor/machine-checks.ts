/**
 * The checks of any machine: user, Node, loop devices, tools, space, clock, Raspberry Pi.
 * Leaves to others: the facts (facts.ts), what a board adds (board-checks.ts).
 */
import { doctorLimits } from '../core/limits.ts'
import { bytesText } from '../core/units.ts'
import { boardChecks } from './board-checks.ts'
import { attention, type Check, good, problem } from './check.ts'
import type { MachineFacts, PiFacts, Space } from './facts.ts'
import { tools } from './tools.ts'

const nodeMajorMin = 24
/** Bit 2 of `capabilities` in the device tree (Raspberry Pi documentation, BCM2711 and BCM2712 properties). */
const trybootAB = 4

/** Every check that applies, in the order in which they are shown. */
export function machineChecks(facts: MachineFacts): readonly Check[] {
  const { board, pi } = facts
  // A board runs releases; a workstation makes them.
  const workstation = board === null ? [loopCheck(facts), toolsCheck(facts)] : []
  return [
    systemCheck(facts),
    nodeCheck(facts),
    rootCheck(facts),
    ...workstation,
    ...facts.space.map(spaceCheck),
    clockCheck(facts),
    ...(pi === null ? [] : piChecks(pi, board !== null)),
    ...(board === null ? [] : boardChecks(board, facts)),
  ]
}

/** A machine without a problem. */
export function isWell(checks: readonly Check[]): boolean {
  return checks.every((it) => it.state !== 'problem')
}

function systemCheck({ system }: MachineFacts): Check {
  if (/^linux (x64|arm64)$/.test(system)) return good('system', system)
  const todo = 'use Linux on x86-64 or 64-bit ARM'
  return problem('system', `${system}, where agent and emulated board do not run`, todo)
}

function nodeCheck({ node }: MachineFacts): Check {
  const major = Number(node.split('.')[0])
  if (major >= nodeMajorMin) return good('node', node)
  return problem('node', `${node} is too old`, `install Node ${nodeMajorMin} or newer`)
}

function rootCheck({ root, board }: MachineFacts): Check {
  if (root) return good('root', 'this is root')
  if (board !== null)
    return attention('root', 'this is not root', 'run everboot doctor as root to see everything')
  return attention(
    'root',
    'this is not root: the emulated board runs without loop devices and mounts',
    'run as root what writes to disks or should use loop devices',
  )
}

function loopCheck({ loop }: MachineFacts): Check {
  if (loop === 'usable') return good('loop', 'loop devices can be had')
  if (loop === 'denied') {
    return attention('loop', 'this user must not make loop devices', 'run as root, or with --plain')
  }
  return attention(
    'loop',
    'there is no /dev/loop-control',
    'modprobe loop, or run the emulated board with --plain',
  )
}

function toolsCheck(facts: MachineFacts): Check {
  const missing = tools.filter((it) => !facts.tools.includes(it.name))
  if (missing.length === 0) return good('tools', `all ${tools.length} are there`)
  const list = missing.map((it) => `${it.name.split('/').at(-1)} (${it.use})`).join(', ')
  const packages = [...new Set(missing.map((it) => it.package))].join(' ')
  return attention('tools', `missing: ${list}`, `apt-get install ${packages}`)
}

function spaceCheck({ place, freeBytes }: Space): Check {
  const found = `${place} has ${bytesText(freeBytes)} free`
  const todo = `free space on ${place}`
  if (freeBytes < doctorLimits.diskFullBytes) return problem('space', found, todo)
  return freeBytes < doctorLimits.diskLowBytes ? attention('space', found, todo) : good('space', found)
}

/** The hub's clock is the better witness, where it can be asked. */
function clockCheck({ wallMs, wallText, board }: MachineFacts): Check {
  const todo = 'set the clock, and keep it right by NTP (systemd-timesyncd or chrony)'
  if (wallMs < doctorLimits.clockMsMin) return problem('clock', `it shows ${wallText}, long ago`, todo)
  const answer = board?.parts?.hub?.http
  const hubMs = answer?.kind === 'found' ? answer.value.wallMs : null
  if (hubMs === null) return good('clock', wallText)
  const apartMs = wallMs - hubMs
  if (Math.abs(apartMs) <= doctorLimits.clockApartMs) return good('clock', `${wallText}, as at the hub`)
  const apart = `${Math.round(Math.abs(apartMs) / 60_000)} minutes ${apartMs > 0 ? 'ahead of' : 'behind'} the hub`
  return attention('clock', `${wallText}, ${apart}`, todo)
}

function piChecks(pi: PiFacts, laidOut: boolean): readonly Check[] {
  const bootloader = bootloaderCheck(pi)
  if (laidOut) return [bootloader]
  const found = `this ${pi.model} is not laid out for A/B updates`
  const todo = 'it cannot be changed in place: flash a disk made for A/B, and move your data there'
  return [bootloader, attention('layout', found, todo)]
}

function bootloaderCheck({ model, bootloader }: PiFacts): Check {
  const update = 'update the EEPROM: rpi-eeprom-update -a, then reboot'
  if (bootloader === null || bootloader.capabilities === null) {
    const todo = `on a Raspberry Pi 4 or 5 ${update}; older models need newer firmware on the boot partition`
    return attention('bootloader', `${model}: the bootloader does not say what it can do`, todo)
  }
  const { built, capabilities, tryboot, partition } = bootloader
  const of = built === null ? '' : ` of ${built}`
  if ((capabilities & trybootAB) === 0) {
    return problem('bootloader', `${model}: the bootloader${of} is too old for A/B by tryboot`, update)
  }
  const from = partition === null ? '' : `, booted from partition ${partition}`
  return good('bootloader', `${model}: A/B by tryboot${of}${from}${tryboot === 1 ? ', on trial' : ''}`)
}
