/**
 * For `node --import`: plants the bug that the environment variable EVERBOOT_PLANT names; without the
 * variable nothing. `EVERBOOT_PLANT='skip the slot flush' node --import ./test/canaries/plant.ts PROGRAM`.
 * Promise: an unknown name ends the process at once. Works in programs that Node loads itself, not under a
 * test runner that loads modules in its own way; worker threads inherit it with `execArgv`.
 * Leaves to others: the bugs (plants.ts), how they get into the code (planting.ts).
 */
import { plantBug } from './planting.ts'
import { plantNamed } from './plants.ts'

const name = process.env['EVERBOOT_PLANT']
if (name !== undefined && name !== '') plantBug(plantNamed(name))
