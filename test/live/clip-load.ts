/**
 * A program that works on a clip cache as hard as it can until it is killed: `node clip-load.ts DIRECTORY SEED`.
 * Promise: says what it begins and what it was told, a line each, so that whoever kills it knows what must be there.
 */
import { createHash } from 'node:crypto'
import { writeSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { seededRandom } from '../../core/prng.ts'
import { toneSamples, wavOf } from '../../demo/sound.ts'
import { openClipFiles } from '../../device/clips/adapters/clip-files.ts'
import { type ClipService, openClipService } from '../../device/clips/clip-service.ts'
import { loadPorts, loadSettings } from './clip-load-parts.ts'

const ids = 40
const sounds = 24
const loops = 4

const [directory = '', seed = '1'] = process.argv.slice(2)
const random = seededRandom(Number(seed))
const say = (line: object): void => void writeSync(1, `${JSON.stringify(line)}\n`)

const made = Array.from({ length: sounds }, (_, number) => {
  const tone = { number, durationMs: 40 + 90 * number, sampleRate: 16_000 } as const
  const bytes = wavOf(toneSamples(tone), tone.sampleRate)
  return { bytes, sha256: createHash('sha256').update(bytes).digest('hex') }
})

async function work(service: ClipService, loop: number): Promise<never> {
  for (let count = 0; ; count += 1) {
    const op = `${loop}.${count}`
    const id = `clip-${random.below(ids)}`
    const what = random.below(20)
    try {
      if (what < 9) await put(service, op, id)
      else if (what < 15) await play(service, id)
      else if (what < 18) await told(op, { remove: id }, () => service.remove(id))
      else if (what < 19) {
        const skill = skillOf(id)
        await told(op, { skill }, () => service.invalidateSkill(skill))
      } else await told(op, { room: 1 }, () => service.giveWay(100_000))
    } catch (caught) {
      say({ failed: String(caught) })
      process.exit(1)
    }
  }
}

async function put(service: ClipService, op: string, id: string): Promise<void> {
  const sound = made[random.below(sounds)]
  if (sound === undefined) return
  const about = { id, skill: skillOf(id), language: null, pinned: false, ttlMs: 0, claims: {} }
  const own = random.below(8) === 0
  await told(op, { put: id, sha256: sound.sha256 }, () =>
    service.put({ ...about, private: own }, sound.bytes),
  )
}

async function play(service: ClipService, id: string): Promise<void> {
  if (service.peek(id) === null) return
  const playable = await service.get(id).catch(() => null)
  if (playable === null) return
  const hash = createHash('sha256')
  for await (const part of playable.read(0, playable.bytes)) hash.update(part)
  playable.done()
  const sha256 = hash.digest('hex')
  if (!made.some((it) => it.sha256 === sha256)) throw new Error(`clip ${id} is served with wrong bytes`)
}

async function told(op: string, what: object, act: () => Promise<unknown>): Promise<void> {
  say({ begin: op, ...what })
  await act()
  say({ end: op, ...what })
}

function skillOf(id: string): string {
  return `skill-${Number(id.split('-')[1]) % 3}`
}

const files = await openClipFiles(directory)
const service = await openClipService(loadPorts(files), loadSettings)
// Whoever is killed cannot do it at the end.
flushCompileCache()
say({ ready: true })
await Promise.all(Array.from({ length: loops }, (_, loop) => work(service, loop)))
