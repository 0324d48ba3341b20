/**
 * What a failing file system means for clips: full, or anything else.
 */
import { EverbootError, fault } from '../../../core/errors.ts'
import { codeOf } from '../../adapters/files.ts'

export function fileFault(cause: unknown, path: string): EverbootError {
  const code = codeOf(cause)
  const full = code === 'ENOSPC' || code === 'EDQUOT'
  const it = full
    ? fault('EB-DISK-FULL', `${path} cannot be written: the disk of the hub is full`)
    : fault('EB-FILE', `${path}: ${code}`)
  return new EverbootError(it, { cause })
}
