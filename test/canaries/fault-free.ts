/**
 * Two good updates in a row without any fault: into the empty slot, then over the former system, which is
 * barred by it; and a clip that is stored. A program of its own, so that a planted bug can be in force in it; `fault-free.ts tryboot` plays them on
 * a board which is started by tryboot.
 * Promise: status 0 only when both were installed whole, tried once, committed and reported once as done;
 * else 1, and what differs is printed.
 * Leaves to others: planting (plant.ts), faults.
 */
import { isDeepStrictEqual } from 'node:util'
import { readStamp } from '../../core/boot-partition.ts'
import { sealOffset } from '../../images/release/slot-layout.ts'
import { realParts } from '../../proof/adapters/parts.ts'
import type { SimBoard } from '../../proof/board-facts.ts'
import { rehearseClips } from '../../proof/clips/play.ts'
import { type MadeRelease, publisher } from '../../proof/publisher.ts'
import { createWorld, type World } from '../../proof/world.ts'

const id = 'board-1'
const minute = 60_000
/** Boots take no virtual time: a board that goes round in them would never end. */
const bootsMax = 12

/** What is seen of a good update in the end. */
async function outcome(world: World, board: SimBoard, release: MadeRelease, slot: 'a' | 'b') {
  const { a, b, priority, floor } = await board.record()
  const seal = Buffer.from(release.manifest.seal, 'base64')
  const disk = board.slots[slot]
  const seq = world.wanted(id)
  return {
    attempt: world.attemptState(id),
    reports: world.reports(id).filter((it) => it.seq === seq),
    boots: board.boots.join(''),
    ends: board.ends.map((it) => it.code),
    record: { own: { a, b }[slot], priority, floor },
    stamp: await readStamp(board.bootDisk),
    image: Buffer.compare(disk.medium(0, release.image.length), release.image) === 0,
    seal: seal.equals(disk.medium(sealOffset(disk.sizeBytes), seal.length)),
  }
}

/** What must be seen. */
function expected(world: World, release: MadeRelease, slot: 'a' | 'b', boots: string, floor: number) {
  return {
    attempt: 'succeeded',
    reports: [{ seq: world.wanted(id), release: release.manifest.id, result: 'ok' }],
    boots,
    ends: [],
    record: { own: { ok: true, sv: release.manifest.securityVersion, tries: 8 }, priority: slot, floor },
    stamp: { floor, priority: slot },
    image: true,
    seal: true,
  }
}

/** @returns what differs, as lines; none when all is well */
async function faultFree(): Promise<readonly string[]> {
  const make = publisher()
  const [v1, v2, v3] = [
    await make.make('1', 'healthy'),
    await make.make('2', 'healthy', { securityVersion: 2 }),
    await make.make('3', 'healthy', { securityVersion: 3, floorAfterCommit: 3 }),
  ]
  const world = await createWorld(realParts(make))
  const board = await world.addBoard(id, v1, process.argv[2] === 'tryboot' ? { loader: 'tryboot' } : {})
  board.onBoot = () => {
    if (board.boots.length < bootsMax) return
    process.stderr.write(`boots without end: ${board.boots.join('')}\n`)
    process.exit(1)
  }
  await board.powerOn()
  await world.time.pass(minute)
  const updates = [
    { release: v2, slot: 'b', boots: 'ab', floor: 1 },
    { release: v3, slot: 'a', boots: 'aba', floor: 3 },
  ] as const
  const differences: string[] = []
  for (const { release, slot, boots, floor } of updates) {
    await world.publish(release)
    await world.rollOut(release, [id])
    await world.time.pass(10 * minute)
    const seen = await outcome(world, board, release, slot)
    const wanted = expected(world, release, slot, boots, floor)
    if (isDeepStrictEqual(seen, wanted)) continue
    differences.push(`release ${release.manifest.version}: ${JSON.stringify(seen)}`)
    differences.push(`instead of ${JSON.stringify(wanted)}`)
  }
  return differences
}

/** A clip is stored and served, and there after a restart. @returns what differs */
async function clipFree(): Promise<readonly string[]> {
  const { uncut } = await rehearseClips(undefined, ['insert last B'])
  return uncut.violation === null ? [] : [uncut.violation.what]
}

const differences = [...(await faultFree()), ...(await clipFree())]
for (const line of differences) process.stderr.write(`${line}\n`)
if (differences.length > 0) process.exitCode = 1
