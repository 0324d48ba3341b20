/**
 * The commands of the hub.
 */
import type { Command } from '../../core/command.ts'
import { devicesAdd, devicesList } from './devices.ts'
import { devicesShow } from './devices-show.ts'
import { publish } from './publish.ts'
import { rolloutCreate } from './rollout-create.ts'
import { rolloutList, rolloutStatus } from './rollout-status.ts'
import { serve } from './serve.ts'
import { skillsList, skillsShow, skillsStats, skillsWithdraw } from './skills.ts'
import { skillsPublish } from './skills-publish.ts'

export const commands: readonly Command[] = [
  serve,
  publish,
  devicesAdd,
  devicesList,
  devicesShow,
  rolloutCreate,
  rolloutStatus,
  rolloutList,
  skillsPublish,
  skillsList,
  skillsShow,
  skillsStats,
  skillsWithdraw,
]
