import { filterMatches, parseTopicFilter, type TopicFilter, topicLevels } from '#protocol'
import type { BridgeLimits } from './limits.js'
import type { Program } from './program.js'
import type { Home } from './topics.js'

/** What one program wants to hear. */
export interface Subscription {
  readonly program: Program
  /** As the program wrote it. */
  readonly written: string
  readonly filter: TopicFilter
  readonly levels: readonly string[]
  readonly qos: 0 | 1
  /** By which the service says that a retained message is for this subscription (MQTT 5.0 §3.8.2.1.2). */
  readonly identifier: number
}

/** Who hears what; and the union of it, which is what the device asks the service for. */
export class Subscriptions {
  readonly #home: Home
  readonly #limits: BridgeLimits
  readonly #byProgram = new Map<Program, Map<string, Subscription>>()
  readonly #byIdentifier = new Map<number, Subscription>()
  /** How many want each filter. */
  readonly #wanted = new Map<TopicFilter, number>()
  #lastIdentifier = 0

  constructor(home: Home, limits: BridgeLimits) {
    this.#home = home
    this.#limits = limits
  }

  get filters(): readonly TopicFilter[] {
    return [...this.#wanted.keys()]
  }

  get programs(): Iterable<Program> {
    return this.#byProgram.keys()
  }

  isWanted(filter: TopicFilter): boolean {
    return this.#wanted.has(filter)
  }

  /** Undefined where a bound is reached. The same filter again replaces the one before. @throws ProtocolError INVALID_TOPIC */
  add(program: Program, written: string, qos: 0 | 1): Subscription | undefined {
    const filter = parseTopicFilter(this.#home.toService(written))
    this.remove(program, written)
    const own = this.#byProgram.get(program) ?? new Map<string, Subscription>()
    if (own.size >= this.#limits.maxFiltersPerProgram) return undefined
    if (!this.#wanted.has(filter) && this.#wanted.size >= this.#limits.maxFilters) return undefined
    this.#lastIdentifier = (this.#lastIdentifier % maxIdentifier) + 1
    const identifier = this.#lastIdentifier
    const added = { program, written, filter, levels: topicLevels(filter), qos, identifier }
    this.#byProgram.set(program, own.set(written, added))
    this.#byIdentifier.set(identifier, added)
    this.#wanted.set(filter, (this.#wanted.get(filter) ?? 0) + 1)
    return added
  }

  remove(program: Program, written: string): Subscription | undefined {
    const own = this.#byProgram.get(program)
    const removed = own?.get(written)
    if (own === undefined || removed === undefined) return undefined
    own.delete(written)
    if (own.size === 0) this.#byProgram.delete(program)
    this.#byIdentifier.delete(removed.identifier)
    const left = (this.#wanted.get(removed.filter) ?? 1) - 1
    if (left > 0) this.#wanted.set(removed.filter, left)
    else this.#wanted.delete(removed.filter)
    return removed
  }

  of(program: Program): readonly Subscription[] {
    return [...(this.#byProgram.get(program)?.values() ?? [])]
  }

  to(filter: TopicFilter): readonly Subscription[] {
    return this.#all().filter((subscription) => subscription.filter === filter)
  }

  /** Those that are to hear a message; of several of one program that write its topic alike, the one with the higher QoS. */
  hearing(topic: string): Iterable<Subscription> {
    const levels = topic.split('/')
    const hearing = new Map<Program, Map<string, Subscription>>()
    for (const subscription of this.#all()) {
      if (!filterMatches(subscription.levels, levels)) continue
      const own = hearing.get(subscription.program) ?? new Map<string, Subscription>()
      hearing.set(subscription.program, own)
      const spelled = this.#home.toProgram(topic, subscription.written)
      if ((own.get(spelled)?.qos ?? -1) < subscription.qos) own.set(spelled, subscription)
    }
    return [...hearing.values()].flatMap((own) => [...own.values()])
  }

  byIdentifier(identifier: number): Subscription | undefined {
    return this.#byIdentifier.get(identifier)
  }

  #all(): Subscription[] {
    return [...this.#byProgram.values()].flatMap((own) => [...own.values()])
  }
}

/** A variable byte integer (MQTT 5.0 §1.5.5). */
const maxIdentifier = 268_435_455
