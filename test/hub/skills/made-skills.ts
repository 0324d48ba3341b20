/**
 * Skills for tests: lists and announcements as a publisher makes them, of clips that need be no audio.
 */
import { createHash } from 'node:crypto'
import type { ClipList } from '../../../core/wire/skills.ts'
import { pieceCount } from '../../../core/wire/skills.ts'
import type { ClientFile } from '../../../hub/config.ts'
import { signEnvelope } from '../../../keys/envelope.ts'
import type { KeySigner } from '../../../keys/signer.ts'
import { contentOf, type TestContent } from '../clips/contents.ts'
import { type Answer, ask } from '../http-client.ts'

export interface MadeSkill {
  readonly id: string
  readonly envelope: Uint8Array
  /** null when withdrawn. */
  readonly list: TestContent | null
}

export function makeSkill(
  signer: KeySigner,
  id: string,
  seq: number,
  clips: Readonly<Record<string, Buffer>> | null,
): MadeSkill {
  const list = clips === null ? null : contentOf(Buffer.from(JSON.stringify(listOf(clips))))
  const announced = list === null ? null : { bytes: list.bytes.length, sha256: list.sha256 }
  const announcement = { _type: 'everboot-skill', format: 1, id, seq, version: `v${seq}`, list: announced }
  return { id, envelope: signEnvelope(announcement, [signer]), list }
}

function listOf(clips: Readonly<Record<string, Buffer>>): ClipList {
  return {
    v: 1,
    clips: Object.entries(clips).map(([id, bytes]) => ({
      id,
      sha256: contentOf(bytes).sha256,
      bytes: bytes.length,
      pieces: Buffer.concat(
        Array.from({ length: pieceCount(bytes.length) }, (_, at) =>
          createHash('sha256')
            .update(bytes.subarray(at * 65_536, (at + 1) * 65_536))
            .digest(),
        ),
      ).toString('base64'),
      audio: {
        format: 'wav',
        durationMs: 1000,
        sampleRate: 16_000,
        bitRate: 256_000,
        channels: 1,
        compressionLevel: null,
      },
      language: null,
    })),
  }
}

export const putBody = (
  client: ClientFile,
  path: string,
  bytes: Uint8Array,
  token?: string,
  headers: Record<string, string> = { 'content-type': 'application/octet-stream' },
): Promise<Answer> =>
  ask(client, path, {
    method: 'PUT',
    headers: { 'content-length': String(bytes.length), ...headers },
    body: bytes,
    ...(token === undefined ? {} : { token }),
  })

/** Sends the announcement and the list, not the clips. */
export const putSkill = (client: ClientFile, skill: MadeSkill, over: object = {}): Promise<Answer> => {
  const list = skill.list === null ? {} : { list: skill.list.bytes.toString('base64') }
  const body = { envelope: Buffer.from(skill.envelope).toString('base64'), ...list, ...over }
  const bytes = Buffer.from(JSON.stringify(body))
  return putBody(client, '/v1/skills', bytes, undefined, { 'content-type': 'application/json' })
}

/** Sends all clips, then the skill. */
export async function publishSkill(
  client: ClientFile,
  signer: KeySigner,
  id: string,
  seq: number,
  clips: Readonly<Record<string, Buffer>> | null,
): Promise<MadeSkill> {
  for (const bytes of Object.values(clips ?? {})) {
    const sent = await putBody(client, `/v1/clips/${contentOf(bytes).sha256}`, bytes)
    if (sent.status !== 200 && sent.status !== 201) throw new Error(sent.body.toString())
  }
  const skill = makeSkill(signer, id, seq, clips)
  const answer = await putSkill(client, skill)
  if (answer.status !== 201) throw new Error(answer.body.toString())
  return skill
}
