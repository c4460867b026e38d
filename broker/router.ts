import { type TopicFilter, topicLevels, type TopicName } from '#protocol'

/** A subscriber and the QoS it asked for; the highest one where several of its filters match (MQTT 3.1.1 §3.3.5). */
export interface Match<Subscriber> {
  readonly subscriber: Subscriber
  readonly qos: 0 | 1
}

/** Which subscribers a topic name reaches. A trie over filter levels, behind a cache of the topics asked for lately. */
export class Router<Subscriber> {
  readonly #root = new Node<Subscriber>()
  readonly #cache = new Map<TopicName, readonly Match<Subscriber>[]>()
  readonly #maxCached: number

  constructor(maxCached = 10_000) {
    this.#maxCached = maxCached
  }

  /** Adds the subscription, or gives an existing one another QoS. */
  add(filter: TopicFilter, subscriber: Subscriber, qos: 0 | 1): void {
    let node = this.#root
    for (const level of topicLevels(filter)) node = node.childFor(level)
    node.subscribers.set(subscriber, qos)
    this.#cache.clear()
  }

  remove(filter: TopicFilter, subscriber: Subscriber): void {
    prune(this.#root, topicLevels(filter), 0, subscriber)
    this.#cache.clear()
  }

  match(topic: TopicName): readonly Match<Subscriber>[] {
    const known = this.#cache.get(topic)
    if (known) return known
    const found = new Map<Subscriber, 0 | 1>()
    collect(this.#root, topicLevels(topic), 0, found)
    const matches = [...found].map(([subscriber, qos]) => ({ subscriber, qos }))
    if (this.#cache.size >= this.#maxCached) this.#cache.clear()
    this.#cache.set(topic, matches)
    return matches
  }
}

class Node<Subscriber> {
  readonly children = new Map<string, Node<Subscriber>>()
  readonly subscribers = new Map<Subscriber, 0 | 1>()

  childFor(level: string): Node<Subscriber> {
    let child = this.children.get(level)
    if (!child) this.children.set(level, (child = new Node()))
    return child
  }
}

function collect<S>(node: Node<S>, levels: readonly string[], at: number, found: Map<S, 0 | 1>): void {
  // A wildcard in the first level never matches a topic that begins with `$` [MQTT-4.7.2-1].
  const wild = at > 0 || !levels[0]?.startsWith('$')
  const rest = wild ? node.children.get('#') : undefined
  if (rest) merge(rest, found) // `a/#` matches `a` too (§4.7.1.2)
  const level = levels[at]
  if (level === undefined) {
    merge(node, found)
    return
  }
  const exact = node.children.get(level)
  if (exact) collect(exact, levels, at + 1, found)
  const any = wild ? node.children.get('+') : undefined
  if (any) collect(any, levels, at + 1, found)
}

function merge<S>(node: Node<S>, found: Map<S, 0 | 1>): void {
  for (const [subscriber, qos] of node.subscribers) {
    if (qos === 1 || !found.has(subscriber)) found.set(subscriber, qos)
  }
}

/** Takes the subscriber out and leaves no empty branch behind, so that passing filters do not pile up. */
function prune<S>(node: Node<S>, levels: readonly string[], at: number, subscriber: S): void {
  const level = levels[at]
  if (level === undefined) {
    node.subscribers.delete(subscriber)
    return
  }
  const child = node.children.get(level)
  if (!child) return
  prune(child, levels, at + 1, subscriber)
  if (child.subscribers.size === 0 && child.children.size === 0) node.children.delete(level)
}
