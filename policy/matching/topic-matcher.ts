import { topicLimits } from '#protocol'
import type { DeviceAttributes, TopicTemplate, Variable } from '../policy.js'
import type { Levels } from './containment.js'
import { maxBytesOf, valueOf } from './template.js'

/**
 * One topic of a rule, prepared so that it can be matched for any device without being rendered for it: what is literal
 * is the same for the whole fleet and tells most topics apart, and only then the device's own values are looked at.
 */
export class TopicMatcher {
  /** Whether its filter could become too long for some device. */
  readonly mayOverflow: boolean
  readonly #depth: number
  /** Ends with `#`, which stands for any number of levels. */
  readonly #isOpen: boolean
  readonly #beginsWild: boolean
  /** The last first: that is where the topics of a role differ. */
  readonly #literals: readonly { readonly at: number; readonly word: string }[]
  readonly #variables: readonly { readonly at: number; readonly variable: Variable }[]

  constructor(template: TopicTemplate) {
    this.mayOverflow = maxBytesOf(template) > topicLimits.maxBytes
    this.#isOpen = template.at(-1) === '#'
    this.#depth = this.#isOpen ? template.length - 1 : template.length
    this.#beginsWild = isWildcard(template[0])
    const levels = template.map((level, at) => ({ level, at })).reverse()
    this.#literals = levels.flatMap(({ level, at }) =>
      typeof level === 'string' && !isWildcard(level) ? [{ at, word: level }] : [],
    )
    this.#variables = levels.flatMap(({ level, at }) => (typeof level === 'string' ? [] : [{ at, variable: level }]))
  }

  /** Whether its filter for this device matches the topic. */
  matches(topic: Levels, device: DeviceAttributes): boolean {
    if (this.#isOpen ? topic.length < this.#depth : topic.length !== this.#depth) return false
    return this.#demandsNothingElse(topic, device)
  }

  /** Whether its filter for this device matches every topic that the other one matches. */
  covers(filter: Levels, device: DeviceAttributes): boolean {
    const isOpen = filter.at(-1) === '#'
    const depth = isOpen ? Math.max(1, filter.length - 1) : filter.length // no topic is without a level: `#` is `+/#`
    if (this.#isOpen ? depth < this.#depth : isOpen || depth !== this.#depth) return false
    return this.#demandsNothingElse(filter, device)
  }

  /** False where no topic can be matched by both; true may still mean that there is none. */
  mayOverlap(filter: Levels, device: DeviceAttributes): boolean {
    const depth = filter.at(-1) === '#' ? filter.length - 1 : filter.length
    for (const { at, word } of this.#literals) if (at < depth && filter[at] !== word && filter[at] !== '+') return false
    for (const { at, variable } of this.#variables) {
      if (at < depth && filter[at] !== '+' && filter[at] !== valueOf(variable, device)) return false
    }
    return true
  }

  /** Of levels that are as many as its own, or more where it is open. */
  #demandsNothingElse(levels: Levels, device: DeviceAttributes): boolean {
    for (const { at, word } of this.#literals) if (levels[at] !== word) return false
    if (this.#beginsWild && levels[0]?.startsWith('$')) return false // MQTT 3.1.1 §4.7.2 [MQTT-4.7.2-1]
    for (const { at, variable } of this.#variables) if (levels[at] !== valueOf(variable, device)) return false
    return true
  }

  /** What it asks of a device. */
  get variables(): readonly Variable[] {
    return this.#variables.map(({ variable }) => variable)
  }
}

function isWildcard(level: string | Variable | undefined): boolean {
  return level === '+' || level === '#'
}
