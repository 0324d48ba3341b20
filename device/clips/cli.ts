/**
 * `everboot clips …`: the clip cache of this device, asked over its socket.
 * Leaves to others: the cache (clip-service.ts), and who starts it.
 */

import { cacheLimits } from '../../core/clip-limits.ts'
import {
  type Command,
  type CommandInput,
  type CommandOption,
  flagOption,
  numberOption,
  requiredOption,
  textOption,
} from '../../core/command.ts'
import { raise } from '../../core/errors.ts'
import { bytesText } from '../../core/units.ts'
import { type ClipClient, clipClient, type Invalid } from './adapters/clip-client.ts'
import { fromFile, refuseTerminal, toFile, toStandardOutput } from './adapters/clip-output.ts'
import { clipListHead, clipRow, clipText, durationText, flagsMean, statsText } from './cli-tables.ts'

const defaultSocket = '/run/everboot/clips.sock'

const socketOption = {
  socket: { type: 'string', value: 'PATH', means: `socket of the cache (default ${defaultSocket})` },
} as const satisfies Record<string, CommandOption>

const none = { positionals: '', positionalsMin: 0, positionalsMax: 0, options: socketOption } as const
const oneClip = { positionals: 'ID', positionalsMin: 1, positionalsMax: 1, options: socketOption } as const

function clientOf(input: CommandInput): ClipClient {
  return clipClient(textOption(input, 'socket') ?? defaultSocket, input.io.interrupted)
}

/** Prints what came: as JSON, or as a line for people. */
function say(input: CommandInput, document: unknown, line: string): number {
  input.io.out(input.json ? JSON.stringify(document) : line)
  return 0
}

const get: Command = {
  name: 'clips get',
  summary: 'Write the sound of a clip to a file or to standard output',
  ...oneClip,
  options: {
    ...socketOption,
    out: { type: 'string', value: 'FILE', means: 'where to; - is standard output (default)' },
  },
  notes:
    'A clip that is not here and that a skill lists is fetched from the hub. FILE is there whole or not at all.\nExample: everboot clips get good-morning | aplay',
  async run(input) {
    const [id = ''] = input.positionals
    const out = textOption(input, 'out') ?? '-'
    if (out === '-') {
      if (input.json) raise('EB-USAGE', 'with --json the sound cannot go to standard output: give --out FILE')
      refuseTerminal()
      await toStandardOutput((await clientOf(input).get(id)).parts)
      return 0
    }
    const { parts, type, bytes, from } = await clientOf(input).get(id)
    await toFile(out, parts)
    return say(input, { id, out, bytes, type, from }, `${out}: ${bytesText(bytes)} of ${type}, from ${from}`)
  },
}

const put: Command = {
  name: 'clips put',
  summary: 'Store a sound on this device',
  ...{ positionals: 'FILE', positionalsMin: 1, positionalsMax: 1 },
  options: {
    ...socketOption,
    id: { type: 'string', value: 'ID', means: 'name of the clip (required)' },
    skill: { type: 'string', value: 'SKILL', means: 'skill that it belongs to (required)' },
    language: { type: 'string', value: 'TAG', means: 'language that is spoken, such as en-GB' },
    private: { type: 'boolean', means: 'never shared, with a key of its own, which forget destroys' },
    pinned: { type: 'boolean', means: 'not evicted while there is room for it' },
    ttl: {
      type: 'string',
      value: 'SECONDS',
      means: 'how long it lives; 0: for ever (default: as configured)',
    },
  },
  notes:
    'FILE is mp3, wav, ogg or flac of 8, 16, 22.05, 44.1 or 48 kHz.\nExample: everboot clips put hello.wav --id hello --skill greetings --language en-GB',
  async run(input) {
    const id = requiredOption(input, 'id')
    const ttl = numberOption(input, 'ttl', 0, cacheLimits.ttlMsMax / 1000)
    const language = textOption(input, 'language')
    const said = {
      skill: requiredOption(input, 'skill'),
      ...(language === undefined ? {} : { language }),
      ...(ttl === undefined ? {} : { ttl: `${ttl}` }),
      ...(flagOption(input, 'private') ? { private: '1' } : {}),
      ...(flagOption(input, 'pinned') ? { pinned: '1' } : {}),
    }
    const file = await fromFile(input.positionals[0] ?? '')
    const stored = await clientOf(input).put(id, { ...file, said })
    const { placed, clip } = stored
    const { format, durationMs } = clip.audio
    const sound = `${format}, ${durationText(durationMs)}, ${bytesText(clip.bytes)}`
    return say(input, stored, `${id}: ${placedMeans[placed]} (${sound})`)
  },
}

const placedMeans = {
  added: 'stored',
  alias: 'stored; its sound was here already',
  replaced: 'stored in place of another sound',
  same: 'was stored already; its life begins anew',
} as const

const list: Command = {
  name: 'clips list',
  summary: 'The clips that are stored on this device',
  ...none,
  options: {
    ...socketOption,
    skill: { type: 'string', value: 'SKILL', means: 'of this skill only' },
  },
  notes: flagsMean,
  async run(input) {
    const pages = clientOf(input).list(textOption(input, 'skill'))
    if (input.json) {
      const clips = []
      for await (const page of pages) clips.push(...page)
      return say(input, { clips }, '')
    }
    let clips = 0
    for await (const page of pages) {
      if (clips === 0 && page.length > 0) input.io.out(clipListHead)
      clips += page.length
      for (const clip of page) input.io.out(clipRow(clip))
    }
    if (clips === 0) input.io.out('no clips')
    return 0
  },
}

const show: Command = {
  name: 'clips show',
  summary: 'All that is known of a clip',
  ...oneClip,
  async run(input) {
    const clip = await clientOf(input).show(input.positionals[0] ?? '')
    return say(input, clip, clipText(clip))
  },
}

const stats: Command = {
  name: 'clips stats',
  summary: 'How full the clip cache is and what it is good for',
  ...none,
  notes: 'Figures count from when the cache was made, over restarts; those of skills from the last start.',
  async run(input) {
    const figures = await clientOf(input).stats()
    return say(input, figures, statsText(figures))
  },
}

const remove: Command = {
  name: 'clips remove',
  summary: 'Let a clip go; others with the same sound stay',
  ...oneClip,
  async run(input) {
    const [id = ''] = input.positionals
    await clientOf(input).remove(id)
    return say(input, { id, gone: 1 }, `${id}: removed`)
  },
}

const forget: Command = {
  name: 'clips forget',
  summary: 'Let a clip go and destroy the key of a private one',
  ...oneClip,
  async run(input) {
    const [id = ''] = input.positionals
    await clientOf(input).forget(id)
    return say(input, { id, gone: 1 }, `${id}: forgotten`)
  },
}

const invalidate: Command = {
  name: 'clips invalidate',
  summary: 'Let the clips of a skill go, or all with a certain sound',
  ...none,
  options: {
    ...socketOption,
    skill: { type: 'string', value: 'SKILL', means: 'all clips of this skill' },
    content: { type: 'string', value: 'SHA256', means: 'all clips whose sound has this SHA-256, in hex' },
  },
  async run(input) {
    const skill = textOption(input, 'skill')
    const content = textOption(input, 'content')
    if ((skill === undefined) === (content === undefined)) raise('EB-USAGE', 'give --skill or --content')
    return invalidated(input, skill === undefined ? { content: content ?? '' } : { skill })
  },
}

const clear: Command = {
  name: 'clips clear',
  summary: 'Let all clips go, pinned and private ones too',
  ...none,
  options: {
    ...socketOption,
    yes: { type: 'boolean', means: 'they go for good: what is private or was not shared is nowhere else' },
  },
  run(input) {
    if (!flagOption(input, 'yes')) {
      raise('EB-USAGE', 'clips that are private or were not shared are nowhere else: give --yes to drop all')
    }
    return invalidated(input, { all: true })
  },
}

async function invalidated(input: CommandInput, what: Invalid): Promise<number> {
  const gone = await clientOf(input).invalidate(what)
  return say(input, { gone }, `${gone} ${gone === 1 ? 'clip' : 'clips'} dropped`)
}

const pin: Command = {
  name: 'clips pin',
  summary: 'Keep a clip from being evicted',
  ...oneClip,
  run: (input) => pinned(input, true),
}

const unpin: Command = {
  name: 'clips unpin',
  summary: 'Let a clip be evicted again',
  ...oneClip,
  run: (input) => pinned(input, false),
}

async function pinned(input: CommandInput, is: boolean): Promise<number> {
  const [id = ''] = input.positionals
  const clip = await clientOf(input).pin(id, is)
  return say(input, clip, `${id}: ${is ? 'pinned' : 'not pinned'}`)
}

const share: Command = {
  name: 'clips share',
  summary: 'Have the hub keep a clip too, so that it comes back when it had to give way',
  ...oneClip,
  async run(input) {
    const [id = ''] = input.positionals
    const sent = await clientOf(input).share(id)
    const how = sent === 0 ? 'the hub had its sound already' : `${bytesText(sent)} sent`
    return say(input, { id, sent }, `${id}: shared, ${how}`)
  },
}

const prefetch: Command = {
  name: 'clips prefetch',
  summary: 'Fetch what a skill lists and is not here',
  ...{ positionals: 'SKILL', positionalsMin: 1, positionalsMax: 1, options: socketOption },
  async run(input) {
    const [skill = ''] = input.positionals
    const wanted = await clientOf(input).prefetch(skill)
    return say(input, { skill, wanted }, `${skill}: ${wanted} clips to be fetched`)
  },
}

export const commands: readonly Command[] = [
  ...[get, put, list, show, stats, remove, forget],
  ...[invalidate, clear, pin, unpin, share, prefetch],
]
