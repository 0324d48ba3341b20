/**
 * The access list of the broker.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { deviceTopics } from '../../../core/wire/topics.ts'
import { mayLeaveWill, mayPublish, maySubscribe } from '../../../hub/broker/acl.ts'

const packetOn = (topic: string, retain = false, payloadBytes = 10) => ({ topic, retain, payloadBytes })

describe('the access list', () => {
  it('gives each topic of a device one direction', () => {
    for (const kind of deviceTopics) {
      const topic = `eb/1/d/dev1/${kind}`
      const publishes = 'kind' in mayPublish('dev1', packetOn(topic))
      expect([kind, publishes, maySubscribe('dev1', topic)]).toEqual([
        kind,
        ['status', 'presence', 'telemetry'].includes(kind),
        ['desired', 'ack', 'cmd'].includes(kind),
      ])
    }
  })

  it('keeps other devices, wildcards and everything else out', () => {
    const exact = fc
      .tuple(
        fc.constantFrom('eb', 'EB', '', '$SYS'),
        fc.constantFrom('1', '2', '+'),
        fc.constantFrom('d', 'skills', '#', '+'),
        fc.constantFrom('dev1', 'dev2', 'dev11', 'dev', '+', '#', ''),
        fc.constantFrom(...deviceTopics, '+', '#', ''),
      )
      .map((parts) => parts.join('/'))
    const any = fc.array(fc.constantFrom('eb', '1', 'd', 'dev1', '+', '#', ''), { maxLength: 7 })
    fc.assert(
      fc.property(
        fc.oneof(
          exact,
          any.map((parts) => parts.join('/')),
        ),
        (topic) => {
          if (/^eb\/1\/d\/dev1\/[a-z]+$/.test(topic)) return
          expect(mayPublish('dev1', packetOn(topic))).toHaveProperty('refused')
          expect(maySubscribe('dev1', topic)).toBe(false)
          expect(mayLeaveWill('dev1', topic)).toBe(false)
        },
      ),
      { numRuns: 5_000 },
    )
    for (const kind of deviceTopics) {
      expect(mayPublish('dev1', packetOn(`eb/1/d/dev2/${kind}`))).toHaveProperty('refused')
      expect(maySubscribe('dev1', `eb/1/d/dev2/${kind}`)).toBe(false)
    }
  })

  it('lets every device hear of skills, all or one, and say nothing there', () => {
    for (const filter of ['eb/1/skills/+', 'eb/1/skills/weather', 'eb/1/skills/dev2']) {
      expect(maySubscribe('dev1', filter)).toBe(true)
      expect(mayPublish('dev1', packetOn(filter))).toHaveProperty('refused')
      expect(mayPublish('dev1', packetOn(filter, true))).toHaveProperty('refused')
      expect(mayLeaveWill('dev1', filter)).toBe(false)
    }
    const part = fc.constantFrom('eb', '1', 'skills', 's', '+', '#', '', '..', '$share')
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
        const filter = parts.join('/')
        expect(maySubscribe('dev1', filter)).toBe(/^eb\/1\/skills\/(\+|eb|1|skills|s)$/.test(filter))
      }),
      { numRuns: 5_000 },
    )
    for (const filter of [
      'eb/1/skills/..',
      'eb/1/skills/',
      'eb/1/skills',
      'eb/1/skills/a/+',
      'eb/1/skills/#',
    ]) {
      expect(maySubscribe('dev1', filter)).toBe(false)
    }
  })

  it('lets presence be retained, if it is short, and nothing else', () => {
    expect(mayPublish('dev1', packetOn('eb/1/d/dev1/presence', true))).toMatchObject({ kind: 'presence' })
    expect(mayPublish('dev1', packetOn('eb/1/d/dev1/presence', true, 5_000))).toHaveProperty('refused')
    expect(mayPublish('dev1', packetOn('eb/1/d/dev1/status', true))).toHaveProperty('refused')
  })

  it('lets a will speak of the own presence only', () => {
    expect(mayLeaveWill('dev1', 'eb/1/d/dev1/presence')).toBe(true)
    for (const topic of ['eb/1/d/dev1/status', 'eb/1/d/dev2/presence', 'eb/1/d/+/presence']) {
      expect(mayLeaveWill('dev1', topic)).toBe(false)
    }
  })
})
