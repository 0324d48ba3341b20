/** Where a file lies in an ext4 image inside a disk file; nothing is mounted. */
import { raise } from '../../../core/errors.ts'
import { ensureHostTools } from '../../../images/build/adapters/host-tools.ts'
import { runTool } from '../../../images/build/adapters/run-tool.ts'

/** @returns number of the first block of `path`, of 4096 bytes each, from `offset`. @throws EverbootError EB-IMAGE */
export async function blockOfFile(disk: string, offset: number, path: string): Promise<number> {
  const tools = await ensureHostTools(['debugfs'], { install: true })
  const { output } = await runTool(
    tools.path('debugfs'),
    ['-R', `blocks ${path}`, `${disk}?offset=${offset}`],
    {},
  )
  const [first = ''] = output.trim().split(/\s+/)
  if (!/^[1-9]\d*$/.test(first)) raise('EB-IMAGE', `the slot has no ${path} with a block of its own`)
  return Number(first)
}
