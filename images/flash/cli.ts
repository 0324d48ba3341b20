/**
 * `everboot flash`: an image onto a card, a stick or any other disk.
 * Promise: without a terminal nothing is overwritten unless `--yes` was given; secrets are taken from files and
 * variables, never from the command line.
 * Leaves to others: the work (adapters/flash.ts).
 */
import { type Command, type CommandInput, flagOption, listOption, textOption } from '../../core/command.ts'
import { raise } from '../../core/errors.ts'
import { flashLimits } from '../../core/limits.ts'
import { firstBootFrom } from './adapters/first-boot-input.ts'
import { type Flashed, flash, flashedText } from './adapters/flash.ts'
import { machineFacts } from './adapters/machine-facts.ts'
import { askTerminal } from './adapters/question.ts'
import { diskTable, listDisks } from './disk-list.ts'
import { firstBootName } from './first-boot.ts'
import { barLine, plainLine, timeText } from './flash-line.ts'

const command: Command = {
  name: 'flash',
  summary: 'Write a disk image to a card or stick, and check it',
  positionals: 'IMAGE DISK',
  positionalsMin: 0,
  positionalsMax: 2,
  options: {
    list: { type: 'boolean', means: 'list the disks that an image can be written to' },
    'any-disk': { type: 'boolean', means: 'also disks that are not removable; never one in use' },
    yes: { type: 'boolean', means: 'overwrite the disk without asking' },
    'no-eject': { type: 'boolean', means: 'leave the disk connected' },
    'first-boot': { type: 'string', value: 'FILE.json', means: 'what the device needs at its first boot' },
    'hub-url': { type: 'string', value: 'URL', means: 'the hub that the device belongs to' },
    identity: { type: 'string', value: 'FILE', means: 'credentials: the file of everboot devices add' },
    wifi: {
      type: 'string',
      value: 'SSID:env:NAME',
      means: 'network, its password in a variable; or SSID:file:PATH, SSID:open',
    },
    'ssh-key': { type: 'string', value: 'FILE.pub', multiple: true, means: 'who may log in by SSH' },
  },
  notes: `IMAGE is a raw disk image, or one in .gz, .xz, .zst or .zip. DISK is a whole disk such as /dev/sdb; a plain
file is taken too. Without DISK the disks are listed. Everything written is read back and compared.
Example: everboot flash board.img.xz /dev/sdb --identity device.json --wifi home:env:WIFI_PASSWORD`,
  async run(input) {
    const [image, disk] = input.positionals
    if (image === undefined || disk === undefined || flagOption(input, 'list')) return list(input)
    const started = performance.now()
    const done = await flash({
      image,
      disk,
      anyDisk: flagOption(input, 'any-disk'),
      eject: !flagOption(input, 'no-eject'),
      firstBoot: await firstBootOf(input),
      signal: input.io.interrupted,
      confirm: (target, name) => confirm(input, target, name),
      progress: progressOf(input),
    })
    print(input, done, performance.now() - started)
    return 0
  },
}

export const commands: readonly Command[] = [command]

/** The list; where a disk was wanted, then says so. */
async function list(input: CommandInput): Promise<number> {
  const disks = listDisks(await machineFacts(), flagOption(input, 'any-disk'))
  const asked = flagOption(input, 'list') || input.positionals.length === 0
  if (input.json && asked) input.io.out(JSON.stringify({ disks }))
  else if (!input.json) for (const line of diskTable(disks)) input.io.out(line)
  if (asked) return 0
  raise('EB-USAGE', 'the disk to write to is missing', {
    todo: `everboot flash ${input.positionals[0]} /dev/NAME`,
  })
}

function firstBootOf(input: CommandInput): ReturnType<typeof firstBootFrom> {
  const options = {
    file: textOption(input, 'first-boot') ?? null,
    hubUrl: textOption(input, 'hub-url') ?? null,
    identity: textOption(input, 'identity') ?? null,
    wifi: textOption(input, 'wifi') ?? null,
    sshKeys: listOption(input, 'ssh-key'),
  }
  return firstBootFrom(options, input.io.environment)
}

/** Only the name of the disk counts as a yes: it has to be read to be typed. */
async function confirm(input: CommandInput, target: string, name: string): Promise<void> {
  const { io } = input
  if (flagOption(input, 'yes')) return
  io.err(`Everything on ${target} will be overwritten.`)
  const answer = await askTerminal(`Type ${name} to go on: `, io.interrupted)
  if (answer === null) {
    raise('EB-DISK-UNCONFIRMED', 'there is no terminal to ask at', {
      todo: 'give --yes to overwrite it unasked',
    })
  }
  if (answer === name || answer === `/dev/${name}`) return
  raise('EB-DISK-UNCONFIRMED', `${JSON.stringify(answer)} is not ${name}; nothing was written`)
}

/** A bar on a terminal, a line now and then elsewhere. */
function progressOf(input: CommandInput): (phase: string, done: number, total: number) => void {
  const { io } = input
  let name = ''
  let beganMs = 0
  let shownMs = 0
  return (phase, done, total) => {
    const now = performance.now()
    const isNew = phase !== name
    if (isNew) {
      name = phase
      beganMs = now
      shownMs = now
    }
    const ended = done >= total && total > 0
    const pauseMs = io.terminal ? flashLimits.reportMs : flashLimits.lineMs
    if (!isNew && !ended && now - shownMs < pauseMs) return
    shownMs = now
    const line = { name, done, total, elapsedMs: now - beganMs }
    if (io.terminal) io.draw(barLine(line, io.columns))
    else if (ended || !isNew) io.err(plainLine(line))
  }
}

function print(input: CommandInput, done: Flashed, elapsedMs: number): void {
  const { disk, bytes, sha256, ejected, firstBoot } = done
  const { io } = input
  if (input.json) {
    io.out(JSON.stringify({ disk, bytes, sha256, ejected, firstBoot, seconds: elapsedMs / 1000 }))
    return
  }
  const line = (name: string, text: string): void => io.out(`${name.padEnd(12)}${text}`)
  line('flashed', `${flashedText(done)}, written and read back in ${timeText(elapsedMs)}`)
  line('sha256', sha256)
  if (firstBoot !== null) line('first boot', `${firstBootName} on partition ${firstBoot.number}`)
  if (!disk.startsWith('/dev/')) return
  line('ejected', ejected === null ? 'no; all is on the disk, it can be removed' : `by ${ejected}; remove it`)
}
