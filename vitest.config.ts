/**
 * Test runner settings: the tests under `test/`, two files at a time, then those that start whole systems, then one
 * by one those that use every core; the last line says how many passed and failed.
 */
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

/** Boards, hubs, machines and packages as real processes. */
const whole = ['test/live/**/*.test.ts', 'test/bootloader-sim/emulator*.test.ts', 'test/package.test.ts']
/** These use every core themselves. */
const alone = ['test/proof/everyday.test.ts', 'test/canaries/canaries.test.ts']

export default defineConfig({
  test: {
    reporters: ['default', './test/reporter.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    env: {
      // The tests call system tools by name; a user's PATH often lacks these.
      PATH: `${process.env['PATH']}:/usr/local/sbin:/usr/sbin:/sbin`,
      // Programs start twice as fast when they find compiled code of an earlier one.
      NODE_COMPILE_CACHE: fileURLToPath(new URL('node_modules/.cache/everboot-tests', import.meta.url)),
    },
    projects: [
      {
        extends: true,
        test: {
          name: 'parts',
          include: ['test/**/*.test.ts'],
          exclude: [...whole, ...alone],
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'whole',
          include: whole,
          testTimeout: 300_000,
          hookTimeout: 300_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'alone',
          include: alone,
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 300_000,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
