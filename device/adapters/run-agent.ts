/**
 * Puts the agent together: reads the configuration, builds the adapters, runs it.
 * Promise: the one composition root of the device; what is secret is refused when others may read it.
 * Leaves to others: everything it puts together.
 */
import { readFileSync, statSync } from 'node:fs'
import { orThrow, raise } from '../../core/errors.ts'
import { decodeTrust } from '../../keys/trust.ts'
import { verifyEd25519 } from '../../keys/verify-node.ts'
import { createAgent } from '../agent.ts'
import { decodeIdentity, decodeSystemConfig, type Identity, type SystemConfig } from '../config.ts'
import { startPulse } from '../service-pulse.ts'
import type { AgentSettings } from '../settings.ts'
import { systemEntropy, systemRandom } from './chance.ts'
import { systemClock } from './clock.ts'
import { inlineCodec } from './codec.ts'
import { serveControl } from './control-socket.ts'
import { configuredDisks } from './disks.ts'
import { openFileStore } from './file-store.ts'
import { readHandOver } from './hand-over.ts'
import { httpFetch } from './http-fetch.ts'
import { inhibitFiles } from './inhibit-files.ts'
import { lockInstance } from './instance-lock.ts'
import { lineEvents } from './log.ts'
import { systemMachine } from './machine.ts'
import { mqttLink } from './mqtt-link.ts'
import { openReleaseFile } from './release-file.ts'
import { agentClips } from './run-clips.ts'
import { systemdManager } from './systemd-notify.ts'

/** What an agent is told by its files. */
export interface AgentConfig {
  readonly system: SystemConfig
  readonly identity: Identity
  readonly settings: AgentSettings
}

/** @param configPath the system's configuration file. @throws EverbootError EB-CONFIG, EB-KEY */
export function readAgentConfig(configPath: string): AgentConfig {
  const system = orThrow(decodeSystemConfig(readConfig(configPath), configPath))
  const identity = orThrow(decodeIdentity(readSecret(system.identity), system.identity))
  return { system, identity, settings: settingsOf(system, identity) }
}

/** @param configPath the system's configuration file. Returns after SIGTERM or SIGINT. @throws EverbootError */
export async function runAgent(configPath: string): Promise<void> {
  const { system, identity, settings } = readAgentConfig(configPath)
  // A console that is gone is no reason to stop.
  process.stdout.on('error', () => {})
  const events = lineEvents((line) => void process.stdout.write(line))
  const manager = systemdManager(process.env, events)
  const files = await openFileStore(system.data)
  const unlock = await lockInstance(system.data)
  const machine = systemMachine({
    handOver: readHandOver(system.handOver),
    hardware: system.hardware,
    watchdog: system.watchdog,
    reboot: system.reboot,
    lastConsole: system.lastConsole,
    bootTrace: system.bootTrace,
    pstore: system.pstore,
    hooks: system.hooks,
    flags: system.tryboot?.flags ?? null,
  })
  const clips = system.clips === undefined ? undefined : agentClips(system.clips, settings, identity, events)
  const agent = createAgent(
    {
      ...(clips === undefined ? {} : { clips }),
      clock: systemClock,
      random: systemRandom,
      entropy: systemEntropy,
      disks: configuredDisks(system.boot, system.slots, system.tryboot?.autoboot),
      files,
      link: mqttLink(
        { url: identity.mqtt, deviceId: identity.deviceId, token: identity.token, ca: identity.ca },
        systemRandom,
      ),
      fetch: httpFetch({ origin: identity.http, ca: identity.ca, token: identity.token }),
      machine,
      codec: inlineCodec,
      events,
      inhibitors: inhibitFiles(
        system.inhibit.directory,
        system.inhibit.step,
        events,
        systemClock.monotonicMs,
      ),
      openReleaseFile: (path) => openReleaseFile(path, settings),
    },
    settings,
  )
  const stop = (): void => agent.stop()
  for (const signal of stopSignals) process.on(signal, stop)
  try {
    const control = await serveControl(system.socket, agent)
    const pulse = manager === null ? null : startPulse(systemClock, agent, manager)
    clips?.start()
    try {
      await agent.run()
    } finally {
      control.close()
      await clips?.close()
      await pulse?.stop()
    }
    // Only an orderly end: an agent that fails on a trial must not disarm what watches over it.
    machine.disarm()
  } finally {
    for (const signal of stopSignals) process.off(signal, stop)
    unlock()
  }
}

const stopSignals = ['SIGTERM', 'SIGINT'] as const

function settingsOf(system: SystemConfig, identity: Identity): AgentSettings {
  return {
    deviceId: identity.deviceId,
    product: system.product,
    hubUrl: identity.http,
    trust: orThrow(decodeTrust(readConfig(system.trust), system.trust)),
    verify: verifyEd25519,
    wrappingKey: Buffer.from(identity.wrappingKey, 'hex'),
    partitions: Object.keys(system.slots.a),
    health: system.health,
    rebootDelayMs: system.rebootDelayMs,
    tryboot: system.tryboot,
  }
}

function readConfig(path: string): Uint8Array {
  try {
    return readFileSync(path)
  } catch (cause) {
    raise('EB-CONFIG', `${path} cannot be read (${(cause as NodeJS.ErrnoException).code})`, { cause })
  }
}

/** The identity holds token and key: a file that others may read is refused. */
function readSecret(path: string): Uint8Array {
  const bytes = readConfig(path)
  if ((statSync(path).mode & 0o077) !== 0) {
    raise('EB-KEY', `${path} can be read by others`, { todo: `chmod 600 ${path}` })
  }
  return bytes
}
