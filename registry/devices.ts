import {
  type DeviceId,
  formatLockTarget,
  type InstanceId,
  type Labels,
  type LockTarget,
  type OperatorFacts,
} from '#protocol'
import { attestationOf, type Attested } from './attestations.js'
import { checkLabels, checkNewDevice, type NewDevice, type RevokeOrder } from './checks.js'
import type { Shutting } from './journal.js'
import type { Registrar } from './registrar.js'
import { reportOf } from './reports.js'

/** So many records wait for the disk together, however large the fleet is. */
const rotatedTogether = 1000

/** What is done to devices, by operators and for them; see {@link Registry} for what each promises. */
export class Devices {
  readonly #registrar: Registrar

  constructor(registrar: Registrar) {
    this.#registrar = registrar
  }

  /** @throws RegistryError ID_TAKEN, ANCHOR_TAKEN, LABEL_INVALID */
  async register(device: NewDevice, by: OperatorFacts): Promise<void> {
    checkNewDevice(this.#registrar.state, device)
    const { anchor, ...facts } = device
    const found = { anchorKind: anchor.kind, anchorHash: anchor.hash }
    return this.#registrar.enter({ event: 'device.register', ...facts, ...found, ...by })
  }

  /** @throws RegistryError DEVICE_UNKNOWN, LABEL_INVALID */
  async label(device: DeviceId, labels: Labels, by: OperatorFacts): Promise<void> {
    this.#registrar.requireDevice(device)
    checkLabels(labels)
    const done = this.#registrar.enter({ event: 'device.label', device, labels, ...by })
    this.#registrar.tell({ kind: 'labels', device })
    return done
  }

  /** @throws RegistryError DEVICE_UNKNOWN */
  async rotate(devices: readonly DeviceId[], target: LockTarget, by: OperatorFacts): Promise<void> {
    for (const device of devices) this.#registrar.requireDevice(device)
    for (let at = 0; at < devices.length; at += rotatedTogether) {
      const rotated = devices.slice(at, at + rotatedTogether).map(async (device) => {
        return this.#registrar.enter({ event: 'device.rotate', device, target: formatLockTarget(target), ...by })
      })
      await Promise.all(rotated)
    }
  }

  /** @throws RegistryError DEVICE_UNKNOWN */
  revoke(device: DeviceId, order: RevokeOrder): Shutting {
    const { state, now } = this.#registrar
    this.#registrar.requireDevice(device)
    const epoch = state.epoch + 1
    const recording = this.#registrar.shut({ event: 'device.revoke', device, ...order, at: now(), epoch })
    this.#registrar.tell({ kind: 'revoked', device })
    return { ...recording, epoch }
  }

  async recordReport(instance: InstanceId, reported: Labels, peer?: string): Promise<void> {
    const report = reportOf(this.#registrar.state, instance, reported, peer)
    if (report === undefined) return
    const done = this.#registrar.enter(report)
    this.#registrar.tell({ kind: 'reported', device: report.device })
    return done
  }

  /** @throws RegistryError DEVICE_UNKNOWN */
  async recordAttestation(attested: Attested): Promise<void> {
    this.#registrar.requireDevice(attested.device)
    return this.#registrar.enter(attestationOf(attested, this.#registrar.now()))
  }
}
