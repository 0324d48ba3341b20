/**
 * The S3 of the tests against the examples that AWS publishes ("Examples: Signature Calculations in AWS Signature
 * Version 4", Amazon S3 API reference), and against requests that are almost right.
 */
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type SignedRequest, signatureFault } from './s3-server.ts'

const keys = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
}
const empty = createHash('sha256').digest('hex')
const date = '20130524T000000Z'
const nowMs = Date.UTC(2013, 4, 24)

/** @param names of the signed headers besides those that are always there, in their order */
function example(
  method: string,
  path: string,
  query: string,
  headers: Record<string, string>,
  names: string,
  signature: string,
  payload = empty,
): SignedRequest {
  const credential = `${keys.accessKeyId}/20130524/us-east-1/s3/aws4_request`
  return {
    method,
    path,
    query,
    headers: {
      host: 'examplebucket.s3.amazonaws.com',
      'x-amz-content-sha256': payload,
      'x-amz-date': date,
      ...headers,
      authorization: `AWS4-HMAC-SHA256 Credential=${credential},SignedHeaders=${names},Signature=${signature}`,
    },
  }
}

const common = 'host;x-amz-content-sha256;x-amz-date'
const hello = Buffer.from('Welcome to Amazon S3.')
const getObject = example(
  'GET',
  '/test.txt',
  '',
  { range: 'bytes=0-9' },
  'host;range;x-amz-content-sha256;x-amz-date',
  'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
)
const putObject = example(
  'PUT',
  '/test%24file.text',
  '',
  { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' },
  'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class',
  '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
)

const faultOf = (request: SignedRequest, body: Uint8Array = Buffer.alloc(0), atMs = nowMs) =>
  signatureFault(request, 'us-east-1', keys, body, atMs)

describe('the published examples', () => {
  it.each<[string, SignedRequest, Uint8Array]>([
    ['GET object', getObject, Buffer.alloc(0)],
    ['PUT object', putObject, hello],
    [
      'GET bucket lifecycle',
      example(
        'GET',
        '/',
        'lifecycle',
        {},
        common,
        'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
      ),
      Buffer.alloc(0),
    ],
    [
      'GET bucket, list objects',
      example(
        'GET',
        '/',
        'max-keys=2&prefix=J',
        {},
        common,
        '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
      ),
      Buffer.alloc(0),
    ],
  ])('%s is signed right', (_name, request, body) => {
    expect(faultOf(request, body)).toBeNull()
  })
})

describe('what is almost right', () => {
  const changed = (over: Record<string, string>): SignedRequest => ({
    ...getObject,
    headers: { ...getObject.headers, ...over },
  })

  it.each<[string, SignedRequest, string]>([
    ['another path', { ...getObject, path: '/test2.txt' }, 'SignatureDoesNotMatch'],
    ['another method', { ...getObject, method: 'DELETE' }, 'SignatureDoesNotMatch'],
    ['another query', { ...getObject, query: 'a=b' }, 'SignatureDoesNotMatch'],
    ['another range, which is signed here', changed({ range: 'bytes=0-8' }), 'SignatureDoesNotMatch'],
    ['another host', changed({ host: 'other.s3.amazonaws.com' }), 'SignatureDoesNotMatch'],
    ['a header of Amazon that is not signed', changed({ 'x-amz-acl': 'public-read' }), 'AccessDenied'],
    ['no payload hash', changed({ 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' }), 'SignatureDoesNotMatch'],
    ['a token that was not asked for', changed({ 'x-amz-security-token': 'x' }), 'InvalidToken'],
    ['no authorization', changed({ authorization: '' }), 'AuthorizationHeaderMalformed'],
  ])('%s is refused', (_what, request, code) => {
    expect(faultOf(request)).toBe(code)
  })

  it('another body, day or key is refused', () => {
    expect(faultOf(putObject, Buffer.from('Welcome to Amazon S3?'))).toBe('XAmzContentSHA256Mismatch')
    expect(faultOf(getObject, undefined, nowMs + 16 * 60_000)).toBe('RequestTimeTooSkewed')
    expect(signatureFault(getObject, 'eu-west-1', keys, Buffer.alloc(0), nowMs)).toBe(
      'AuthorizationHeaderMalformed',
    )
    const other = { ...keys, secretAccessKey: `${keys.secretAccessKey}x` }
    expect(signatureFault(getObject, 'us-east-1', other, Buffer.alloc(0), nowMs)).toBe(
      'SignatureDoesNotMatch',
    )
  })
})
