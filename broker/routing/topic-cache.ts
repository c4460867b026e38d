import { type TopicFilter, topicLevels, type TopicName } from '#protocol'
import { LevelTree } from './level-tree.js'

/**
 * What was worked out for topic names that were asked for lately. A change of one filter makes it forget the names that
 * this filter matches and no others, so that clients which come and go cost those who publish elsewhere nothing.
 */
export class TopicCache<Value> {
  readonly #values = new Map<TopicName, Value>()
  readonly #names = new LevelTree<TopicName>()
  readonly #maxLevels: number
  #levels = 0

  /** `maxLevels`: of all names together, for it is levels that cost; a name can have a hundred that it shares with no other. */
  constructor(maxLevels: number) {
    this.#maxLevels = maxLevels
  }

  get size(): number {
    return this.#values.size
  }

  get(topic: TopicName): Value | undefined {
    return this.#values.get(topic)
  }

  /** Starts anew when it is full: that costs each name one lookup, spread over as many new names as it holds. */
  set(topic: TopicName, value: Value): void {
    this.#delete(topic)
    const levels = topicLevels(topic).length
    if (this.#levels + levels > this.#maxLevels) this.#clear()
    this.#levels += levels
    this.#values.set(topic, value)
    this.#names.set(topic, topic)
  }

  forget(filter: TopicFilter): void {
    if (filter === '#') {
      this.#clear() // all but `$` names, which are few
      return
    }
    for (const topic of this.#names.namesMatching(filter)) this.#delete(topic)
  }

  #delete(topic: TopicName): void {
    if (!this.#values.delete(topic)) return
    this.#names.delete(topic)
    this.#levels -= topicLevels(topic).length
  }

  #clear(): void {
    this.#levels = 0
    this.#values.clear()
    this.#names.clear()
  }
}
