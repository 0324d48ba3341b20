/**
 * The checks of a board with an agent: configuration, hand-over, boot record, slots, watchdog, data, agent, hub.
 * Leaves to others: the facts (facts.ts), what every machine is asked (machine-checks.ts).
 */
import { recordText } from '../core/boot-partition.ts'
import type { RecordCopies } from '../core/boot-record.ts'
import type { CommitStamp } from '../core/commit-stamp.ts'
import { doctorLimits } from '../core/limits.ts'
import { bytesText, type SlotId, slotIds } from '../core/units.ts'
import { attention, type Check, checkFound, good, problem } from './check.ts'
import type { BoardFacts, BoardParts, HubAnswer, MachineFacts, SlotFacts, Space } from './facts.ts'

export function boardChecks(board: BoardFacts, { pi }: Pick<MachineFacts, 'pi'>): readonly Check[] {
  const { path, config, parts } = board
  const config1 = checkFound('config', path, config, (it) => good('config', `${path}: product ${it.product}`))
  if (parts === null) return [config1]
  const { handOver, record, slots, data, agent } = parts
  const running = handOver.kind === 'found' ? handOver.value.slot : null
  return [
    config1,
    checkFound('boot', 'the hand-over', handOver, (it) =>
      good('boot', `slot ${it.slot} runs, boot ${it.bootId}`),
    ),
    checkFound('record', 'the boot partition', record, (it) => recordCheck(it.copies, it.stamp)),
    ...slotIds.map((slot) =>
      slotCheck(
        slots.filter((it) => it.slot === slot),
        slot,
        running,
      ),
    ),
    ...sameSizes(slots),
    watchdogCheck(parts, pi !== null),
    checkFound('data', 'the data directory', data, dataCheck),
    checkFound('agent', 'the agent', agent, (it) => good('agent', it)),
    ...hubChecks(parts),
  ]
}

function recordCheck(both: RecordCopies, stamp: CommitStamp | null): Check {
  const [first, second] = both.copies
  const newest = both.current === 1 ? second : first
  if (newest === null) {
    const todo = 'reboot: the bootloader writes a new one and tries what verifies'
    return problem('record', 'both copies of the boot record are bad', todo)
  }
  if (first === null || second === null) {
    const found = `copy ${first === null ? 1 : 2} of the boot record is bad, the other one counts`
    return attention('record', found, 'nothing, if it was cut during a write; else check the storage medium')
  }
  if (stamp === null) {
    const todo = 'nothing: the agent writes it again while a healthy committed system runs'
    return attention('record', 'the commit stamp is bad; both copies of the record are good', todo)
  }
  return good('record', `${recordText(newest)}; stamp floor=${stamp.floor} priority=${stamp.priority}`)
}

/** @param running null when nobody said which slot runs */
function slotCheck(parts: readonly SlotFacts[], slot: SlotId, running: SlotId | null): Check {
  const name = `slot ${slot}`
  for (const { partition, device, bytes, mounted } of parts) {
    const check = checkFound(name, device, bytes, () => good(name, partition))
    if (check.state !== 'ok') return check
    if (mounted && running !== null && running !== slot) {
      const found = `${device} (${partition}) is mounted, though the slot does not run`
      return problem(name, found, `umount ${device}, and take it out of /etc/fstab`)
    }
  }
  const list = parts.map((it) => `${it.device} ${it.bytes.kind === 'found' ? bytesText(it.bytes.value) : ''}`)
  const use = running === null ? '' : running === slot ? 'running: ' : 'spare: '
  return good(name, `${use}${list.join(', ')}`)
}

/** What fits one slot should fit the other. */
function sameSizes(slots: readonly SlotFacts[]): readonly Check[] {
  return slots
    .filter((it) => it.slot === 'a')
    .flatMap((a) => {
      const b = slots.find((it) => it.slot === 'b' && it.partition === a.partition)
      if (b === undefined || a.bytes.kind !== 'found' || b.bytes.kind !== 'found') return []
      if (a.bytes.value === b.bytes.value) return []
      const found = `${a.partition} has ${bytesText(a.bytes.value)} in slot a and ${bytesText(b.bytes.value)} in slot b`
      return [attention('sizes', found, 'build releases that fit the smaller one, or lay the disk out anew')]
    })
}

function watchdogCheck({ watchdog }: BoardParts, pi: boolean): Check {
  if (watchdog === null) {
    const todo = 'name the device as watchdog in the configuration, if the board has one'
    return attention('watchdog', 'none is configured: a system that hangs waits for a person', todo)
  }
  const check = checkFound('watchdog', 'the watchdog', watchdog, (it) => good('watchdog', it))
  if (check.state !== 'problem') return check
  const todo = pi
    ? 'put dtparam=watchdog=on into config.txt'
    : 'load its driver, or correct watchdog in the configuration'
  return { ...check, todo }
}

function dataCheck({ place, freeBytes }: Space): Check {
  const found = `${place} has ${bytesText(freeBytes)} free`
  const todo = 'free space on the data partition'
  if (freeBytes < doctorLimits.dataFullBytes) return problem('data', found, todo)
  return freeBytes < doctorLimits.dataLowBytes ? attention('data', found, todo) : good('data', found)
}

function hubChecks({ identity, hub }: BoardParts): readonly Check[] {
  const who = checkFound('identity', 'the identity', identity, ({ deviceId, mode }) => {
    if ((mode & 0o077) === 0) return good('identity', `this is ${deviceId}`)
    const found = `this is ${deviceId}; others may read its token (mode ${mode.toString(8)})`
    return attention('identity', found, 'set the mode of the identity file to 600')
  })
  if (hub === null) return [who]
  const { http, mqtt } = hub
  return [
    who,
    checkFound('hub', 'the hub', http, hubCheck),
    checkFound('broker', 'the broker', mqtt, (it) => good('broker', `${it} answers`)),
  ]
}

function hubCheck({ address, status }: HubAnswer): Check {
  if (status === 401 || status === 403) {
    const todo = 'add the device to the hub again (everboot devices add) and give it the new identity'
    return problem('hub', `${address} refuses the token of this device`, todo)
  }
  if (status < 500) return good('hub', `${address} answers`)
  return problem('hub', `${address} answers with status ${status}`, 'look at the log of the hub')
}
