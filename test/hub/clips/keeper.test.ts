/**
 * The keeper of contents over a store in memory that fails, waits and forgets when told to: what comes back while
 * it is removed stays, what fails leaves nothing.
 */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hubClipLimits } from '../../../core/clip-limits.ts'
import { EverbootError } from '../../../core/errors.ts'
import type { Digest } from '../../../core/units.ts'
import { contentOf } from './contents.ts'
import { keeperWorld } from './keeper-world.ts'

const settle = () => new Promise((resolve) => setImmediate(resolve))

const one = Buffer.from('the first content')
const two = Buffer.from('the second')
const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'ok',
    (caught) => (caught instanceof EverbootError ? caught.fault.code : String(caught)),
  )

describe('taking a content', () => {
  it('puts it once, however often and by whomever it comes, and says who was first', async () => {
    const it1 = await keeperWorld()
    const answers = await Promise.all([
      it1.take(one, ['dev1', 'a']),
      it1.take(one, ['dev2', 'b']),
      it1.take(one),
    ])
    expect([answers.filter((it) => it).length, it1.log, it1.received.size]).toEqual([
      1,
      [`put ${contentOf(one).sha256.slice(0, 4)}`],
      0,
    ])
    expect(it1.core.state().clips.ownCount).toBe(2)
  })

  it('puts it again when the store has lost it', async () => {
    const { take, objects } = await keeperWorld()
    await take(one)
    objects.clear()
    expect(await take(one)).toBe(false)
    expect(objects.size).toBe(1)
  })

  it('that cannot be put fails and leaves nothing, and succeeds when it is sent again', async () => {
    const { take, gates, stateOf, objects, received, core } = await keeperWorld()
    gates.fail = 'put'
    expect(await codeOf(take(one, ['dev1', 'a']))).toBe('EB-BUCKET')
    await settle()
    expect([stateOf(one), objects.size, received.size, core.state().clips.ownCount]).toEqual([
      'unknown',
      0,
      0,
      0,
    ])
    gates.fail = null
    expect(await take(one, ['dev1', 'a'])).toBe(true)
  })

  it('for a device that may not store more is refused before a byte is read', async () => {
    const { keeper } = await keeperWorld()
    let read = 0
    async function* body(): AsyncGenerator<Uint8Array, void, void> {
      read += 1
      yield one
    }
    const wanted = { sha256: contentOf(one).sha256, bytes: hubClipLimits.ownBytesMax + 1 }
    expect(await codeOf(keeper.take(body(), wanted, { device: 'dev1', clip: 'a' }))).toBe('EB-LIMIT')
    expect(await codeOf(keeper.take(body(), wanted, { device: 'dev9', clip: 'a' }))).toBe('EB-NOT-FOUND')
    expect(read).toBe(0)
  })

  it('gives its place back whatever happens', async () => {
    const { take, gates } = await keeperWorld()
    gates.fail = 'put'
    for (let round = 0; round < 2 * hubClipLimits.uploadsMax; round += 1) {
      expect(await codeOf(take(one, ['dev1', 'a']))).toBe('EB-BUCKET')
    }
    gates.fail = null
    const hold = Promise.withResolvers<void>()
    gates.put = hold.promise
    const all = [take(one, ['dev1', 'a']), take(two, ['dev1', 'b'])]
    await settle()
    expect(await codeOf(take(one, ['dev1', 'c']))).toBe('EB-LIMIT')
    hold.resolve()
    expect(await Promise.all(all)).toEqual([true, true])
    expect(await take(one, ['dev1', 'c'])).toBe(false)
  })
})

describe('a content that nobody refers to', () => {
  it('is removed from the store and then forgotten', async () => {
    const { take, forget, stateOf, objects, tables } = await keeperWorld()
    await take(one, ['dev1', 'a'])
    await forget('dev1', 'a')
    await expect.poll(() => stateOf(one)).toBe('unknown')
    expect([objects.size, tables.contents.size]).toEqual([0, 0])
  })

  it('that comes back while it is being removed is there in the end', async () => {
    const { take, forget, stateOf, objects, gates, log } = await keeperWorld()
    await take(one, ['dev1', 'a'])
    const hold = Promise.withResolvers<void>()
    gates.remove = hold.promise
    await forget('dev1', 'a')
    await settle()
    const back = take(one, ['dev2', 'x'])
    await settle()
    expect(stateOf(one)).toBe('leaving')
    hold.resolve()
    expect(await back).toBe(true)
    await settle()
    expect([stateOf(one), objects.get(contentOf(one).sha256)]).toEqual(['here', one])
    const name = contentOf(one).sha256.slice(0, 4)
    expect(log.filter((it) => it.endsWith(name))).toEqual([`put ${name}`, `remove ${name}`, `put ${name}`])
  })

  it('that comes back while its removal waits for its place is not removed', async () => {
    const { take, forget, stateOf, objects, gates } = await keeperWorld()
    const others = Array.from({ length: hubClipLimits.removalsAtOnce }, (_, at) => Buffer.from(`other ${at}`))
    for (const [at, it] of others.entries()) await take(it, ['dev1', `o${at}`])
    await take(one, ['dev1', 'a'])
    const hold = Promise.withResolvers<void>()
    gates.remove = hold.promise
    for (const at of others.keys()) await forget('dev1', `o${at}`)
    await forget('dev1', 'a')
    await settle()
    expect(await take(one, ['dev2', 'x'])).toBe(true)
    hold.resolve()
    await expect.poll(() => others.map(stateOf)).toEqual(others.map(() => 'unknown'))
    await settle()
    expect([stateOf(one), [...objects.keys()]]).toEqual(['here', [contentOf(one).sha256]])
  })

  it('that cannot be removed is told of, and removed by the next sweep', async () => {
    const { take, forget, stateOf, gates, events, keeper, objects } = await keeperWorld()
    await take(one, ['dev1', 'a'])
    gates.fail = 'remove'
    await forget('dev1', 'a')
    await expect.poll(() => events.map((it) => it.event)).toContain('content-not-removed')
    expect([stateOf(one), objects.size]).toEqual(['leaving', 1])
    gates.fail = null
    await keeper.sweep()
    await expect.poll(() => stateOf(one)).toBe('unknown')
    expect(objects.size).toBe(0)
  })

  it('and many others are removed a few at a time, and closing waits for those under way only', async () => {
    const { take, keeper, clock, gates, log, core } = await keeperWorld()
    const count = 4 * hubClipLimits.removalsAtOnce
    for (let at = 0; at < count; at += 1) await take(Buffer.from(`content ${at}`))
    clock.nowMs += 2 * hubClipLimits.unusedMs
    const hold = Promise.withResolvers<void>()
    gates.remove = hold.promise
    await keeper.sweep()
    await settle()
    const closing = keeper.close()
    hold.resolve()
    await closing
    expect(log.filter((it) => it.startsWith('remove'))).toHaveLength(hubClipLimits.removalsAtOnce)
    expect(core.state().clips.contents.size).toBe(count - hubClipLimits.removalsAtOnce)
  })
})

describe('a hub that was killed', () => {
  it('between putting and committing leaves no content after its next start', async () => {
    const first = await keeperWorld()
    const hold = Promise.withResolvers<void>()
    first.gates.put = hold.promise
    void first.take(one, ['dev1', 'a'])
    await expect.poll(() => first.tables.contents.size).toBe(1)
    // The bytes lie there, the row says `coming`: the process is gone.
    const second = await keeperWorld(first.tables, new Map([[contentOf(one).sha256, one]]))
    await second.keeper.sweep()
    await expect.poll(() => second.stateOf(one)).toBe('unknown')
    expect([second.objects.size, second.tables.contents.size, second.core.state().clips.ownCount]).toEqual([
      0, 0, 0,
    ])
  })
})

describe('a claim', () => {
  it('with the right proof gives the device its clip, without sending a byte', async () => {
    const { take, claim, core, log } = await keeperWorld()
    await take(one, ['dev1', 'a'])
    await claim('dev2', 'mine', one)
    expect(core.state().clips.own.get('dev2')?.get('mine')).toMatchObject({ bytes: one.length })
    expect(log.at(-1)).toBe('close')
  })

  it('is refused without the content, with a used challenge, or with any other proof, which uses it up', async () => {
    const { take, claim, challenges, core } = await keeperWorld()
    await take(one, ['dev1', 'a'])
    expect(await codeOf(claim('dev2', 'x', two))).toBe('EB-NOT-FOUND')
    const challenge = challenges.issue('dev2', contentOf(one).sha256)
    expect(await codeOf(claim('dev2', 'x', one, { challenge, proof: Buffer.alloc(32) }))).toBe('EB-BLOB')
    expect(await codeOf(claim('dev2', 'x', one, { challenge }))).toBe('EB-CONFLICT')
    expect(await codeOf(claim('dev2', 'x', one, { proof: createHash('sha256').update(one).digest() }))).toBe(
      'EB-BLOB',
    )
    expect(await codeOf(claim('dev2', 'x', one, { proof: Buffer.alloc(5) }))).toBe('EB-BLOB')
    expect(core.state().clips.own.get('dev2')).toBeUndefined()
  })

  it('of a content that the store lost or damaged is refused, and it may be sent again', async () => {
    for (const damage of ['lost', 'another content', 'the furst content']) {
      const it1 = await keeperWorld()
      await it1.take(one, ['dev1', 'a'])
      const { sha256 } = contentOf(one)
      if (damage === 'lost') it1.objects.delete(sha256)
      else it1.objects.set(sha256, Buffer.from(damage))
      expect(await codeOf(it1.claim('dev2', 'x', one))).toBe('EB-NOT-FOUND')
      await expect.poll(() => it1.stateOf(one)).toBe('unknown')
      expect(it1.events.map((it) => it.event)).toContain('content-lost')
      expect(await it1.take(one, ['dev2', 'x'])).toBe(true)
      expect(it1.objects.get(sha256)).toEqual(one)
    }
  })
})

describe('opening', () => {
  it('gives a range, and notes what the store has lost', async () => {
    const { take, keeper, core, objects, stateOf } = await keeperWorld()
    await take(one)
    const content = core.state().clips.contents.get(contentOf(one).sha256)
    if (content === undefined) throw new Error('no content')
    const stream = await keeper.open(content, 4, 9)
    expect([String(await stream?.read()), String(await stream?.read()), await stream?.read()]).toEqual([
      'fir',
      'st',
      null,
    ])
    objects.clear()
    expect(await keeper.open(content, 0, 5)).toBeNull()
    await expect.poll(() => stateOf(one)).toBe('unknown')
  })

  it('does not take a content for lost that was replaced meanwhile', async () => {
    const { take, keeper, core, objects, stateOf } = await keeperWorld()
    await take(one)
    const content = core.state().clips.contents.get(contentOf(one).sha256)
    if (content === undefined) throw new Error('no content')
    objects.clear()
    const [opened] = await Promise.all([keeper.open(content, 0, 5), take(one)])
    expect(opened).toBeNull()
    await settle()
    expect([stateOf(one), objects.get(content.sha256)]).toEqual(['here', one])
  })
})

describe('any work at once', () => {
  it('ends with a store that holds exactly what the hub says is there, and all that is referred to', async () => {
    const bodies = [one, two, Buffer.from('three')]
    const step = fc.oneof(
      fc.record({
        do: fc.constant('take' as const),
        body: fc.constantFrom(...bodies),
        device: fc.constantFrom('dev1', 'dev2'),
        clip: fc.constantFrom('a', 'b'),
      }),
      fc.record({
        do: fc.constant('forget' as const),
        device: fc.constantFrom('dev1', 'dev2'),
        clip: fc.constantFrom('a', 'b'),
      }),
      fc.record({
        do: fc.constant('claim' as const),
        body: fc.constantFrom(...bodies),
        device: fc.constantFrom('dev1', 'dev2'),
        clip: fc.constantFrom('a', 'b'),
      }),
      fc.record({ do: fc.constant('wait' as const) }),
      fc.record({ do: fc.constant('fail' as const), what: fc.constantFrom('put', 'remove', null) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const it1 = await keeperWorld()
        const all: Promise<unknown>[] = []
        for (const it of steps) {
          if (it.do === 'wait') await settle()
          else if (it.do === 'fail') it1.gates.fail = it.what
          else if (it.do === 'take') all.push(codeOf(it1.take(it.body, [it.device, it.clip])))
          else if (it.do === 'claim') all.push(codeOf(it1.claim(it.device, it.clip, it.body)))
          else all.push(it1.forget(it.device, it.clip))
        }
        await Promise.all(all)
        it1.gates.fail = null
        await settle()
        await it1.keeper.sweep()
        await it1.keeper.close()
        const { contents, own } = it1.core.state().clips
        const present = contents.values().map((it) => [it.sha256, it.state])
        expect([...it1.objects.keys()].sort().map((it) => [it, 'here'])).toEqual(present)
        for (const clips of own.values()) {
          for (const { sha256 } of clips.values()) expect(it1.objects.has(sha256 as Digest)).toBe(true)
        }
      }),
      { numRuns: 300 },
    )
  })
})
