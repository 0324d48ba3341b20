/**
 * Who says "not now": files of a directory, one for each, by anybody who may write there.
 * Promise: any file holds, whatever it says; one of ours says why, what and until when. A directory that is not
 * there holds nothing. In /run it is empty after a reboot; a restart of the agent changes nothing.
 * Leaves to others: what is held (update/inhibit.ts).
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { raise } from '../../core/errors.ts'
import type { Events } from '../../core/ports.ts'
import { inhibitLimits } from '../../core/service-limits.ts'
import { safeName } from '../../core/units.ts'
import type { Inhibitors } from '../update/hold.ts'
import type { Inhibitor } from '../update/inhibit.ts'

const lease = v.object({
  why: v.pipe(v.string(), v.maxLength(inhibitLimits.whyMax)),
  step: v.picklist(['start', 'activate']),
  /** Milliseconds of this boot. */
  untilMs: v.nullable(v.pipe(v.number(), v.safeInteger())),
})

/** @param fallback what a file holds that does not say */
export function inhibitFiles(
  directory: string,
  fallback: Inhibitor['step'],
  events: Events,
  nowMs: () => number,
): Inhibitors {
  const names = async (): Promise<readonly string[]> => {
    const all = await readdir(directory).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'ENOENT')
        events.emit({ event: 'inhibitors not read', what: `${directory}: ${cause.code}` })
      return []
    })
    return all.filter((it) => !it.startsWith('.')).slice(0, inhibitLimits.holdersMax)
  }
  const read = async (who: string): Promise<Inhibitor> => {
    const bytes = await readFile(join(directory, who)).catch(() => Buffer.alloc(0))
    const text = bytes.subarray(0, inhibitLimits.fileBytesMax).toString('utf8')
    const parsed = v.safeParse(lease, parseOr(text))
    if (parsed.success) return { who, ...parsed.output }
    const [line = ''] = text.split('\n')
    const why = line.replace(/[^\x20-\x7e]/g, '?').slice(0, inhibitLimits.whyMax)
    return { who, why: why === '' ? 'it does not say why' : why, step: fallback, untilMs: null }
  }
  return {
    list: async () => Promise.all((await names()).map(read)),
    async hold({ who, ...it }) {
      if (!safeName.test(who)) raise('EB-USAGE', `${JSON.stringify(who)} is not a safe name`)
      const known = await Promise.all((await names()).map(read))
      // A lease that is over gives way.
      for (const old of known) {
        if (old.untilMs !== null && old.untilMs <= nowMs())
          await rm(join(directory, old.who), { force: true })
      }
      const now = await names()
      if (!now.includes(who) && now.length >= inhibitLimits.holdersMax) {
        raise('EB-LIMIT', `${now.length} hold updates up already`)
      }
      try {
        await mkdir(directory, { recursive: true, mode: 0o755 })
        await writeFile(join(directory, `.${who}`), `${JSON.stringify(it)}\n`, { mode: 0o644 })
        await rename(join(directory, `.${who}`), join(directory, who))
      } catch (cause) {
        raise('EB-FILE', `${directory} cannot be written (${(cause as NodeJS.ErrnoException).code})`, {
          cause,
        })
      }
    },
    async release(who) {
      if (!safeName.test(who)) raise('EB-USAGE', `${JSON.stringify(who)} is not a safe name`)
      const held = (await names()).includes(who)
      await rm(join(directory, who), { force: true })
      return held
    },
  }
}

function parseOr(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
