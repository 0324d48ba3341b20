/**
 * `fw_printenv` and `fw_setenv` on the two copies of a boot record, as the docs tell people to call them.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { bootPartition } from '../../core/boot-record.ts'
import { slotLimits } from '../../core/limits.ts'
import { ensureHostTools } from '../../images/build/adapters/host-tools.ts'

const run = promisify(execFile)

export interface EnvironmentTools {
  /** @returns sorted lines */
  print(copy: 0 | 1): Promise<readonly string[]>
  /** An empty value takes the key away. */
  set(copy: 0 | 1, values: Readonly<Record<string, string>>): Promise<void>
}

/** @param partition file and where in it the boot partition starts */
export function environmentTools(
  partition: () => { readonly path: string; readonly offset: number },
): EnvironmentTools {
  const withConfig = async <T>(
    copy: 0 | 1,
    work: (tool: (name: string) => string, config: string, room: string) => Promise<T>,
  ): Promise<T> => {
    const room = await mkdtemp(join(tmpdir(), 'everboot-env-'))
    try {
      const printenv = (await ensureHostTools(['fw_printenv'], { install: true })).path('fw_printenv')
      const { path, offset } = partition()
      const config = join(room, 'fw.config')
      const [at, size] = [offset + bootPartition.copyOffsets[copy], slotLimits.recordCopyBytes]
      await writeFile(config, `${path} 0x${at.toString(16)} 0x${size.toString(16)}\n`)
      return await work((name) => printenv.replace(/fw_printenv$/, name), config, room)
    } finally {
      await rm(room, { recursive: true })
    }
  }
  return {
    print: (copy) =>
      withConfig(copy, async (tool, config) => {
        const { stdout } = await run(tool('fw_printenv'), ['-c', config])
        return stdout.trimEnd().split('\n').sort()
      }),
    set: (copy, values) =>
      withConfig(copy, async (tool, config, room) => {
        const script = join(room, 'script')
        const lines = Object.entries(values).map(([key, value]) => `${key}=${value}\n`)
        await writeFile(script, lines.join(''))
        await run(tool('fw_setenv'), ['-c', config, '-s', script])
      }),
  }
}
