import assert from 'node:assert/strict'
import { type DeviceId, parseDeviceId } from '#protocol'
import type { Registry } from '#registry'
import { logOfMeasurements, measuredBoot } from '#simulators'
import { decodeEventLog, replayEventLog } from '#tpm'
import { attested, join, profile } from '../registry/world.js'
import { by } from './world.js'

/** What devices here have booted, as their firmware tells it and as their PCRs hold it. */
export const boot = logOfMeasurements(measuredBoot())
export const booted = replayEventLog(decodeEventLog(boot), 'sha256')

/** A device that has joined with its TPM. */
export async function joined(registry: Registry, id: string): Promise<DeviceId> {
  const device = parseDeviceId(id)
  const attestation = attested(`key of ${id}`, { ek: id })
  await registry.registerDevice({ device, profile, labels: {}, anchor: attestation.anchor }, by)
  await join({ registry, clock: { now: Date.parse('2026-03-01T12:00:00Z') } }, attestation)
  return device
}

/** It quotes what it has booted, and PCR 7 is found bad. */
export async function quoted(registry: Registry, device: DeviceId): Promise<void> {
  const [instance = assert.fail()] = registry.device(device)?.instances ?? []
  const pcrs = Object.fromEntries([0, 7].map((pcr) => [pcr, booted.get(pcr) ?? assert.fail()]))
  const policy = { name: 'gateways', version: 1, mode: 'observe' } as const
  const verdict = { policy, outcome: 'bad', reasons: ['PCR_MISMATCH: PCR 7 has a value'], pcrs } as const
  await registry.recordAttestation({ device, instance, verdict })
}
