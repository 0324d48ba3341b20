/**
 * What a committed update leaves on the disk, looked at with the tools of others: cmp, veritysetup,
 * fw_printenv. Then the way back, without a download.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type BoardFile, boardPaths } from '../../bootloader-sim/board-file.ts'
import { bootPartition } from '../../core/boot-record.ts'
import { until } from '../../demo/adapters/desk.ts'
import { cannotRun, openRig, type Rig } from './rig.ts'

function run(program: string, ...args: string[]): string {
  const ran = spawnSync(program, args, { encoding: 'utf8' })
  expect(ran.status, `${program} ${args.join(' ')}: ${ran.stderr}`).toBe(0)
  return ran.stdout
}

describe.skipIf(cannotRun !== null)(`after a commit${cannotRun === null ? '' : `: ${cannotRun}`}`, () => {
  let rig: Rig
  let raw: string
  let disk: string
  let board: BoardFile
  beforeAll(async () => {
    rig = await openRig(null)
    const { stage } = rig
    // The image is made here, so that there is something to compare with.
    await stage.build({ version: 2, flags: [] })
    raw = join(stage.directory, 'v2.img')
    run('truncate', '-s', '220M', raw)
    run('mkfs.ext4', '-q', '-F', '-b', '4096', '-d', join(stage.directory, 'root-2'), raw)
    const file = join(stage.directory, 'raw.ebr')
    const what = ['--product', 'demo', '--version', '2.1', '--security-version', '2', '--hardware', 'sim']
    await stage.command([
      'image',
      'build',
      raw,
      '--out',
      file,
      '--keys',
      join(stage.directory, 'keys'),
      ...what,
    ])
    await stage.rollOut(await stage.publish(file))
    await until('committed', async () => (await stage.device()).attempt?.state === 'succeeded')
    disk = join(stage.directory, 'board', boardPaths.disk)
    board = JSON.parse(readFileSync(join(stage.directory, 'board', boardPaths.board), 'utf8')) as BoardFile
  }, 180_000)
  afterAll(() => rig?.close(), 60_000)

  it('agent and service run from the mounted slot', async () => {
    const status = await rig.stage.board()
    expect(status.slot).toBe('b')
    expect(status.mode).toBe('loop')
    for (const name of ['agent', 'service'] as const) {
      expect(status.processes[name]?.inSlot, name).toBe(true)
      const onDisk = run('sha256sum', join(rig.stage.directory, 'root-2/usr/bin/node')).split(' ')[0]
      expect(status.processes[name]?.sha256).toBe(onDisk)
    }
  })

  it('the image area of the slot equals the raw image, byte for byte', () => {
    const { offset } = board.partitions.b
    const { length } = readFileSync(raw)
    run('cmp', `--ignore-initial=${offset}:0`, `--bytes=${length}`, disk, raw)
  })

  it('veritysetup accepts image and tree', async () => {
    const { offset, bytes } = board.partitions.b
    const slot = join(rig.stage.directory, 'slot-b')
    run(
      'dd',
      `if=${disk}`,
      `of=${slot}`,
      'bs=1M',
      `skip=${offset / 2 ** 20}`,
      `count=${bytes / 2 ** 20}`,
      'status=none',
    )
    const { length } = readFileSync(raw)
    const inspected = await rig.stage.command([
      ...['image', 'inspect', join(rig.stage.directory, 'raw.ebr')],
      ...['--trust', join(rig.stage.directory, 'keys/trust.json')],
    ])
    const root = /"verityRoot":"([0-9a-f]{64})"/.exec(JSON.stringify(inspected))?.[1] ?? 'no root'
    const form = ['--no-superblock', '--salt=-', '--data-block-size=4096', '--hash-block-size=4096']
    run(
      'veritysetup',
      'verify',
      ...form,
      `--data-blocks=${length / 4096}`,
      `--hash-offset=${length}`,
      slot,
      slot,
      root,
    )
  })

  it('fw_printenv reads both copies of the record, and the stamp', () => {
    const print = (offset: number, bytes: number): string => {
      const config = join(rig.stage.directory, 'fw.config')
      const at = board.partitions.boot.offset + offset
      writeFileSync(config, `${disk} 0x${at.toString(16)} 0x${bytes.toString(16)}\n`)
      return run('fw_printenv', '-c', config)
    }
    for (const offset of bootPartition.copyOffsets) {
      const text = print(offset, 65_536)
      expect(text).toContain('st_pri=b')
      expect(text).toContain('b_ok=1')
      expect(text).toContain('floor=1')
    }
    expect(print(bootPartition.stampOffset, 4096)).toBe('floor=1\nst_pri=b\n')
  })

  it('the device goes back to the other slot when asked, without a download, on trial', async () => {
    const { stage } = rig
    const sent = stage.sent.length
    const socket = join(stage.directory, 'board', boardPaths.run, 'everboot/agent.sock')
    expect(await stage.command(['device', 'rollback', '--socket', socket])).toEqual({ outcome: 'rebooting' })
    await until('the board runs version 1', async () => {
      const { slot, version, processes } = await stage.board()
      return slot === 'a' && version === '1' && processes.agent !== null
    })
    await until('the hub sees the drift', async () => (await stage.device()).drift === 'drift')
    expect(stage.sent.slice(sent).filter((it) => it.path.endsWith('.blob'))).toEqual([])
  }, 60_000)
})
