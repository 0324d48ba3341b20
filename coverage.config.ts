/**
 * Coverage of the modules that decide what boots and what the hub believes about it: `make coverage`.
 * Promise: ends with an error when one branch, function or line of one of them is not run by the tests
 * named here, or when a file named here is not there any more. Only these tests count: what a whole system
 * happens to run on its way says nothing about a branch.
 */
import { existsSync } from 'node:fs'
import { defineConfig } from 'vitest/config'

const modules = [
  // What a loader believes and does.
  'core/block-io.ts',
  'core/boot-count.ts',
  'core/boot-partition.ts',
  'core/boot-record.ts',
  'core/commit-stamp.ts',
  'core/environment-block.ts',
  'core/fat-file.ts',
  'bootloader-sim/decide.ts',
  'bootloader-sim/tryboot/firmware.ts',
  'bootloader-sim/tryboot/initramfs.ts',
  // What an agent writes for it and remembers.
  'images/release/seal.ts',
  'images/release/slot-layout.ts',
  'images/release/slot-writer.ts',
  'device/boot/tryboot-rules.ts',
  'device/slots/read-ahead.ts',
  'device/slots/slot-writer.ts',
  'device/slots/slot.ts',
  'device/update/journal.ts',
  // What the hub makes of a status.
  'core/wire/messages.ts',
  'hub/clips/arrival.ts',
  'hub/clips/contents.ts',
  'hub/core/core.ts',
  'hub/core/reduce.ts',
  'hub/core/status.ts',
  'hub/fleet/devices.ts',
  'hub/fleet/drift.ts',
  'hub/fleet/presence.ts',
  'hub/fleet/tokens.ts',
  'hub/rollouts/machine.ts',
  'hub/skills/publication.ts',
]

const tests = [
  'test/core/block-io.test.ts',
  'test/core/boot-count.test.ts',
  'test/core/boot-partition.test.ts',
  'test/core/boot-record.test.ts',
  'test/core/environment-block.test.ts',
  'test/core/fat-file.test.ts',
  'test/core/wire.test.ts',
  'test/bootloader-sim/decide.test.ts',
  'test/bootloader-sim/tryboot/tables.test.ts',
  'test/images/seal.test.ts',
  'test/images/slot-writer.test.ts',
  'test/device/boot/tryboot-rules.test.ts',
  'test/device/slots/slot-writer.test.ts',
  'test/device/slots/slot.test.ts',
  'test/device/update/journal.test.ts',
  'test/hub/clips/contents.test.ts',
  'test/hub/core/core.test.ts',
  'test/hub/core/status.test.ts',
  'test/hub/fleet/devices.test.ts',
  'test/hub/fleet/presence.test.ts',
  'test/hub/fleet/tokens.test.ts',
  'test/hub/rollouts/machine.test.ts',
  'test/hub/skills/skills.test.ts',
]

const gone = [...modules, ...tests].filter((it) => !existsSync(it))
if (gone.length > 0) throw new Error(`coverage.config.ts names files that are not there: ${gone.join(', ')}`)

export default defineConfig({
  test: {
    include: tests,
    maxWorkers: 2,
    // No module holds state, so the files of one worker need no world of their own.
    isolate: false,
    testTimeout: 60_000,
    coverage: {
      enabled: true,
      provider: 'v8',
      include: modules,
      reporter: [['text', { skipFull: true }]],
      thresholds: { perFile: true, branches: 100, functions: 100, lines: 100, statements: 100 },
    },
  },
})
