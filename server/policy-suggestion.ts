import type { DeviceId, PolicySuggestion, WorkProgress } from '#protocol'
import {
  type DeviceAttributes,
  PolicyUsage,
  readObserved,
  SharedLabels,
  suggestPolicy,
  type TopicPolicy,
} from '#policy'
import { ServerError } from './errors.js'
import type { PolicyStudy } from './policy-study.js'
import { recordsIn } from './record-lines.js'
import { Turns } from './turns.js'

export interface SuggestionRequest {
  /** Only this role's rules; default: all. */
  readonly role: string | undefined
  readonly days: number
}

const dayMilliseconds = 86_400_000

/**
 * The least of the policy in force that still allows what devices did in the last days, what they have subscribed to and
 * their wills. It goes on beside the broker, turn by turn, in memory that does not grow with the log; it changes nothing.
 * @throws ServerError NOT_FOUND; AuditError
 */
export async function* suggestFromLog(
  study: PolicyStudy,
  { role, days }: SuggestionRequest,
): AsyncGenerator<WorkProgress, PolicySuggestion> {
  const { source, version, hash } = study.inForce()
  const policy = await study.read(source, 'policy.yaml')
  if (role !== undefined && !policy.roles.has(role)) {
    throw new ServerError('NOT_FOUND', `the policy in force has no role ${JSON.stringify(role)}`)
  }
  const until = study.now()
  const since = until - days * dayMilliseconds
  yield { done: 0, total: 0 }
  const turns = new Turns(study.elapsed, study.signal)
  const labels = await sharedLabels(study, policy, turns)
  const counting = new Counting(study, new PolicyUsage(policy, (role) => labels.of(role)))
  await counting.live(turns)
  const [first, firstInRange] = [await firstRecord(study), await firstRecord(study, since)]
  for await (const record of recordsIn(study.search({ since }))) {
    counting.record(record)
    if (turns.isOver) await turns.next()
    if (turns.isToTell) yield { done: counting.records, total: counting.newest - (firstInRange?.sequence ?? 0) + 1 }
  }
  return {
    inForce: { version, hash },
    looked: {
      ...{ days, from: new Date(since).toISOString(), until: new Date(until).toISOString() },
      ...(first && Date.parse(first.time) > since && { logBegins: first.time }),
      ...counting.totals,
    },
    ...suggestPolicy({ policy, source, usage: counting.usage, role }),
  }
}

/** What is seen, and what is not. */
class Counting {
  readonly usage: PolicyUsage
  records = 0
  newest = 0
  readonly #study: PolicyStudy
  readonly #totals = { allowed: 0, denied: 0, unknownDevices: 0 }
  readonly #devices = new Map<DeviceId, DeviceAttributes | undefined>()

  constructor(study: PolicyStudy, usage: PolicyUsage) {
    this.#study = study
    this.usage = usage
  }

  get totals() {
    return { ...this.#totals, records: this.records, notAllowedNow: this.usage.notAllowedNow }
  }

  /** What was granted before the days that are looked at holds on. */
  async live(turns: Turns): Promise<void> {
    for (const { device, subscriptions, will } of this.#study.liveSessions()) {
      const add = (question: Parameters<PolicyUsage['add']>[1]['question']): void => {
        this.#allowed(device, { question, rules: [], count: 1, at: undefined })
      }
      if (will) add({ action: 'will', ...will })
      for (const { name: filter, qos } of subscriptions) {
        add({ action: 'subscribe', filter, qos })
        if (turns.isOver) await turns.next()
      }
      if (turns.isOver) await turns.next()
    }
  }

  record(record: unknown): void {
    this.records++
    const place = placeOf(record)
    if (place && place.sequence > this.newest) this.newest = place.sequence
    const observed = readObserved(record)
    if (observed?.kind !== 'decision') return
    const { device, effect, question, rules, count } = observed.decided
    if (effect === 'deny') this.#totals.denied += count
    else if (typeof question !== 'string') this.#allowed(device, { question, rules, count, at: observed.time })
  }

  #allowed(id: DeviceId, allowed: Parameters<PolicyUsage['add']>[1]): void {
    const device = this.#attributesOf(id)
    if (device === undefined) {
      this.#totals.unknownDevices += allowed.count
      return
    }
    this.#totals.allowed += allowed.count
    this.usage.add(device, allowed)
  }

  #attributesOf(id: DeviceId): DeviceAttributes | undefined {
    if (this.#devices.has(id)) return this.#devices.get(id)
    if (this.#devices.size >= maxDevices) this.#devices.clear()
    const attributes = this.#study.attributesOf(id)
    this.#devices.set(id, attributes)
    return attributes
  }
}

/** Of which it is remembered who they are; the log is much the same ones again and again. */
const maxDevices = 4096

async function sharedLabels(study: PolicyStudy, policy: TopicPolicy, turns: Turns): Promise<SharedLabels> {
  const labels = new SharedLabels(policy)
  for (const id of study.devices()) {
    const device = study.attributesOf(id)
    if (device) labels.add(device)
    if (turns.isOver) await turns.next()
  }
  return labels
}

interface Place {
  readonly sequence: number
  readonly time: string
}

async function firstRecord(study: PolicyStudy, since?: number): Promise<Place | undefined> {
  const query = { order: 'oldest', limit: 1, ...(since !== undefined && { since }) } as const
  for await (const record of recordsIn(study.search(query))) return placeOf(record)
  return undefined
}

function placeOf(record: unknown): Place | undefined {
  if (typeof record !== 'object' || record === null || !('sequence' in record) || !('time' in record)) return undefined
  const { sequence, time } = record
  return typeof sequence === 'number' && typeof time === 'string' ? { sequence, time } : undefined
}
