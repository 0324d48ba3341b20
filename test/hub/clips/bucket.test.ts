/**
 * Where a bucket is, from the command line and the environment.
 */
import { describe, expect, it } from 'vitest'
import { bucketOf } from '../../../hub/clips/bucket.ts'

describe('the place of a bucket', () => {
  const keys = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'hidden-key' }
  const of = (location: string, endpoint: string | null = null, env: Record<string, string> = keys) => {
    const it = bucketOf(location, endpoint, env)
    return it.ok ? it.value : it.error.code
  }

  it('is read from location, endpoint and environment', () => {
    expect(of('s3://my.bucket/a/b-c', 'http://localhost:9000', { ...keys, AWS_REGION: 'eu-west-3' })).toEqual(
      {
        name: 'my.bucket',
        prefix: 'a/b-c/',
        endpoint: 'http://localhost:9000',
        region: 'eu-west-3',
        accessKeyId: 'id',
        secretAccessKey: 'hidden-key',
        sessionToken: null,
      },
    )
    expect(of('s3://bucket')).toMatchObject({ prefix: '', endpoint: 'https://s3.us-east-1.amazonaws.com' })
    expect(of('s3://bucket/')).toMatchObject({ prefix: '' })
    expect(of('s3://bucket/a/', 'https://host/')).toMatchObject({ prefix: 'a/', endpoint: 'https://host' })
  })

  it.each([
    'bucket',
    's3:/bucket',
    's3://',
    's3://Bucket',
    's3://b',
    's3://bucket//a',
    's3://bucket/../a',
    's3://bucket/a/.',
    's3://bucket/a b',
    's3://bucket/a?x',
    `s3://bucket/${'a/'.repeat(9)}`,
  ])('%s is refused', (location) => {
    expect(of(location)).toBe('EB-USAGE')
  })

  it('with a bad endpoint, region or without keys is refused, and no key is shown', () => {
    for (const it of [
      'host:9000',
      'ftp://host',
      'http://host/path',
      'http://u:p@host',
      'http://host?x',
      '',
    ]) {
      expect(of('s3://bucket', it)).toBe('EB-USAGE')
    }
    expect(of('s3://bucket', null, { ...keys, AWS_REGION: 'a/b' })).toBe('EB-CONFIG')
    for (const env of [{}, { AWS_ACCESS_KEY_ID: 'id' }, { AWS_SECRET_ACCESS_KEY: 'hidden-key' }]) {
      const it = bucketOf('s3://bucket', null, env)
      expect(it).toMatchObject({ ok: false, error: { code: 'EB-CONFIG' } })
      expect(JSON.stringify(it)).not.toContain('hidden-key')
    }
  })
})
