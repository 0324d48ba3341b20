/**
 * Health as a verdict, and the checks behind it.
 */
import { describe, expect, it } from 'vitest'
import type { Machine, ProgramResult } from '../../../core/ports.ts'
import { runChecks } from '../../../device/health/checks.ts'
import { type HealthFacts, verdictOn } from '../../../device/health/verdict.ts'
import type { Seal } from '../../../images/release/seal.ts'

const limits = { deadlineMs: 300, networkDeadlineMs: 900 }
const passed = { name: 'service', passed: true, output: '' }
const failing = { name: 'service', passed: false, output: 'answers 503' }

const base: HealthFacts = {
  elapsedMs: 0,
  checks: [passed],
  hubHeard: false,
  hubNeeded: true,
  hubHeardBefore: true,
  hindrance: null,
}
const kind = (change: Partial<HealthFacts>): string => verdictOn({ ...base, ...change }, limits).kind

describe('the verdict', () => {
  it('is healthy at once when all checks pass and the hub has answered or is not needed', () => {
    expect(kind({ hubHeard: true })).toBe('healthy')
    expect(kind({ hubNeeded: false })).toBe('healthy')
    expect(kind({ checks: [], hubNeeded: false })).toBe('healthy')
  })

  it('waits for a failing check until the deadline, then names the first that fails', () => {
    const checks = [passed, failing, { ...failing, name: 'later' }]
    expect(kind({ checks, elapsedMs: 299 })).toBe('wait')
    for (const hubHeard of [true, false]) {
      expect(verdictOn({ ...base, checks, hubHeard, elapsedMs: 300 }, limits)).toEqual({
        kind: 'unhealthy',
        code: 'EB-HEALTH',
        check: failing,
      })
    }
  })

  it('waits for the hub up to its own deadline, when it was heard before', () => {
    expect(kind({ elapsedMs: 899 })).toBe('wait')
    expect(verdictOn({ ...base, elapsedMs: 900 }, limits)).toMatchObject({
      kind: 'unhealthy',
      code: 'EB-HEALTH-NETWORK',
      check: { name: 'hub' },
    })
    const found = verdictOn({ ...base, elapsedMs: 900, hindrance: 'journal: ENOSPC' }, limits)
    expect(found.kind === 'unhealthy' && found.check.output).toContain('journal: ENOSPC')
  })

  it('waits only up to the first deadline for a hub that was not heard before, and holds nothing against it', () => {
    expect(kind({ hubHeardBefore: false, elapsedMs: 299 })).toBe('wait')
    expect(kind({ hubHeardBefore: false, elapsedMs: 300 })).toBe('healthy')
  })

  it('is never unhealthy before the deadline, whatever fails', () => {
    for (const checks of [[passed], [failing]]) {
      for (const hubHeard of [true, false]) {
        for (const hubNeeded of [true, false]) {
          for (const hubHeardBefore of [true, false]) {
            expect(kind({ checks, hubHeard, hubNeeded, hubHeardBefore, elapsedMs: 299 })).not.toBe(
              'unhealthy',
            )
          }
        }
      }
    }
  })
})

function machine(change: Partial<Machine>): Machine {
  const unused = (): never => {
    throw new Error('not to be called')
  }
  return {
    handOver: unused,
    reboot: unused,
    pet: unused,
    hook: unused,
    hardware: unused,
    lastWords: unused,
    probe: unused,
    run: unused,
    ...change,
  }
}

const seal: Seal = {
  releaseId: 'demo-1',
  product: 'demo',
  version: '1',
  securityVersion: 1,
  floorAfterCommit: null,
  images: [],
}

describe('the checks', () => {
  it('begin with the seal: it must be valid and of this product', async () => {
    expect(await runChecks([], machine({}), seal, 'demo')).toEqual([
      { name: 'hardware', passed: true, output: '' },
    ])
    for (const bad of [null, { ...seal, product: 'radio' }]) {
      const [found] = await runChecks([], machine({}), bad, 'demo')
      expect(found).toMatchObject({ name: 'hardware', passed: false })
    }
  })

  it('take any 2xx of a probe and nothing else', async () => {
    for (const [status, ok] of [
      [200, true],
      [204, true],
      [299, true],
      [300, false],
      [404, false],
      [500, false],
      [null, false],
    ] as const) {
      const check = { name: 'web', probe: 'http://localhost/health' }
      const [, found] = await runChecks([check], machine({ probe: async () => status }), seal, 'demo')
      expect(found, `${status}`).toMatchObject({ name: 'web', passed: ok })
      if (!ok) expect(found?.output).toContain(check.probe)
    }
  })

  it('take a program that ends with 0 and nothing else', async () => {
    const results: readonly (readonly [ProgramResult, boolean])[] = [
      [{ status: 0, timedOut: false, output: 'fine' }, true],
      [{ status: 1, timedOut: false, output: 'broken' }, false],
      [{ status: null, timedOut: false, output: '' }, false],
      [{ status: null, timedOut: true, output: '' }, false],
    ]
    for (const [result, ok] of results) {
      const check = { name: 'app', program: ['/check', 'x'] }
      const [, found] = await runChecks([check], machine({ run: async () => result }), seal, 'demo')
      expect(found).toMatchObject({ name: 'app', passed: ok })
    }
  })

  it('that cannot even be run have failed, and leave the others alone', async () => {
    const checks = [
      { name: 'web', probe: 'http://[' },
      { name: 'app', program: ['/check'] },
    ]
    const found = await runChecks(
      checks,
      machine({
        probe: async () => {
          throw new TypeError('Invalid URL')
        },
        run: async () => ({ status: 0, timedOut: false, output: '' }),
      }),
      seal,
      'demo',
    )
    expect(found.map((it) => it.passed)).toEqual([true, false, true])
    expect(found[1]?.output).toContain('Invalid URL')
  })
})
