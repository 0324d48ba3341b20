/**
 * What the network errors of Node mean, in our codes.
 */
import { type Fault, fault } from '../../core/errors.ts'

const tlsCodes = [
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_SIGNATURE_FAILURE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'EPROTO',
]

/** @param peer address for people. @returns EB-TLS or EB-HUB-UNREACHABLE */
export function networkFault(caught: unknown, peer: string): Fault {
  const { code = '', message } = caught as NodeJS.ErrnoException
  if (tlsCodes.includes(code)) return fault('EB-TLS', `${peer}: ${code}`)
  return fault('EB-HUB-UNREACHABLE', `${peer}: ${code || message}`)
}
