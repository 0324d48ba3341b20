/** What a library says of headers, and that it comes to an end whatever they hold. */
import { expect, test } from 'vitest'
import { readHeaders } from '../../audio/headers.ts'
import { sample } from './samples.ts'

test('headers say what the encoder wrote into them', async () => {
  expect(await readHeaders(sample('vorbis.ogg'))).toEqual({
    ok: true,
    value: { channels: 1, bitRate: 14_000, seconds: 0.3 },
  })
})

test('what is no sound is told, not thrown', async () => {
  const read = await readHeaders(new TextEncoder().encode('no sound'.repeat(100)))
  expect(read).toEqual({ ok: false, error: expect.stringContaining('audio format') })
})

test('a reader that goes round in circles is stopped', async () => {
  const frame = sample('plain.mp3').subarray(0, 72)
  const file = Buffer.concat([frame, frame, Buffer.alloc(4_000_000, Buffer.from([0xff, 0xe0]))])
  expect(await readHeaders(file)).toEqual({ ok: false, error: 'they lead nowhere' })
})

test('a reader that is given much, but no circles, is not stopped', async () => {
  const varying = Buffer.concat([sample('plain.mp3').subarray(0, 72), sample('plain.mp3').subarray(72, 144)])
  const read = await readHeaders(Buffer.alloc(1_000_000 - (1_000_000 % 144), varying))
  expect(read).toMatchObject({ ok: true, value: { channels: 1 } })
})
