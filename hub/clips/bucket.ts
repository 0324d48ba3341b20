/**
 * Where a bucket is and with which credentials it is asked, from the command line and the environment.
 * Promise: what is not wholly understood is refused; no message shows a key.
 * Leaves to others: asking it (adapters/bucket-requests.ts).
 */
import { type Fault, fault } from '../../core/errors.ts'
import { fail, ok, type Result } from '../../core/result.ts'

export interface Bucket {
  readonly name: string
  /** Before each key; empty, or ending with a slash. */
  readonly prefix: string
  /** Origin, without a slash at its end. */
  readonly endpoint: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string | null
}

const locationForm = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/
const prefixForm = /^(?:(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]{1,64}(?:\/|$)){0,8}$/
const regionForm = /^[a-z0-9-]{1,64}$/

type Environment = Readonly<Record<string, string | undefined>>

/**
 * @param location `s3://BUCKET[/PREFIX]`; @param endpoint null: that of Amazon in the region
 * @returns EB-USAGE, EB-CONFIG (a variable is missing)
 */
export function bucketOf(
  location: string,
  endpoint: string | null,
  environment: Environment,
): Result<Bucket, Fault> {
  const [, name, prefix = ''] = locationForm.exec(location) ?? []
  if (name === undefined || !prefixForm.test(prefix)) {
    const todo = 'give s3://BUCKET or s3://BUCKET/PREFIX'
    return fail(fault('EB-USAGE', `--clips is ${JSON.stringify(location)}, not the place of a bucket`, todo))
  }
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = environment
  if (!accessKeyId || !secretAccessKey) {
    const variable = accessKeyId ? 'AWS_SECRET_ACCESS_KEY' : 'AWS_ACCESS_KEY_ID'
    return fail(fault('EB-CONFIG', `${location} needs ${variable} in the environment`, 'set the variable'))
  }
  const region = environment['AWS_REGION'] || 'us-east-1'
  if (!regionForm.test(region)) {
    return fail(fault('EB-CONFIG', `AWS_REGION is ${JSON.stringify(region)}, not a region`))
  }
  const origin = originOf(endpoint ?? `https://s3.${region}.amazonaws.com`)
  if (origin === null) {
    const what = `--s3-endpoint is ${JSON.stringify(endpoint)}, not http(s)://HOST[:PORT]`
    return fail(fault('EB-USAGE', what, 'give the URL of the server without a path'))
  }
  return ok({
    name,
    prefix: prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`,
    endpoint: origin,
    region,
    accessKeyId,
    secretAccessKey,
    sessionToken: environment['AWS_SESSION_TOKEN'] || null,
  })
}

function originOf(text: string): string | null {
  if (!URL.canParse(text)) return null
  const url = new URL(text)
  const plain = url.pathname === '/' && url.search === '' && url.hash === '' && url.username === ''
  return plain && url.password === '' && /^https?:$/.test(url.protocol) ? url.origin : null
}
