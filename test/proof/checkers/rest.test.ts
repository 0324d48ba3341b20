/**
 * I13 and I17: coming to rest and staying small, and lies about it.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { wireLimits } from '../../../core/limits.ts'
import { type Cast, makeCast, name } from './story.ts'
import {
  openAttempt,
  releaseNamed,
  saveJournal,
  slotAs,
  statusOf,
  tell,
  updated,
  type Witness,
  witness,
  writeChanged,
} from './witness.ts'

let cast: Cast
beforeAll(async () => {
  cast = await makeCast()
})

const end = { kind: 'end', converged: true } as const

async function fromEnd(lie: (at: Witness) => Promise<unknown> | unknown): Promise<Witness> {
  const at = await witness(cast)
  await updated(at)
  await lie(at)
  tell(at, end)
  return at
}

describe('I13', () => {
  it('has nothing against a board at rest', async () => {
    expect((await fromEnd(() => {})).fired()).toEqual([])
  })

  it('fires when there was no rest', async () => {
    const at = await witness(cast)
    tell(at, { kind: 'end', converged: false })
    expect(at.fired()).toEqual(['I13'])
  })

  it('fires when the running system lacks tries, priority or its commit', async () => {
    const lies: readonly [string, (at: Witness) => Promise<void>][] = [
      ['runs with 7 tries', (at) => writeChanged(at, slotAs('b', true, 1, 7))],
      ['slot a comes first', (at) => writeChanged(at, (it) => ({ ...it, priority: 'a' }))],
      ['slot b runs and is not committed', (at) => writeChanged(at, slotAs('b', false, 1, 0))],
    ]
    for (const [what, lie] of lies) {
      const at = await fromEnd(lie)
      expect(at.fired(), what).toEqual(['I13'])
      expect(at.said('I13')).toContain(what)
    }
  })

  it('lets an uncommitted system rest where only it is left', async () => {
    const at = await fromEnd(async (it) => {
      it.observer.planted('rot', 'a')
      await writeChanged(it, slotAs('b', false, 1, 0))
    })
    expect(at.fired()).toEqual([])
  })

  it('fires when the journal has an open attempt or statuses left', async () => {
    const open = await fromEnd((at) =>
      saveJournal(at, { attempt: openAttempt(9, releaseNamed(at, 'good-2'), { target: 'a' }) }),
    )
    expect(open.fired()).toEqual(['I13'])
    const full = await fromEnd((at) => saveJournal(at, { outbox: [statusOf(at)] }))
    expect(full.fired()).toEqual(['I13'])
  })

  it('fires when no agent runs, or the hub knows the board otherwise', async () => {
    const dead = await fromEnd((at) => at.board.powerOff())
    expect(dead.fired()).toEqual(['I13'])
    for (const change of [{ state: 'DOWNLOADING' }, { slot: 'a' }] as const) {
      const at = await fromEnd(async (it) => {
        const status = statusOf(it, change)
        await it.world.hub().handle({ kind: 'status', device: name, status, atMs: 1 })
      })
      expect(at.fired()).toEqual(['I13'])
    }
  })

  it('fires when an attempt is open at the hub', async () => {
    const at = await witness(cast)
    at.board.behaves = () => 'hang'
    at.world.net.broker.setUp(false)
    await at.assign(releaseNamed(at, 'good-1'))
    tell(at, end)
    expect(at.fired()).toEqual(['I13', 'I18'])
    expect(at.said('I13')).toContain('is pending at the hub')
  })
})

describe('I17', () => {
  it('fires at one status more than an outbox may hold', async () => {
    for (const more of [0, 1]) {
      const at = await witness(cast)
      const status = statusOf(at)
      const count = wireLimits.outboxMessagesMax + more
      const outbox = Array.from({ length: count }, (_, index) => ({ ...status, seq: status.seq + index }))
      saveJournal(at, { outbox })
      expect(at.fired()).toEqual(more === 0 ? [] : ['I17'])
    }
  })

  it('fires at a file that grows without bound', async () => {
    const at = await witness(cast)
    await at.board.files.write('manifest.new', new Uint8Array(1024 * 1024))
    expect(at.fired()).toEqual([])
    await at.board.files.write('manifest.new', new Uint8Array(1024 * 1024 + 1))
    expect(at.fired()).toEqual(['I17'])
  })

  it('fires at operations without end in one boot', async () => {
    const at = await witness(cast)
    for (let count = 0; count < 5000 && at.fired().length === 0; count += 1) await at.board.bootDisk.flush()
    expect(at.fired()).toEqual(['I17'])
    expect(at.said('I17')).toContain('operations in 60 s of one boot')
  })

  it('fires at requests without end in one boot', async () => {
    const at = await witness(cast)
    for (let count = 0; count < 500; count += 1) await at.world.net.files.get({ url: 'https://hub/nothing' })
    await at.board.bootDisk.flush()
    expect(at.fired()).toEqual(['I17'])
  })

  it('fires at timers that pile up', async () => {
    const at = await witness(cast)
    for (let count = 0; count < 200; count += 1) at.world.time.clock.timer(86_400_000, () => {})
    tell(at, { kind: 'killed' })
    expect(at.fired()).toEqual(['I17'])
  })
})
