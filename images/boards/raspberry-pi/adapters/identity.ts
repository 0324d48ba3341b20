/** The identity of a device for its data partition, with the wrapping key that the publisher has for it. */
import { readFile } from 'node:fs/promises'
import * as v from 'valibot'
import { raise } from '../../../../core/errors.ts'
import { safeName } from '../../../../core/units.ts'
import type { KeyDirectory } from '../../../../keys/adapters/key-directory.ts'

const form = v.looseObject({ v: v.literal(1), deviceId: v.pipe(v.string(), v.regex(safeName)) })
export type DeviceIdentity = v.InferOutput<typeof form>

/** @throws EverbootError EB-FILE, EB-CONFIG, EB-KEY */
export async function readIdentity(path: string, keys: KeyDirectory): Promise<DeviceIdentity> {
  const text = await readFile(path, 'utf8').catch((cause: Error) =>
    raise('EB-FILE', `${path} cannot be read: ${cause.message}`, { cause }),
  )
  let document: unknown = null
  try {
    document = JSON.parse(text)
  } catch {
    // Said below: the message of JSON.parse would quote the file.
  }
  const parsed = v.safeParse(form, document)
  if (!parsed.success)
    raise('EB-CONFIG', `${path} is not the identity of a device`, {
      todo: 'give the file of everboot devices add',
    })
  const wrappingKey = Buffer.from(await keys.wrappingKey(parsed.output.deviceId)).toString('hex')
  return { ...parsed.output, wrappingKey }
}
