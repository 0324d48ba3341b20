/** What becomes of anything that is thrown. */
import { expect, it } from 'vitest'
import { EverbootError, exitStatus, exitStatusOf, fault, faultOf } from '../../core/errors.ts'

const system = (code: string): Error => Object.assign(new Error(`${code}: write`), { code })

it('a coded error keeps its code, a full file system has one, everything else is a bug', () => {
  expect(faultOf(new EverbootError(fault('EB-PIECE', 'piece 3'))).code).toBe('EB-PIECE')
  for (const code of ['ENOSPC', 'EDQUOT']) {
    expect(faultOf(system(code))).toMatchObject({ code: 'EB-DISK-FULL', what: `${code}: write` })
  }
  expect(exitStatusOf('EB-DISK-FULL')).toBe(exitStatus.storage)
  expect(faultOf(system('EIO'))).toMatchObject({ code: 'EB-INTERNAL', what: 'Error: EIO: write' })
  expect(faultOf('thrown')).toMatchObject({ code: 'EB-INTERNAL', what: 'thrown' })
})
