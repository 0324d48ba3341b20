/** A window on a file: whatever is asked for in whatever order is what lies there, also where reading ahead fails. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { simFiles } from '../../../bootloader-sim/devices/file-store.ts'
import { raise } from '../../../core/errors.ts'
import { KiB, MiB } from '../../../core/units.ts'
import { FileWindow } from '../../../device/clips/file-window.ts'
import { bytesOf, codeOf } from './fixtures.ts'

const length = fc.oneof(
  { weight: 6, arbitrary: fc.nat(2 * KiB) },
  { weight: 4, arbitrary: fc.nat(150 * KiB) },
  { weight: 1, arbitrary: fc.nat(MiB) },
)

describe('a window on a file', () => {
  it('shows what lies there, one thing after the other or anywhere', async () => {
    const bytes = bytesOf('window', 3 * MiB)
    await fc.assert(
      fc.asyncProperty(
        fc.nat(3 * MiB),
        fc.array(fc.record({ length, jump: fc.option(fc.nat(3 * MiB), { freq: 5 }) }), { maxLength: 40 }),
        async (size, list) => {
          const files = simFiles()
          files.put('index', bytes.subarray(0, size))
          const window = new FileWindow(files, 'index')
          let at = 0
          for (const { length, jump } of list) {
            if (jump !== null) at = jump
            const seen = await window.at(at, length)
            const end = Math.min(size, at + length)
            if (!seen.equals(bytes.subarray(Math.min(at, end), end))) expect.unreachable(`${at}, ${length}`)
            at += length
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  it('tells of a failure when the bytes are asked for, and not before', async () => {
    const files = simFiles()
    const bytes = bytesOf('window', 2 * MiB)
    files.put('index', bytes)
    const window = new FileWindow(files, 'index')
    await window.at(0, 100)
    files.fault = (operation) => {
      if (operation === 'read') raise('EB-DATA-IO', 'planted')
    }
    let at = 0
    let code: unknown = null
    for (; code === null; at += KiB) {
      const seen = window.at(at, KiB)
      code = await codeOf(seen.then((it) => (it.equals(bytes.subarray(at, at + KiB)) ? null : 'wrong')))
    }
    expect([code, at > 256 * KiB]).toEqual(['EB-DATA-IO', true])
    files.fault = () => {}
    expect((await window.at(at, KiB)).equals(bytes.subarray(at, at + KiB))).toBe(true)
  })
})
