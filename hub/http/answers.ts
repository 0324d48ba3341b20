/**
 * Failures as HTTP: status by error code, body `{"error":{"code","what","todo"}}`.
 * Promise: every failure of the API has this body; what is not a coded failure becomes EB-INTERNAL and shows
 * nothing of the inside.
 * Leaves to others: sending.
 */
import { type ErrorCode, EverbootError, errorTable, type Fault, fault } from '../../core/errors.ts'

const statuses: Partial<Record<ErrorCode, number>> = {
  'EB-AUTH': 401,
  'EB-NOT-FOUND': 404,
  'EB-CONFLICT': 409,
  'EB-LIMIT': 429,
  'EB-MESSAGE': 400,
  'EB-USAGE': 400,
  'EB-CONTAINER': 400,
  'EB-CLIP-SIZE': 413,
  'EB-BUCKET': 502,
  'EB-DISK-FULL': 507,
  'EB-INTERNAL': 500,
}

export function httpStatusOf(code: ErrorCode): number {
  const own = statuses[code]
  if (own !== undefined) return own
  return errorTable[code].family === 'refused' ? 422 : 500
}

/** @param caught whatever a handler threw */
export function faultOfAnswer(caught: unknown): Fault {
  if (caught instanceof EverbootError) return caught.fault
  const { statusCode, message } = caught as { statusCode?: number; message?: string }
  if (statusCode === 413) return fault('EB-LIMIT', 'the request is too long')
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return fault('EB-MESSAGE', `the request is not understood: ${message ?? statusCode}`)
  }
  return fault('EB-INTERNAL', 'the hub failed to answer')
}
