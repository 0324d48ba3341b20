/** What reading a sound comes to, in a form that tests can compare. */
import { expect } from 'vitest'
import { readAudio } from '../../audio/read-audio.ts'

/** What it is, or code and text of the refusal. */
export async function outcome(bytes: Uint8Array, name = 'clip'): Promise<unknown> {
  const read = await readAudio(bytes, name)
  return read.ok ? read.value : [read.error.code, read.error.what]
}

/** Of a file that is no sound, in these words among others. */
export const refusal = (words: string): unknown => ['EB-AUDIO', expect.stringContaining(words)]
