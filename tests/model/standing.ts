import type { AuditRecord, DeviceId } from '#protocol'
import type { ModelLabels, ModelPolicy } from './policies.js'
import { isInside, rolesOf, type Who } from './reference.js'

export type RecordOf<Event extends AuditRecord['event']> = Extract<AuditRecord, { event: Event }>

/** A connection that the log knows of. */
export interface Connected {
  readonly device: DeviceId
  readonly address: string
  /** The filters of its session, also of the connections before. */
  readonly asked: string[]
}

/**
 * What stood at a place in an audit log, from the records before it: the policy in force, labels, certificates, locks and
 * revocations. Worked out anew from the words of the specification, by nothing of the registry's.
 */
export class Standing {
  /** By the name of their session's records; those that are over are remembered. */
  readonly connected = new Map<string, Connected>()
  readonly live = new Set<string>()
  readonly #policies: ReadonlyMap<number, ModelPolicy>
  readonly #devices = new Map<DeviceId, Device>()
  /** Of certificates, by their serial numbers. */
  readonly #tiers = new Map<string, string>()
  readonly #locks = new Map<string, Pick<RecordOf<'lock.add'>, 'target' | 'mode'>>()
  /** When what a device or a connection had said before last ceased to be heard. */
  readonly #silencedAt = new Map<string, number>()
  readonly #leaving = new Set<DeviceId>()
  readonly #quarantinedAt = new Map<DeviceId, number>()
  readonly #sessions = new Map<string, Connected>()
  #version = 0

  constructor(policies: ReadonlyMap<number, ModelPolicy>) {
    this.#policies = policies
  }

  get version(): number {
    return this.#version
  }

  get policy(): ModelPolicy | undefined {
    return this.#policies.get(this.#version)
  }

  follow(record: AuditRecord): void {
    if (record.event === 'session.connect') this.#connect(record)
    else if (record.event === 'session.end') this.live.delete(record.session)
    else if (this.#change(record)) this.#noteWhoIsOut(record.sequence)
  }

  /** What a device may be; two, while it is about to leave quarantine: the end of a lock acts when it is on the disk. */
  who(device: DeviceId): readonly Who[] {
    const { labels = {}, tier } = this.#devices.get(device) ?? {}
    const standings = this.#leaving.has(device) ? [true, false] : [this.isQuarantined(device)]
    return standings.map((quarantined) => ({ id: device, labels, tier, quarantined }))
  }

  /** Whether it was revoked, or a lock of any mode is on it; `address`: where it comes from. */
  isLocked(device: DeviceId, address?: string): boolean {
    return this.#isRevoked(device) || this.#modesOn(device, address).length > 0
  }

  /** By a revocation, a lock, or a quarantine that the policy in force knows nothing of. */
  isKeptOut(device: DeviceId, address?: string): boolean {
    const modes = this.#modesOn(device, address)
    return this.#isRevoked(device) || modes.some((mode) => mode !== 'quarantine' || !this.policy?.quarantine)
  }

  isQuarantined(device: DeviceId): boolean {
    return !this.isKeptOut(device) && this.#modesOn(device).length > 0
  }

  /** Of the certificate that the device has shown last. */
  serialOf(device: DeviceId): string | undefined {
    return this.#devices.get(device)?.serial
  }

  /** Everywhere that the other end of a session may be; after a restart it is known to the broker only. */
  whereabouts({ device, session }: { readonly device: DeviceId; readonly session: string }): readonly string[] {
    const known = this.connected.get(session)
    if (known) return [known.address]
    const others = [...this.connected.values()].filter((other) => other.device === device)
    return [...new Set(others.map(({ address }) => address))]
  }

  /** Whether what was said at this place in the log was taken back later, with all that its publisher had said. */
  isTakenBack(said: RecordOf<'message.publish'>): boolean {
    const silencedAt = [said.device, said.session].map((name) => this.#silencedAt.get(name) ?? -1)
    return said.sequence < Math.max(...silencedAt)
  }

  wasQuarantinedSince({ device, sequence }: RecordOf<'message.publish'>): boolean {
    return sequence < (this.#quarantinedAt.get(device) ?? -1)
  }

  /** When anything last gave the device other rights. */
  changedAt(device: DeviceId): number {
    return this.#devices.get(device)?.changedAt ?? -1
  }

  #isRevoked(device: DeviceId): boolean {
    return this.#devices.get(device)?.revoked === true
  }

  #connect({ device, session, clientId, peer, sessionPresent }: RecordOf<'session.connect'>): void {
    const asked = (sessionPresent && this.#sessions.get(clientId)?.asked) || []
    const connected = { device, address: addressOf(peer), asked }
    this.connected.set(session, connected)
    this.#sessions.set(clientId, connected)
    this.live.add(session)
  }

  /** Whether it was one. */
  #change(record: AuditRecord): boolean {
    const { event } = record
    if (event === 'policy.activate') {
      this.#version = record.policyVersion
      this.#touch([...this.#devices.keys()], record, {})
    } else if (event === 'device.register') {
      this.#touch([record.device], record, { labels: record.labels, anchor: `ek:${record.anchorHash}` })
    } else if (event === 'device.label') this.#touch([record.device], record, { labels: record.labels })
    else if (event === 'device.enroll' || event === 'device.renew') this.#keepTier(record)
    else if (event === 'device.promote') this.#use(record)
    else if (event === 'device.revoke') this.#touch([record.device], record, { revoked: true })
    else if (event === 'lock.add') this.#locks.set(record.lock, record)
    else if (event === 'lock.remove' || event === 'lock.expire') this.#locks.delete(record.lock)
    else if (event === 'device.release') this.#leaving.delete(record.device)
    else return false
    return true
  }

  /** Of a certificate that is not used yet; until the device has used any, its own. */
  #keepTier({ device, serial, tier, sequence }: RecordOf<'device.enroll' | 'device.renew'>): void {
    this.#tiers.set(serial, tier)
    if (this.serialOf(device) === undefined) this.#touch([device], { sequence }, { tier })
  }

  /** The same tier gives the same rights. */
  #use({ device, serial, sequence }: RecordOf<'device.promote'>): void {
    const tier = this.#tiers.get(serial)
    const before = this.#devices.get(device)
    const isSame = tier === before?.tier
    this.#touch([device], { sequence: isSame ? (before?.changedAt ?? -1) : sequence }, { serial, tier })
  }

  #touch(devices: readonly DeviceId[], { sequence }: { readonly sequence: number }, now: Partial<Device>): void {
    for (const id of devices) this.#devices.set(id, { ...this.#devices.get(id), ...now, changedAt: sequence })
  }

  #noteWhoIsOut(sequence: number): void {
    for (const [id, { quarantined = false }] of this.#devices) {
      if (this.isKeptOut(id)) this.#silencedAt.set(id, sequence)
      const now = this.isQuarantined(id)
      if (now && !quarantined) this.#quarantinedAt.set(id, sequence)
      if (now || this.isKeptOut(id)) this.#leaving.delete(id)
      else if (quarantined) this.#leaving.add(id)
      if (now !== quarantined) this.#touch([id], { sequence }, { quarantined: now })
    }
    for (const session of this.live) {
      const { device, address } = this.connected.get(session) ?? {}
      if (device !== undefined && this.isKeptOut(device, address)) this.#silencedAt.set(session, sequence)
    }
  }

  #modesOn(device: DeviceId, address?: string): readonly string[] {
    const on = [...this.#locks.values()].filter(({ target }) => this.#isOn(target, device, address))
    return on.map(({ mode }) => mode)
  }

  #isOn(target: string, id: DeviceId, address: string | undefined): boolean {
    const { labels = {}, anchor, tier } = this.#devices.get(id) ?? {}
    const [, kind = '', value = ''] = /^(\w+):(.*)$/.exec(target) ?? []
    switch (kind) {
      case 'device':
        return value === id
      case 'ek':
        return target === anchor
      case 'role':
        return this.policy !== undefined && rolesOf(this.policy, { id, labels, tier }).includes(value)
      case 'addresses':
        return address !== undefined && isInside(value, address)
      case 'labels':
        return value.split(',').every((pair) => labels[pair.split('=')[0] ?? ''] === pair.split('=')[1])
      default:
        throw new Error(`no lock of the model's: ${target}`)
    }
  }
}

export function addressOf(peer: string): string {
  return peer.replace(/:\d+$/, '')
}

interface Device {
  readonly labels?: ModelLabels
  readonly anchor?: string
  readonly serial?: string
  readonly tier?: string | undefined
  readonly revoked?: boolean
  readonly quarantined?: boolean
  /** When anything of it, or its policy, was last changed. */
  readonly changedAt: number
}
