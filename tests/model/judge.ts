import type { AuditRecord, DeviceId } from '#protocol'
import type { ModelLabels, ModelPolicy } from './policies.js'
import { mayHear, maySpeak, maySubscribe, rolesOf, type Who } from './reference.js'

/** What was judged, and what should not have been let through. */
export interface Verdict {
  readonly judged: Readonly<Record<'connects' | 'subscriptions' | 'messages' | 'deliveries', number>>
  readonly wrong: readonly string[]
}

type RecordOf<Event extends AuditRecord['event']> = Extract<AuditRecord, { event: Event }>

/**
 * Reads an audit log from its beginning, and holds each permission in it to the policy, labels, locks and revocations
 * that stood in the log before it.
 */
export function judge(records: readonly AuditRecord[], policies: ReadonlyMap<number, ModelPolicy>): Verdict {
  const reading = new Reading(policies)
  for (const record of records) reading.read(record)
  return reading
}

class Reading implements Verdict {
  readonly judged = { connects: 0, subscriptions: 0, messages: 0, deliveries: 0 }
  readonly wrong: string[] = []
  readonly #policies: ReadonlyMap<number, ModelPolicy>
  readonly #labels = new Map<DeviceId, ModelLabels>()
  readonly #locks = new Map<string, string>()
  readonly #revoked = new Set<DeviceId>()
  /** When a device was last kept out: what it said before that must not be heard after. */
  readonly #keptOutAt = new Map<DeviceId, number>()
  readonly #messages = new Map<number, RecordOf<'message.publish'>>()
  #policy: ModelPolicy | undefined

  constructor(policies: ReadonlyMap<number, ModelPolicy>) {
    this.#policies = policies
  }

  read(record: AuditRecord): void {
    if (record.event === 'session.connect') this.#judgeConnect(record)
    else if (record.event === 'message.subscribe') this.#judgeSubscription(record)
    else if (record.event === 'message.publish') this.#judgeMessage(record)
    else if (record.event === 'message.deliver') this.#judgeDelivery(record)
    else this.#follow(record)
  }

  /** A change of what stands. */
  #follow(record: AuditRecord): void {
    const { event } = record
    if (event === 'policy.activate') this.#policy = this.#policies.get(record.policyVersion)
    else if (event === 'device.register' || event === 'device.label') this.#labels.set(record.device, record.labels)
    else if (event === 'lock.add') this.#locks.set(record.lock, record.target)
    else if (event === 'lock.remove') this.#locks.delete(record.lock)
    else if (event === 'device.revoke') this.#revoked.add(record.device)
    else return
    for (const device of this.#labels.keys()) if (this.#isKeptOut(device)) this.#keptOutAt.set(device, record.sequence)
  }

  #judgeConnect(record: RecordOf<'session.connect'>): void {
    this.judged.connects++
    if (this.#isKeptOut(record.device)) this.#blame(record, 'is kept out')
  }

  #judgeSubscription(record: RecordOf<'message.subscribe'>): void {
    if (record.decision === 'deny') return
    this.judged.subscriptions++
    const { policy, who } = this.#standing(record.device)
    if (!policy || !maySubscribe(policy, who, record.topic, record.qos ?? 0)) this.#blame(record, 'may not subscribe')
  }

  #judgeMessage(record: RecordOf<'message.publish'>): void {
    if (record.decision === 'deny') return
    this.judged.messages++
    this.#messages.set(record.sequence, record)
    const { policy, who } = this.#standing(record.device)
    if (this.#isKeptOut(record.device)) this.#blame(record, 'is kept out')
    else if (!policy || !maySpeak(policy, who, record.action, record)) this.#blame(record, `may not ${record.action}`)
  }

  #judgeDelivery(record: RecordOf<'message.deliver'>): void {
    if (record.decision === 'deny') return
    this.judged.deliveries++
    const { policy, who } = this.#standing(record.device)
    const { publisher, origin = -1, topic, qos } = record
    if (this.#isKeptOut(record.device)) this.#blame(record, 'is kept out')
    else if (!policy || !mayHear(policy, who, topic, qos)) this.#blame(record, 'may not hear')
    const message = this.#messages.get(origin)
    if (!message || message.topic !== topic || message.device !== publisher)
      this.#blame(record, 'hears what nobody said')
    else if (origin < (this.#keptOutAt.get(message.device) ?? -1))
      this.#blame(record, `hears ${message.device}, which was kept out`)
  }

  #standing(device: DeviceId): { readonly policy: ModelPolicy | undefined; readonly who: Who } {
    return { policy: this.#policy, who: { id: device, labels: this.#labels.get(device) ?? {} } }
  }

  #isKeptOut(device: DeviceId): boolean {
    if (this.#revoked.has(device)) return true
    const { policy, who } = this.#standing(device)
    return [...this.#locks.values()].some((target) => {
      const [, kind = '', value = ''] = /^(\w+):(.*)$/.exec(target) ?? []
      if (kind === 'device') return value === device
      if (kind === 'role') return policy !== undefined && rolesOf(policy, who).includes(value)
      return value.split(',').every((pair) => who.labels[pair.split('=')[0] ?? ''] === pair.split('=')[1])
    })
  }

  #blame(record: AuditRecord & { readonly device?: DeviceId; readonly topic?: string }, what: string): void {
    const { sequence, event, device = '', topic = '' } = record
    this.wrong.push(`record ${sequence}, ${event}: ${device} ${what} ${topic}`)
  }
}
