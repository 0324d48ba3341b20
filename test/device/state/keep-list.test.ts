/**
 * The list of what is kept: which names it keeps, what it refuses, and what becomes of newer defaults.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeKeepList,
  isMachineId,
  type KeepList,
  mergeDefaults,
  roomOf,
  standingOf,
} from '../../../device/state/keep-list.ts'

const names = [
  'machine-id',
  'ssh/ssh_host_*',
  'NetworkManager/system-connections',
  'systemd/network/*.network',
  'a*b*c',
]

describe('a name', () => {
  it.each([
    ['machine-id', 'kept'],
    ['machine-id.new', 'unlisted'],
    ['ssh', 'above'],
    ['ssh/ssh_host_rsa_key', 'kept'],
    ['ssh/sshd_config', 'unlisted'],
    ['NetworkManager', 'above'],
    ['NetworkManager/system-connections', 'kept'],
    ['NetworkManager/system-connections/home.nmconnection', 'kept'],
    ['NetworkManager/conf.d', 'unlisted'],
    ['systemd', 'above'],
    ['systemd/network', 'above'],
    ['systemd/network/10-eth.network', 'kept'],
    ['systemd/network/10-eth.link', 'unlisted'],
    ['aXbYc', 'kept'],
    ['abc', 'kept'],
    ['acb', 'unlisted'],
    ['ab', 'unlisted'],
    ['passwd', 'unlisted'],
  ])('%s is %s', (at, standing) => {
    expect(standingOf(names, at)).toBe(standing)
  })

  it('matches a pattern as a regular expression of the same meaning does', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 6, minLength: 1 })
    const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 8, minLength: 1 })
    fc.assert(
      fc.property(word, text, (pattern, at) => {
        const means = new RegExp(`^${pattern.replaceAll('*', '[^/]*')}$`)
        expect(standingOf([pattern], at) === 'kept').toBe(means.test(at))
      }),
      { numRuns: 2_000 },
    )
  })
})

const good = {
  v: 1 as const,
  data: '/data/everboot/kept',
  keep: [{ directory: '/etc', names: ['machine-id'] }],
}
const decoded = (change: object) =>
  decodeKeepList(Buffer.from(JSON.stringify({ ...good, ...change })), 'state.json')

describe('the list', () => {
  it('is read with its defaults', () => {
    expect(decoded({})).toEqual({ ok: true, value: { ...good, fresh: [], make: [] } satisfies KeepList })
  })

  it.each([
    [{ v: 2 }, 'v is wrong'],
    [{ more: 1 }, 'more'],
    [{ data: 'data' }, 'data is wrong'],
    [{ data: '/etc/kept' }, 'data lies below /etc'],
    [{ keep: [] }, 'keep is wrong'],
    [{ keep: [{ directory: '/', names: ['x'] }] }, 'keep.0.directory'],
    [{ keep: [{ directory: '/etc/../var', names: ['x'] }] }, 'keep.0.directory'],
    [{ keep: [{ directory: '/etc,upperdir=x', names: ['x'] }] }, 'keep.0.directory'],
    [{ keep: [{ directory: '/etc', names: [] }] }, 'keep.0.names'],
    [{ keep: [{ directory: '/etc', names: ['../passwd'] }] }, 'keep.0.names.0'],
    [{ keep: [{ directory: '/etc', names: ['/x'] }] }, 'keep.0.names.0'],
    [{ keep: [...good.keep, ...good.keep] }, 'listed twice'],
    [{ keep: [...good.keep, { directory: '/etc/ssh', names: ['x'] }] }, '/etc/ssh lies in another'],
  ])('with %j is refused', (change, what) => {
    expect(decoded(change)).toMatchObject({
      ok: false,
      error: { code: 'EB-CONFIG', what: expect.stringContaining(what) },
    })
  })

  it('that is no JSON is refused', () => {
    expect(decodeKeepList(Buffer.from('{'), 'state.json')).toMatchObject({
      ok: false,
      error: { code: 'EB-CONFIG' },
    })
  })

  it('gives every directory a room of its own', () => {
    const segment = fc.stringMatching(/^[a-z-]{1,4}$/)
    const path = fc.array(segment, { minLength: 1, maxLength: 3 }).map((it) => `/${it.join('/')}`)
    expect(roomOf('/var/lib')).toBe('var-lib')
    fc.assert(
      fc.property(path, path, (one, other) => {
        // A dash beside a slash is the one thing that could be read in two ways.
        fc.pre(one !== other && !/-\/|\/-/.test(one + other))
        expect(roomOf(one)).not.toBe(roomOf(other))
      }),
    )
  })
})

describe('a newer default of a kept file', () => {
  const none = { made: {}, last: {} }
  const hostname = '/etc/hostname'

  it('is told of as long as the device keeps its own version', () => {
    // Boot of A: nothing is changed yet. Then the device makes its own version, and B is booted.
    const a = mergeDefaults(none, [], { [hostname]: 'aa', '/etc/hosts': 'cc' })
    expect(a.newer).toEqual([])
    const b = mergeDefaults(a.notes, [hostname], { [hostname]: 'bb', '/etc/hosts': 'cc' })
    expect(b.newer).toEqual([hostname])
    expect(mergeDefaults(b.notes, [hostname], { [hostname]: 'bb' }).newer).toEqual([hostname])
    // The other slot again.
    expect(mergeDefaults(b.notes, [hostname], { [hostname]: 'aa' }).newer).toEqual([])
    // The device has no version any more.
    expect(mergeDefaults(b.notes, [], { [hostname]: 'bb' })).toMatchObject({ newer: [], notes: { made: {} } })
  })

  it('is none for a file that no release brings, or that this one no longer brings', () => {
    const a = mergeDefaults(none, ['/etc/machine-id'], {})
    expect(a).toEqual({ notes: { made: {}, last: {} }, newer: [] })
    const b = mergeDefaults({ made: { [hostname]: 'aa' }, last: { [hostname]: 'aa' } }, [hostname], {})
    expect(b.newer).toEqual([])
    // It is remembered for a release that brings it again.
    expect(mergeDefaults(b.notes, [hostname], { [hostname]: 'bb' }).newer).toEqual([hostname])
  })
})

it('a machine id is 32 hex digits that are not all zero', () => {
  for (const it of ['0123456789abcdef0123456789abcdef\n', 'f'.repeat(32)]) expect(isMachineId(it)).toBe(true)
  for (const it of [
    '',
    'uninitialized\n',
    '0'.repeat(32),
    'F'.repeat(32),
    'f'.repeat(31),
    `${'f'.repeat(32)}\n\n`,
  ]) {
    expect(isMachineId(it), it).toBe(false)
  }
})
