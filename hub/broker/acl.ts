/**
 * Who may use which topic: a device its own, and those only in their direction; those of skills for hearing only.
 * Promise: decided from the authenticated id and the topic alone; wildcards other than that for all skills, other
 * devices' topics and everything unknown are refused; only presence may be retained by a device.
 * Leaves to others: what happens to a refused message (adapters/embedded.ts).
 */
import { hubLimits } from '../../core/limits.ts'
import { allSkills, type DeviceTopic, parseDeviceTopic, parseSkillTopic } from '../../core/wire/topics.ts'

const devicePublishes: readonly DeviceTopic[] = ['status', 'presence', 'telemetry']
const deviceSubscribes: readonly DeviceTopic[] = ['desired', 'ack', 'cmd']

/** @returns the kind of topic when the device may publish there, otherwise why not. */
export function mayPublish(
  deviceId: string,
  packet: { readonly topic: string; readonly retain: boolean; readonly payloadBytes: number },
): { readonly kind: DeviceTopic } | { readonly refused: string } {
  const topic = parseDeviceTopic(packet.topic)
  if (topic === null || !devicePublishes.includes(topic.kind)) return { refused: 'not a topic of a device' }
  if (topic.deviceId !== deviceId) return { refused: 'the topic of another device' }
  if (packet.retain && topic.kind !== 'presence') return { refused: 'only presence may be retained' }
  if (topic.kind === 'presence' && packet.payloadBytes > hubLimits.presenceBytesMax) {
    return { refused: 'presence is too long' }
  }
  return topic
}

export function maySubscribe(deviceId: string, filter: string): boolean {
  if (filter === allSkills || parseSkillTopic(filter) !== null) return true
  const topic = parseDeviceTopic(filter)
  return topic !== null && topic.deviceId === deviceId && deviceSubscribes.includes(topic.kind)
}

/** A will may only speak of the device's own presence. */
export function mayLeaveWill(deviceId: string, topic: string): boolean {
  const parsed = parseDeviceTopic(topic)
  return parsed !== null && parsed.deviceId === deviceId && parsed.kind === 'presence'
}
