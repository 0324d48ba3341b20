/**
 * Planted bugs in how the boot record is written, and in how the loader counts by it.
 */
import type { Plant } from './planted.ts'

const partition = 'core/boot-partition.ts'

export const recordPlants: readonly Plant[] = [
  {
    name: 'skip the record flush',
    from: 'faults',
    edits: [
      {
        file: partition,
        find: `  await writeWhole(device, offset, aligned, what, 'EB-RECORD')
  await flushed(device, what)
`,
        replace: `  await writeWhole(device, offset, aligned, what, 'EB-RECORD')
`,
      },
      {
        file: 'device/boot/boot-control.ts',
        find: `    } finally {
      await device.close()
`,
        replace: `    } finally {
      await device.flush()
      await device.close()
`,
      },
    ],
    how: 'Only the agent still flushes, once, when it lets the partition go. A trial that hangs: each reset drops the try that the loader took, and the trial never ends; a cut between two copies may lose both writes.',
  },
  {
    name: 'overwrite the newer record copy',
    from: 'faults',
    edits: [
      {
        file: partition,
        find: `  const target = before.current === 0 ? 1 : 0
`,
        replace: `  const target = before.current ?? 0
`,
      },
    ],
    how: 'Any story: the newest copy is bad (at rest, or after a cut right behind its write; a torn write does not do it, since the record fits one sector): the other copy is stale for ever or was never written, everything is put on trial again, and what was armed or proved is reported as failed.',
  },
  {
    name: 'single record copy',
    from: 'faults',
    edits: [
      {
        file: 'core/boot-record.ts',
        find: '  copyOffsets: [0, MiB] as readonly [number, number],',
        replace: '  copyOffsets: [0, 0] as readonly [number, number],',
      },
    ],
    how: 'Any story: one copy is bad (at rest, or after a cut right behind its write; a torn write does not do it, since the record fits one sector): the whole record is lost, everything is put on trial again, and what was armed or proved is reported as failed.',
  },
  {
    name: 'accept a short read',
    from: 'faults',
    edits: [
      {
        file: 'core/block-io.ts',
        find: 'device.read(at, part)',
        replace: 'device.read(at, part).then(() => part.length)',
      },
    ],
    how: 'Any story: a device that gives fewer sectors than asked for, as it may: copies, seals and images that are whole look damaged, and with reads that are always short no slot boots.',
  },
  {
    name: 'sv kept while writing',
    from: 'boot',
    edits: [
      {
        file: 'device/update/boot-rules.ts',
        find: 'return withSlot(record, spare, { ok: false, sv: 0, tries: 0 })',
        replace: 'return withSlot(record, spare, { ...record[spare], ok: false, tries: 0 })',
      },
    ],
    how: 'Second of two good updates: a cut after the journal says arming and before the record is armed; the start takes the old version number for a trial that came to nothing and reports a failure of what was never tried.',
  },
  {
    name: 'un-ok spare left selectable',
    from: 'boot',
    edits: [
      {
        file: 'device/update/boot-rules.ts',
        find: 'return { ...withoutUnprovenTries(mine, otherSlot(own)), priority: own }',
        replace: 'return { ...mine, priority: own }',
      },
    ],
    how: 'Both slots hold a release and both copies of the record are lost: both are put on trial, one commits, and at rest the record still gives tries to a slot that was never proved.',
  },
  {
    name: 're-arm only the committed slot',
    from: 'boot',
    edits: [
      {
        file: 'bootloader-sim/decide.ts',
        find: 'if (verdict?.verified !== true) return before',
        replace: 'if (verdict?.verified !== true || !before.ok) return before',
      },
    ],
    how: 'Sick or hanging trial that was given up; then the committed slot rots: the other one is complete and sealed, and nothing boots.',
  },
  {
    name: 'priority left on an exhausted trial',
    from: 'boot',
    edits: [
      {
        file: 'bootloader-sim/decide.ts',
        find: `  const rescue = slotIds.find((slot) => verified(known, slot) && record[slot].ok)
  const priority = record[record.priority].ok ? record.priority : (rescue ?? record.priority)
  return { ...record, a: slotAfter('a'), b: slotAfter('b'), priority }
`,
        replace: `  return { ...record, a: slotAfter('a'), b: slotAfter('b') }
`,
      },
    ],
    how: 'Trial that hangs three times, then eight power cuts of the committed slot before its agent has closed the attempt (or both counters garbage at 0): the re-armed record starts the given-up trial a fourth time, before the committed slot.',
  },
]
