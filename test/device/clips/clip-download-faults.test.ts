/** Downloads that go wrong: each ends with its code, keeps nothing and leaves nothing. */
import { describe, expect, it } from 'vitest'
import type { Answer } from '../../../bootloader-sim/devices/network.ts'
import { servingLimits } from '../../../core/clip-limits.ts'
import { raise } from '../../../core/errors.ts'
import type { FetchRequest } from '../../../core/ports.ts'
import type { ListedClip } from '../../../core/wire/skills.ts'
import { ClipDownload } from '../../../device/clips/clip-download.ts'
import {
  begun,
  type DownloadScene,
  downloadScene,
  heardOf,
  nothingLeft,
  piece,
  sound,
} from './download-scene.ts'
import { about, bytesOf, type ClipWorld, codeOf, placeClip, settled, shaOf } from './fixtures.ts'

/** The hub has another file there, and says that it is the one that was asked for. */
function lies({ world, clip }: DownloadScene, file: Uint8Array): void {
  world.server.bend = ({ range }: FetchRequest, answer: Answer) => {
    const { start = 0, endExclusive = clip.bytes } = range ?? {}
    answer.status = 206
    answer.etag = range?.ifRange ?? null
    answer.contentRange = { start, endExclusive, size: file.length }
    answer.body = file.subarray(start, endExclusive)
  }
}

const bends =
  (bend: (answer: Answer) => void) =>
  ({ world }: DownloadScene) => {
    world.server.bend = (_, answer) => bend(answer)
  }

const flipped = (at: number): Buffer => {
  const wrong = Buffer.from(sound)
  wrong[at] = (wrong[at] ?? 0) ^ 1
  return wrong
}

const bad: readonly (readonly [string, string, (it: DownloadScene) => void])[] = [
  ['whose first piece stays wrong', 'EB-PIECE', (it) => lies(it, flipped(7))],
  ['whose last piece stays wrong', 'EB-PIECE', (it) => lies(it, flipped(sound.length - 1))],
  ['that is shorter at the hub', 'EB-RANGE', (it) => lies(it, sound.subarray(0, 2 * piece))],
  ['that is longer at the hub', 'EB-RANGE', (it) => lies(it, Buffer.concat([sound, sound]))],
  [
    'that is another at the hub',
    'EB-CHANGED',
    ({ world, clip }) => void world.server.files.set(`/clips/${clip.sha256}`, bytesOf('other', sound.length)),
  ],
  [
    'that comes without a range',
    'EB-RANGE',
    bends((answer) => {
      answer.status = 200
      answer.contentRange = null
    }),
  ],
  [
    'that ends early each time',
    'EB-HUB-UNREACHABLE',
    bends((answer) => {
      answer.body = answer.body.subarray(0, 1_000)
    }),
  ],
  [
    'that goes on for ever',
    'EB-ENDLESS',
    bends((answer) => {
      answer.body = Buffer.concat([answer.body, Buffer.alloc(1_000)])
    }),
  ],
  [
    'that drips',
    'EB-SLOW',
    bends((answer) => {
      answer.partMs = 1_000
      answer.partBytes = 10
    }),
  ],
  [
    'that stalls',
    'EB-SLOW',
    bends((answer) => {
      answer.stallAfter = 100
    }),
  ],
  [
    'that the hub does not have',
    'EB-CLIP-MISSING',
    ({ world, clip }) => void world.server.files.delete(`/clips/${clip.sha256}`),
  ],
  [
    'that the hub does not let it have',
    'EB-AUTH',
    bends((answer) => {
      answer.status = 403
    }),
  ],
  [
    'from a hub that is broken',
    'EB-HTTP-STATUS',
    bends((answer) => {
      answer.status = 503
    }),
  ],
  [
    'from a hub that is away',
    'EB-HUB-UNREACHABLE',
    ({ world }) => {
      world.server.up = false
    },
  ],
]

describe('a download', () => {
  it.each(bad)('%s ends with %s, keeps nothing and leaves nothing', async (_, code, change) => {
    const it = await downloadScene()
    change(it)
    const download = begun(it, it.clip)
    const heard = codeOf(heardOf(download))
    expect(await settled(it.world, download.ended)).toMatchObject({ ok: false, error: { code } })
    expect(await settled(it.world, heard)).toBe(code)
    expect(it.world.server.requests.length).toBeLessThanOrEqual(servingLimits.fetchTries + 1)
    expect([...it.store.list()]).toEqual([])
    await nothingLeft(it, 0)
  })

  it('whose whole is not what its pieces make is heard, since each piece is what the list says, and not kept', async () => {
    const it = await downloadScene()
    lies(it, sound)
    const clip = { ...it.clip, sha256: shaOf(Buffer.from('another')) as ListedClip['sha256'] }
    const download = begun(it, clip)
    expect((await settled(it.world, heardOf(download))).equals(sound)).toBe(true)
    expect(await settled(it.world, download.ended)).toMatchObject({ ok: false, error: { code: 'EB-PIECE' } })
    expect([...it.store.list()]).toEqual([])
    await nothingLeft(it, 0)
  })

  it('that the medium does not take fails with the code of the medium, and leaves nothing', async () => {
    for (const code of ['EB-DATA-FULL', 'EB-DATA-IO'] as const) {
      const it = await downloadScene()
      const { world, clip } = it
      world.files.fault = (operation, name) => {
        if (operation === 'append' && name.startsWith('c')) raise(code, 'planted')
      }
      const download = begun(it, clip)
      expect(await settled(world, download.ended)).toMatchObject({ ok: false, error: { code } })
      await nothingLeft(it, 0)
    }
  })

  it('that the index cannot be told of is heard to its end, whatever else is changed meanwhile', async () => {
    const it = await downloadScene()
    const { world, store, clip } = it
    await placeClip(store, about('b'), bytesOf('b', 100))
    world.files.fault = (operation, name) => {
      if (operation === 'append' && name === 'index') raise('EB-DATA-FULL', 'planted')
    }
    const download = begun(it, clip)
    const reader = download.read(0, clip.bytes)
    const heard = [(await settled(world, reader.next())).value]
    expect(await settled(world, download.ended)).toEqual({ ok: true, value: 'not kept' })
    world.files.fault = () => {}
    await store.remove('b')
    for (let next = await reader.next(); next.done !== true; next = await reader.next())
      heard.push(next.value)
    expect(Buffer.concat(heard.map((one) => one ?? Buffer.alloc(0))).equals(sound)).toBe(true)
    await nothingLeft(it, 0)
  })

  it('whose draft cannot be removed ends all the same, and the draft goes later', async () => {
    const it = await downloadScene({ bytes: 100_000 })
    const { world, store, clip } = it
    world.files.fault = (operation) => {
      if (operation === 'remove') raise('EB-DATA-IO', 'planted')
    }
    const download = begun(it, clip)
    expect((await settled(world, heardOf(download))).equals(sound)).toBe(true)
    expect(await settled(world, download.ended)).toMatchObject({ ok: true })
    await world.time.pass(0)
    expect(world.events.map(({ event }) => event)).toContain('clip not removed')
    world.files.fault = () => {}
    await placeClip(store, about('small'), bytesOf('small', 100))
    await nothingLeft(it, 1)
  })

  it('that is closed ends at once, also while it waits for the hub, and so do its listeners', async () => {
    const waits: readonly ((world: ClipWorld) => void)[] = [
      (world) => {
        world.server.bend = (_, answer) => {
          answer.stallAfter = piece + 10
        }
      },
      (world) => {
        world.server.up = false
      },
    ]
    for (const wait of waits) {
      const it = await downloadScene()
      const { world, clip } = it
      wait(world)
      const download = begun(it, clip)
      const heard = codeOf(heardOf(download))
      await world.time.pass(10)
      await download.close()
      expect(await heard).toBe('EB-CANCELLED')
      expect(await download.ended).toMatchObject({ ok: false, error: { code: 'EB-CANCELLED' } })
      await nothingLeft(it, 0)
    }
  })

  it('that is closed before the hub answers takes nothing of the answer', async () => {
    const it = await downloadScene()
    const { world, store, clip } = it
    let answer = (): void => {}
    const ready = new Promise<void>((resolve) => {
      answer = resolve
    })
    const { server } = world
    const late = {
      ...world.ports,
      fetch: { get: (request: Parameters<typeof server.get>[0]) => ready.then(() => server.get(request)) },
    }
    const download = new ClipDownload(
      late,
      store,
      `https://hub/clips/${clip.sha256}`,
      clip,
      about('a'),
      () => true,
    )
    await world.time.pass(10)
    const closed = download.close()
    answer()
    await settled(world, closed)
    expect(server.sent).toBe(0)
    await nothingLeft(it, 0)
  })
})
