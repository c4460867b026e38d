import type { TopicFilter, TopicName } from '#protocol'
import { LevelTree } from './level-tree.js'

/**
 * What was worked out for topic names that were asked for lately. A change of one filter makes it forget the names that
 * this filter matches and no others, so that clients which come and go cost those who publish elsewhere nothing.
 */
export class TopicCache<Value> {
  readonly #values = new Map<TopicName, Value>()
  readonly #names = new LevelTree<TopicName>()
  readonly #max: number

  constructor(max: number) {
    this.#max = max
  }

  get size(): number {
    return this.#values.size
  }

  get(topic: TopicName): Value | undefined {
    return this.#values.get(topic)
  }

  /** Starts anew when it is full: that costs each name one lookup, spread over as many new names as it holds. */
  set(topic: TopicName, value: Value): void {
    if (this.#values.size >= this.#max) this.#clear()
    this.#values.set(topic, value)
    this.#names.set(topic, topic)
  }

  forget(filter: TopicFilter): void {
    if (filter === '#') {
      this.#clear() // all but `$` names, which are few
      return
    }
    for (const topic of this.#names.namesMatching(filter)) {
      this.#values.delete(topic)
      this.#names.delete(topic)
    }
  }

  #clear(): void {
    this.#values.clear()
    this.#names.clear()
  }
}
