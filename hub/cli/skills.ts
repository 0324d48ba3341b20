/**
 * `everboot skills list`, `skills show` and `skills withdraw`.
 */
import { type Command, requiredOption } from '../../core/command.ts'
import { raise } from '../../core/errors.ts'
import { bytesText } from '../../core/units.ts'
import { keyDirectory } from '../../keys/adapters/key-directory.ts'
import type { SkillDetailView, SkillView } from '../http/views.ts'
import type { FleetStats } from '../telemetry/fleet.ts'
import { allOf, hubOption, print, table, timeText, withHub } from './common.ts'
import { announce, knownSkill, nextSeq } from './skills-publish.ts'

export const skillsList: Command = {
  name: 'skills list',
  summary: 'List the skills: version, clips, what they share',
  positionals: '',
  positionalsMin: 0,
  positionalsMax: 0,
  options: hubOption,
  run: (input) =>
    withHub(input, async (hub) => {
      const skills = await allOf<SkillView>(hub, 'skills')
      print(input, { skills }, () =>
        skills.length === 0
          ? ['no skills']
          : table(['SKILL', 'VERSION', 'CLIPS', 'CONTENTS', 'SIZE', 'PUBLISHED'], skills.map(row)),
      )
      return 0
    }),
}

export const skillsShow: Command = {
  name: 'skills show',
  summary: 'Show one skill, clip by clip',
  positionals: 'ID',
  positionalsMin: 1,
  positionalsMax: 1,
  options: hubOption,
  run: (input) =>
    withHub(input, async (hub) => {
      const [id = ''] = input.positionals
      const skill = await hub.get<SkillDetailView>(`/v1/skills/${encodeURIComponent(id)}`)
      const rows = skill.listed.map((it) => [
        it.id,
        it.sha256.slice(0, 12),
        bytesText(it.bytes),
        it.sharedWith === 0 ? '-' : `${it.sharedWith}`,
      ])
      print(input, skill, () => [
        headline(skill),
        ...(rows.length === 0 ? [] : ['', ...table(['CLIP', 'CONTENT', 'SIZE', 'SHARED WITH OTHERS'], rows)]),
      ])
      return 0
    }),
}

export const skillsWithdraw: Command = {
  name: 'skills withdraw',
  summary: 'Withdraw a skill: devices drop its clips',
  positionals: 'ID',
  positionalsMin: 1,
  positionalsMax: 1,
  options: {
    ...hubOption,
    keys: { type: 'string', value: 'KEYDIR', means: 'key directory of the publisher (required)' },
  },
  async run(input) {
    const [id = ''] = input.positionals
    const signer = await keyDirectory(requiredOption(input, 'keys')).skillSigner()
    return withHub(input, async (hub) => {
      const known = await knownSkill(hub, id)
      if (known === null)
        raise('EB-NOT-FOUND', `there is no skill ${id}`, { todo: 'see everboot skills list' })
      const { version } = known
      const seq = nextSeq(known, Date.now())
      const answer = known.withdrawn
        ? { ...known, published: false }
        : await announce(hub, signer, { id, seq, version }, null)
      print(input, { id, seq: answer.seq, version, withdrawn: answer.published }, () => [
        known.withdrawn ? `${id} was withdrawn ${timeText(known.atMs)}` : `withdrew ${id} ${version}`,
      ])
      return 0
    })
  },
}

function row(it: SkillView): readonly string[] {
  const { id, version, clips, contents, contentBytes, atMs } = it
  if (it.withdrawn) return [id, version, 'withdrawn', '-', '-', timeText(atMs)]
  return [id, version, `${clips}`, `${contents}`, bytesText(contentBytes), timeText(atMs)]
}

function headline(it: SkillView): string {
  const { id, version, seq, clips, contents, bytes, contentBytes } = it
  const head = `${id}  ${version}  number ${seq}  ${timeText(it.atMs)}`
  if (it.withdrawn) return `${head}: withdrawn`
  const saved = bytesText(bytes - contentBytes)
  return `${head}: ${clips} clips, ${contents} contents, ${bytesText(contentBytes)}, ${saved} shared within the skill`
}

export const skillsStats: Command = {
  name: 'skills stats',
  summary: 'What the clip caches of the fleet are good for, skill by skill',
  positionals: '',
  positionalsMin: 0,
  positionalsMax: 0,
  options: hubOption,
  notes: 'Sums of what devices told last; a device that is away is in them with its last word.',
  run: (input) =>
    withHub(input, async (hub) => {
      const fleet = await hub.get<FleetStats>('/v1/clips/stats')
      print(input, fleet, () => {
        const sums = `${fleet.devices} devices, ${fleet.items} clips in ${fleet.contents} contents, ${bytesText(fleet.sizeBytes)}`
        const use = `${percent(fleet.hitRate)} of ${fleet.hits + fleet.misses} plays found there, ${bytesText(fleet.bytesSaved)} saved by sharing`
        const rows = fleet.skills.map((it) => [
          ...[it.id, `${it.devices}`, `${it.items}`, bytesText(it.bytes), `${it.hits}`, `${it.misses}`],
          percent(it.hitRate),
        ])
        const head = ['SKILL', 'DEVICES', 'CLIPS', 'SIZE', 'HITS', 'MISSES', 'HIT RATE']
        return [sums, use, ...(rows.length === 0 ? [] : ['', ...table(head, rows)])]
      })
      return 0
    }),
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`
}
