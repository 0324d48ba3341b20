/**
 * What a sound file really is: form, length, sample rate, bit rate, channels, read from its bytes.
 * Promise: the whole file has been walked, so that a part that is missing, torn or not what the headers say is found;
 * time and memory grow with the file and no faster; what is wrong is a coded fault.
 * Leaves to others: the forms (forms/), comparison with what is claimed (claims.ts), decoding: damage inside
 * compressed sound without checksums can only be heard.
 */
import { audioLimits, clipLimits } from '../core/clip-limits.ts'
import { type Fault, fault } from '../core/errors.ts'
import { fail, ok, type Result } from '../core/result.ts'
import { bytesText } from '../core/units.ts'
import { type Audio, type ClipFormat, sampleRates } from '../core/wire/skills.ts'
import { walkFlac } from './forms/flac.ts'
import { formOf } from './forms/form.ts'
import { walkMp3 } from './forms/mp3.ts'
import { walkOgg } from './forms/ogg.ts'
import type { Walk, Walked } from './forms/walked.ts'
import { walkWav } from './forms/wav.ts'
import { type HeaderFacts, readHeaders } from './headers.ts'

const walks: Readonly<Record<ClipFormat, Walk>> = { mp3: walkMp3, wav: walkWav, ogg: walkOgg, flac: walkFlac }
/** Each sample as a number of 64 bits: nothing has more. */
const bitsPerSampleMax = 64

/**
 * @param bytes the whole file; @param name of the clip or file, for people: its extension says nothing
 * @returns EB-AUDIO when it holds no sound of a known form or is damaged; EB-CLIP-SIZE when it is empty or too large
 */
export async function readAudio(bytes: Uint8Array, name: string): Promise<Result<Audio, Fault>> {
  if (bytes.length === 0) return fail(fault('EB-CLIP-SIZE', `${name} is empty`))
  if (bytes.length > clipLimits.clipBytesMax) {
    const limit = bytesText(clipLimits.clipBytesMax)
    return fail(fault('EB-CLIP-SIZE', `${name} has ${bytesText(bytes.length)}, limit ${limit}`))
  }
  const audio = await audioOf(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
  return audio.ok ? audio : fail(fault('EB-AUDIO', `${name}: ${audio.error}`))
}

async function audioOf(bytes: Buffer): Promise<Result<Audio, string>> {
  const form = formOf(bytes)
  if (!form.ok) return form
  const walked = walks[form.value.format](bytes, form.value.start)
  if (!walked.ok) return walked
  const facts = await readHeaders(walked.value.headers.bytes)
  if (!facts.ok) return fail(`its headers cannot be read: ${facts.error}`)
  const contradiction = contradictionOf(walked.value, facts.value)
  return contradiction === null ? describe(walked.value, facts.value) : fail(contradiction)
}

/** Two readers that disagree have not understood the same file: neither is believed. */
function contradictionOf({ sampleRate, headers }: Walked, { seconds: said }: HeaderFacts): string | null {
  if (headers.samples === null || said === null) return null
  const seconds = headers.samples / sampleRate
  const allowed = Math.max(audioLimits.durationErrorMs / 1_000, seconds * audioLimits.durationErrorShare)
  if (Math.abs(said - seconds) <= allowed) return null
  return `its headers say that it lasts ${said} s, it lasts ${seconds} s`
}

function describe(walked: Walked, facts: HeaderFacts): Result<Audio, string> {
  const { format, samples, compressionLevel } = walked
  const { channels } = facts
  if (channels === null) return fail('its headers cannot be read')
  const sampleRate = sampleRates.find((it) => it === walked.sampleRate)
  if (sampleRate === undefined) return fail(`its sample rate is ${walked.sampleRate} Hz`)
  if (channels < 1 || channels > clipLimits.channelsMax) return fail(`it has ${channels} channels`)
  const durationMs = Math.round((samples / sampleRate) * 1_000)
  if (durationMs < 1) return fail('it lasts no time')
  if (durationMs > clipLimits.durationMsMax) {
    return fail(`it lasts ${durationMs} ms, limit ${clipLimits.durationMsMax}`)
  }
  const average = (walked.soundBytes * 8 * sampleRate) / samples
  const bitRate = Math.max(1, Math.round((walked.statesBitRate ? facts.bitRate : null) ?? average))
  if (bitRate > sampleRate * channels * bitsPerSampleMax) return fail(`its bit rate is ${bitRate}`)
  return ok({ format, durationMs, sampleRate, bitRate, channels, compressionLevel })
}
