import { type TopicFilter, topicLevels, type TopicName } from '#protocol'

/**
 * Values by the levels of a topic name or filter. It can be read both ways: filters that match a name, where filters were
 * stored, and names that a filter matches, where names were. No empty branch is left behind, so that passing names do not
 * pile up. At most 128 levels deep, because topics are (`topicLimits`).
 */
export class LevelTree<Value> {
  readonly #root = new Branch<Value>()

  get(path: TopicName | TopicFilter): Value | undefined {
    let branch: Branch<Value> | undefined = this.#root
    for (const level of topicLevels(path)) branch = branch?.children.get(level)
    return branch?.value
  }

  set(path: TopicName | TopicFilter, value: Value): void {
    let branch = this.#root
    for (const level of topicLevels(path)) branch = branch.childFor(level)
    branch.value = value
  }

  delete(path: TopicName | TopicFilter): void {
    prune(this.#root, topicLevels(path), 0)
  }

  clear(): void {
    this.#root.children.clear()
  }

  get isEmpty(): boolean {
    return this.#root.isEmpty
  }

  /** The values of all stored filters that match the name. */
  filtersMatching(topic: TopicName): readonly Value[] {
    const found: Value[] = []
    collectFilters(this.#root, topicLevels(topic), 0, found)
    return found
  }

  /**
   * The values of all stored names that the filter matches. May be read over several turns: names that go meanwhile are
   * not given any more, names that come meanwhile may be.
   */
  namesMatching(filter: TopicFilter): Generator<Value, void, undefined> {
    return walkNames(this.#root, topicLevels(filter), 0)
  }
}

/**
 * How many ordinary topics a deep one is like. Each level that it shares with no other is a branch, at some 200 bytes, so
 * that a quota which counts topics would let eight times as much through with names of 128 levels.
 */
export function weightOf(path: TopicName | TopicFilter): number {
  return Math.ceil(topicLevels(path).length / ordinaryLevels)
}

/** What deep topics take beyond that, in bytes. */
export function depthBytes(path: TopicName | TopicFilter): number {
  return Math.max(0, topicLevels(path).length - ordinaryLevels) * bytesPerLevel
}

const ordinaryLevels = 16
const bytesPerLevel = 200

class Branch<Value> {
  readonly children = new Map<string, Branch<Value>>()
  value: Value | undefined

  childFor(level: string): Branch<Value> {
    let child = this.children.get(level)
    if (!child) this.children.set(level, (child = new Branch()))
    return child
  }

  get isEmpty(): boolean {
    return this.value === undefined && this.children.size === 0
  }
}

function prune<V>(branch: Branch<V>, levels: readonly string[], at: number): void {
  const level = levels[at]
  if (level === undefined) {
    branch.value = undefined
    return
  }
  const child = branch.children.get(level)
  if (!child) return
  prune(child, levels, at + 1)
  if (child.isEmpty) branch.children.delete(level)
}

function collectFilters<V>(branch: Branch<V>, levels: readonly string[], at: number, found: V[]): void {
  const level = levels[at]
  const wild = at > 0 || !isReserved(level)
  const rest = wild ? branch.children.get('#') : undefined
  if (rest?.value !== undefined) found.push(rest.value) // `a/#` matches `a` too (§4.7.1.2)
  if (level === undefined) {
    if (branch.value !== undefined) found.push(branch.value)
    return
  }
  const exact = branch.children.get(level)
  if (exact) collectFilters(exact, levels, at + 1, found)
  const any = wild ? branch.children.get('+') : undefined
  if (any) collectFilters(any, levels, at + 1, found)
}

function* walkNames<V>(branch: Branch<V>, levels: readonly string[], at: number): Generator<V, void, undefined> {
  const level = levels[at]
  if (level === undefined) {
    if (branch.value !== undefined) yield branch.value
    return
  }
  if (level !== '#' && level !== '+') {
    const child = branch.children.get(level)
    if (child) yield* walkNames(child, levels, at + 1)
    return
  }
  if (level === '#' && branch.value !== undefined) yield branch.value
  for (const [name, child] of branch.children) {
    if (at === 0 && isReserved(name)) continue
    if (level === '#') yield* walkAll(child)
    else yield* walkNames(child, levels, at + 1)
  }
}

function* walkAll<V>(branch: Branch<V>): Generator<V, void, undefined> {
  if (branch.value !== undefined) yield branch.value
  for (const child of branch.children.values()) yield* walkAll(child)
}

/** A wildcard in the first level never matches a name that begins with `$` [MQTT-4.7.2-1]. */
function isReserved(firstLevel: string | undefined): boolean {
  return firstLevel?.startsWith('$') ?? false
}
