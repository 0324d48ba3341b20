/**
 * `everboot image`: builds, shows and checks releases.
 * Leaves to others: each command's own file under cli/.
 */
import type { Command } from '../core/command.ts'
import { build } from './cli/build.ts'
import { inspect } from './cli/inspect.ts'
import { verify } from './cli/verify.ts'

export const commands: readonly Command[] = [build, inspect, verify]
