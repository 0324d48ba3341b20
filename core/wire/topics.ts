/**
 * The MQTT topics, all below `eb/1/`.
 * Promise: a topic is only made from, and only read back as, a safe device or skill id.
 * Leaves to others: who may use which topic (hub/broker/acl.ts) and the payloads (messages.ts).
 */
import { assert } from '../assert.ts'
import { safeName } from '../units.ts'

export const deviceTopics = ['desired', 'status', 'ack', 'presence', 'telemetry', 'cmd'] as const
export type DeviceTopic = (typeof deviceTopics)[number]

/** `eb/1/d/{id}/{kind}`. */
export function deviceTopic(deviceId: string, kind: DeviceTopic): string {
  assert(safeName.test(deviceId), `device id ${JSON.stringify(deviceId)}`)
  return `eb/1/d/${deviceId}/${kind}`
}

/** What the hub subscribes to, to hear every device. */
export function allDevices(kind: DeviceTopic): string {
  return `eb/1/d/+/${kind}`
}

/** @returns null when the topic is not a device topic. */
export function parseDeviceTopic(
  topic: string,
): { readonly deviceId: string; readonly kind: DeviceTopic } | null {
  const parts = topic.split('/', 6)
  const [root, version, family, deviceId, kind] = parts
  if (parts.length !== 5 || root !== 'eb' || version !== '1' || family !== 'd') return null
  if (deviceId === undefined || !safeName.test(deviceId)) return null
  const known = deviceTopics.find((it) => it === kind)
  return known === undefined ? null : { deviceId, kind: known }
}

/** `eb/1/skills/{id}`, retained. */
export function skillTopic(skillId: string): string {
  assert(safeName.test(skillId), `skill id ${JSON.stringify(skillId)}`)
  return `eb/1/skills/${skillId}`
}

/** What a device subscribes to, to hear of every skill. */
export const allSkills = 'eb/1/skills/+'

/** @returns the id of the skill, or null when the topic is not one of skills. */
export function parseSkillTopic(topic: string): string | null {
  const [, skillId] = /^eb\/1\/skills\/([^/]+)$/.exec(topic) ?? []
  return skillId !== undefined && safeName.test(skillId) ? skillId : null
}
