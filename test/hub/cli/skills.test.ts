/**
 * The commands of skills against a real hub: what is sent, what is not, what is said, on files and on a bucket.
 */
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clipLimits, hubClipLimits } from '../../../core/clip-limits.ts'
import { decodeClipList } from '../../../core/wire/skills.ts'
import { toneSamples, wavOf } from '../../../demo/sound.ts'
import { createKeyDirectory } from '../../../keys/adapters/key-directory.ts'
import { contentOf } from '../clips/contents.ts'
import { type S3Server, startS3 } from '../clips/s3-server.ts'
import { ask, json, newDevice } from '../http-client.ts'
import { everboot, type HubHome, type HubProcess, hubHome, spawnHub } from '../hub-process.ts'

let home: HubHome
let hub: HubProcess
let root: string
let keys: string
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'everboot-skills-'))
  keys = join(root, 'keys')
  await createKeyDirectory(keys, [])
  home = { ...hubHome(), trust: join(keys, 'trust.json') }
  hub = await spawnHub(home)
})
afterAll(async () => {
  await hub.stop('SIGKILL')
  home.remove()
  rmSync(root, { recursive: true, force: true })
})

const run = (...args: string[]) => everboot(args, { EVERBOOT_HUB: home.data })
const publish = (directory: string, ...args: string[]) =>
  run('skills', 'publish', directory, '--keys', keys, ...args)
const tone = (number: number): Buffer =>
  Buffer.from(wavOf(toneSamples({ number, durationMs: 200, sampleRate: 16_000 }), 16_000))

/** A directory with these files. */
function skill(
  name: string,
  files: Readonly<Record<string, Buffer | string>>,
  description?: unknown,
): string {
  const directory = mkdtempSync(join(root, 'skill-'))
  const own = join(directory, name)
  mkdirSync(own)
  for (const [file, content] of Object.entries(files)) writeFileSync(join(own, file), content)
  if (description !== undefined) writeFileSync(join(own, 'skill.json'), JSON.stringify(description))
  return own
}

describe('publishing a skill', () => {
  it('sends each content once, says what was shared, and the hub has the list that says what is so', async () => {
    const directory = skill('weather', {
      'rain.wav': tone(1),
      'sun.wav': tone(2),
      'again.wav': tone(1),
      'notes.txt': 'x',
      '.hidden': 'x',
    })
    const out = await publish(directory)
    expect(out).toMatchObject({ status: 0, err: 'notes.txt is left out: no audio by its name\n' })
    expect(out.out).toMatch(
      /^published weather [0-9a-f]{12} \(number \d+\): 3 clips, 2 contents, 2 uploaded, 6\.3 KiB saved\n$/,
    )
    const shown = json(await ask(hub.client, '/v1/skills/weather'))
    expect(shown).toMatchObject({ clips: 3, contents: 2, withdrawn: false })
    const list = await ask(hub.client, `/clips/${shown.list.sha256}`)
    expect(decodeClipList(list.body)).toMatchObject({
      ok: true,
      value: {
        clips: [
          { id: 'again', sha256: contentOf(tone(1)).sha256, language: null },
          { id: 'rain', audio: { format: 'wav', durationMs: 200, sampleRate: 16_000, channels: 1 } },
          { id: 'sun' },
        ],
      },
    })
  }, 60_000)

  it('again changes nothing; another version or clip is published with only what is new', async () => {
    const directory = skill('weather', { 'rain.wav': tone(1), 'sun.wav': tone(2), 'again.wav': tone(1) })
    const again = await publish(directory, '--json')
    expect(JSON.parse(again.out)).toMatchObject({ id: 'weather', published: false, uploaded: 0, clips: 3 })
    const before = JSON.parse(again.out).seq
    writeFileSync(join(directory, 'snow.wav'), tone(3))
    const more = JSON.parse((await publish(directory, '--json', '--version', '2')).out)
    expect(more).toMatchObject({ published: true, version: '2', clips: 4, contents: 3, uploaded: 1 })
    expect(more.seq).toBeGreaterThan(before)
    expect(more.savedBytes).toBe(more.bytes - tone(3).length)
  }, 60_000)

  it('shares with other skills, whatever they are called there, and takes id and version from skill.json', async () => {
    const directory = skill(
      'any name',
      { 'one.wav': tone(1), 'two.wav': tone(9) },
      {
        id: 'news',
        version: '7',
        language: 'en',
        clips: { 'one.wav': { id: 'jingle', language: 'de', ttlSeconds: 60, pinned: true, durationMs: 200 } },
      },
    )
    const out = JSON.parse((await publish(directory, '--json')).out)
    expect(out).toMatchObject({ id: 'news', version: '7', clips: 2, uploaded: 1, published: true })
    const { list } = json(await ask(hub.client, '/v1/skills/news'))
    const { clips } = JSON.parse((await ask(hub.client, `/clips/${list.sha256}`)).body.toString())
    expect(clips[0]).toMatchObject({ id: 'jingle', language: 'de', ttlSeconds: 60, pinned: true })
    expect(clips[1]).toMatchObject({ id: 'two', language: 'en' })
    const table = await run('skills', 'list')
    expect(table.out).toMatch(/^SKILL +VERSION +CLIPS .*\nnews +7 +2 +2 .*\nweather +2 +4 +3 /)
    const shown = await run('skills', 'show', 'news')
    expect(shown.out).toMatch(/jingle +[0-9a-f]{12} +6\.3 KiB +2\ntwo +[0-9a-f]{12} +6\.3 KiB +-/)
  }, 60_000)

  it('that was withdrawn is gone from devices, once, and can be published again', async () => {
    const token = await newDevice(hub.client, 'dev1')
    const own = contentOf(tone(9)).sha256
    expect((await ask(hub.client, `/clips/${own}`, { token })).status).toBe(200)
    expect((await run('skills', 'withdraw', 'news', '--keys', keys)).out).toBe('withdrew news 7\n')
    expect((await ask(hub.client, `/clips/${own}`, { token })).status).toBe(404)
    expect((await run('skills', 'withdraw', 'news', '--keys', keys)).out).toMatch(/^news was withdrawn 20/)
    expect((await run('skills', 'list')).out).toMatch(/news +7 +withdrawn/)
    expect((await run('skills', 'show', 'news')).out).toMatch(/^news .*: withdrawn\n$/)
    expect(await run('skills', 'withdraw', 'none', '--keys', keys)).toMatchObject({
      status: 3,
      err: 'EB-NOT-FOUND: there is no skill none; see everboot skills list\n',
    })
    const back = await publish(skill('news', { 'two.wav': tone(9) }), '--json')
    expect(JSON.parse(back.out)).toMatchObject({ published: true, uploaded: 1 })
  }, 60_000)

  it('takes the forms that are known, through a link too', async () => {
    const directory = skill('forms', {})
    for (const name of ['small.wav', 'small.flac', 'plain.mp3', 'vorbis.ogg']) {
      copyFileSync(
        join('test/vectors/audio', name),
        join(directory, `${name.replace('.', '-')}.${name.split('.')[1]}`),
      )
    }
    symlinkSync(join(directory, 'small-wav.wav'), join(directory, 'link.wav'))
    expect(JSON.parse((await publish(directory, '--json')).out)).toMatchObject({
      clips: 5,
      contents: 4,
      uploaded: 4,
    })
  }, 60_000)

  it('sends contents again that the hub has lost, though the skill is published already', async () => {
    const directory = skill('lost', { 'lost.wav': tone(20) })
    await publish(directory)
    const { sha256 } = contentOf(tone(20))
    rmSync(join(home.data, 'clips', sha256.slice(0, 2), sha256))
    expect((await ask(hub.client, `/clips/${sha256}`)).status).toBe(404)
    const again = JSON.parse((await publish(directory, '--json')).out)
    expect(again).toMatchObject({ published: false, uploaded: 1 })
    expect((await ask(hub.client, `/clips/${sha256}`)).body.equals(tone(20))).toBe(true)
  }, 60_000)
})

describe('what cannot be published', () => {
  const big = (): string => {
    const directory = skill('big', { 'big.wav': 'RIFF' })
    truncateSync(join(directory, 'big.wav'), clipLimits.clipBytesMax + 1)
    return directory
  }
  const withDirectory = (): string => {
    const directory = skill('below', { 'a.wav': tone(30) })
    mkdirSync(join(directory, 'b.wav'))
    return directory
  }
  const unreadable = (): string => {
    const directory = skill('odd', { 'a.wav': tone(30) })
    mkdirSync(join(directory, 'skill.json'))
    return directory
  }
  const long = (): string => {
    const directory = skill('long', { 'a.wav': tone(30), 'skill.json': '{}' })
    truncateSync(join(directory, 'skill.json'), hubClipLimits.skillFileBytesMax + 1)
    return directory
  }
  const one = { 'a.wav': tone(30) }

  it.each<[string, () => string, RegExp]>([
    ['no directory', () => '/nowhere', /^EB-SKILL: \/nowhere cannot be read: ENOENT; give the directory/],
    ['an empty directory', () => skill('x', {}), /^EB-SKILL: .* is empty; put mp3/],
    ['no audio', () => skill('x', { 'a.txt': 'x' }), /^EB-SKILL: .* holds no audio, only a.txt; put/],
    ['a file that is none', withDirectory, /^EB-SKILL: .*b.wav is not a file; take/],
    ['a file too large', big, /^EB-CLIP-SIZE: .*big.wav has 64.0 MiB, limit 64.0 MiB; cut/],
    ['an empty file', () => skill('x', { 'a.wav': '' }), /^EB-CLIP-SIZE: a.wav is empty/],
    ['noise', () => skill('x', { 'a.mp3': 'noise' }), /^EB-AUDIO: a.mp3: /],
    ['half a file', () => skill('x', { 'a.wav': tone(1).subarray(0, 3_000) }), /^EB-AUDIO: a.wav: /],
    ['an unsafe name', () => skill('x', { 'a b.wav': tone(30) }), /^EB-CLIP-NAME: a b.wav: .*; rename/],
    ['two of one id', () => skill('x', { 'a.wav': tone(1), 'a.mp3': 'x' }), /^EB-SKILL: a.mp3 and a.wav/],
    ['a bad description', () => skill('x', { ...one, 'skill.json': '{' }), /^EB-SKILL: .*is not JSON/],
    ['a description that is no file', unreadable, /^EB-SKILL: .*skill.json is not a file/],
    ['a description too long', long, /^EB-SKILL: .*skill.json has 4.0 MiB, limit 4.0 MiB/],
    [
      'a private clip',
      () => skill('x', one, { clips: { 'a.wav': { private: true } } }),
      /^EB-CLIP-PRIVATE: a.wav/,
    ],
    [
      'a lie',
      () => skill('x', one, { clips: { 'a.wav': { sampleRate: 8_000 } } }),
      /^EB-AUDIO-CLAIM: a.wav: sampleRate is said to be 8000, found 16000/,
    ],
    ['a bad id', () => skill('a b', one), /^EB-CLIP-NAME: "a b" is no id of a skill; give --skill ID/],
    [
      'a clip of another',
      () => skill('x', { 'rain.wav': tone(31) }),
      /^EB-CONFLICT: clip rain of skill x belongs/,
    ],
  ])(
    '%s is refused, in one line that says what to do, before anything is sent',
    async (_what, made, line) => {
      const before = json(await ask(hub.client, '/v1/clips')).contents
      const answer = await publish(made())
      expect([answer.status, answer.err]).toEqual([3, expect.stringMatching(line)])
      expect(answer.err.trim().split('\n')).toHaveLength(1)
      expect(json(await ask(hub.client, '/v1/clips')).contents).toEqual(before)
    },
    60_000,
  )

  it('without keys, with keys of another, or with a bad version is refused', async () => {
    const directory = skill('keyless', one)
    const other = join(root, 'other-keys')
    await createKeyDirectory(other, [])
    expect((await run('skills', 'publish', directory)).err).toMatch(/^EB-USAGE: --keys is missing/)
    expect((await run('skills', 'publish', directory, '--keys', '/nowhere')).err).toMatch(/^EB-KEY: /)
    expect((await run('skills', 'publish', directory, '--keys', other)).err).toMatch(/^EB-UNKNOWN-KEY: /)
    expect((await publish(directory, '--version', 'x'.repeat(65))).err).toMatch(/^EB-USAGE: --version/)
  }, 60_000)
})

describe('a hub with a bucket', () => {
  let s3: S3Server
  beforeAll(async () => {
    s3 = await startS3('clips', 'eu-west-3')
  })
  afterAll(() => s3.close())
  const environment = () => ({
    AWS_ACCESS_KEY_ID: s3.keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: s3.keys.secretAccessKey,
    AWS_REGION: 'eu-west-3',
  })

  it('is started with its place and keys of the environment, and keeps contents there, through a restart', async () => {
    const own = { ...hubHome(), trust: join(keys, 'trust.json') }
    const more = { args: ['--clips', 's3://clips/a', '--s3-endpoint', s3.url], environment: environment() }
    let far = await spawnHub(own, undefined, more)
    const directory = skill('far', { 'a.wav': tone(40), 'b.wav': tone(41) })
    const out = await everboot(['skills', 'publish', directory, '--keys', keys, '--hub', own.data])
    expect(out).toMatchObject({ status: 0, out: expect.stringContaining('2 uploaded') })
    const { sha256 } = contentOf(tone(40))
    expect(s3.objects.get(`a/${sha256}`)?.equals(tone(40))).toBe(true)
    expect([...s3.objects.keys()]).toContain('a/everboot-hub')
    expect(s3.refused).toEqual([])
    await far.stop('SIGKILL')
    far = await spawnHub(own, undefined, more)
    expect((await ask(far.client, `/clips/${sha256}`)).body.equals(tone(40))).toBe(true)
    expect(readFileSync(join(own.data, 'client.json'), 'utf8')).not.toContain(s3.keys.secretAccessKey)
    expect(await far.stop('SIGTERM')).toEqual([0, null])
    own.remove()
  }, 60_000)

  it('starts without its bucket, says so, and serves all but clips', async () => {
    const own = { ...hubHome(), trust: join(keys, 'trust.json') }
    const nowhere = ['--clips', 's3://clips', '--s3-endpoint', 'http://127.0.0.1:1']
    const far = await spawnHub(own, undefined, { args: nowhere, environment: environment() })
    expect((await ask(far.client, '/v1/hub')).status).toBe(200)
    const directory = skill('far', { 'a.wav': tone(40) })
    const out = await everboot(['skills', 'publish', directory, '--keys', keys, '--hub', own.data])
    expect([out.status, out.err]).toEqual([5, expect.stringMatching(/^EB-BUCKET: PUT .*ECONNREFUSED/)])
    expect(await far.stop('SIGTERM')).toEqual([0, null])
    own.remove()
  }, 60_000)

  it('is not started with what cannot be its bucket', async () => {
    const own = hubHome()
    const serve = (args: readonly string[], env: Record<string, string>) =>
      everboot(['hub', 'serve', '--data', own.data, '--trust', own.trust, ...args], env)
    expect((await serve(['--clips', 'clips'], environment())).err).toMatch(/^EB-USAGE: --clips is "clips"/)
    expect((await serve(['--clips', 's3://clips'], { AWS_ACCESS_KEY_ID: '' })).err).toMatch(/^EB-CONFIG: /)
    expect((await serve(['--s3-endpoint', s3.url], environment())).err).toMatch(/^EB-USAGE: --s3-endpoint/)
    own.remove()
  }, 60_000)
})
