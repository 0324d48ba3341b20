/**
 * The settings of the clip cache, from the configuration of the agent.
 */
import { cacheLimits } from '../../core/clip-limits.ts'
import type { ClipsConfig } from '../config.ts'
import type { AgentSettings } from '../settings.ts'
import { earliestWallMs } from '../update/assignment.ts'
import type { ClipSettings } from './clip-service.ts'

export function clipSettings(config: ClipsConfig, agent: AgentSettings): ClipSettings {
  const { bytes, items, ttlSeconds, staleSeconds, memoryBytes, reserveBytes, quotas, quotaBytes, skills } =
    config
  return {
    limits: {
      ...{ bytes, items },
      ttlMs: ttlSeconds * 1000,
      pinnedBytes: Math.floor(bytes * cacheLimits.pinnedShare),
      quotas: new Map(Object.entries(quotas)),
      quotaDefault: quotaBytes ?? Number.POSITIVE_INFINITY,
    },
    ...{ memoryBytes, reserveBytes },
    staleMs: staleSeconds * 1000,
    earliestWallMs,
    wrappingKey: agent.wrappingKey,
    hubUrl: agent.hubUrl,
    ring: agent.trust.skill,
    verify: agent.verify,
    skills: skills === undefined ? null : new Set(skills),
  }
}
