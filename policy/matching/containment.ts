/*
 * What topic filters have to do with each other. L(f) is the set of topic names that filter f matches: `+` is any one
 * level, a last `#` zero or more levels, and a wildcard in the first level never matches a level that begins with `$`.
 *
 * Both questions are one walk down the levels, O(depth × filters), and exact: a filter can only demand that a level
 * equals a word, so a topic with a fresh word at every wildcard is the hardest one there is to cover.
 */

/** A filter as its levels. */
export type Levels = readonly string[]

/** A level that no filter names (none can hold a NUL) and that does not begin with `$`. */
const fresh = '\0'

/** L(filter) ⊆ ∪ L(allowed): every topic that the filter matches is matched by one of the others. */
export function covered(filter: Levels, allowed: readonly Levels[]): boolean {
  let alive = allowed
  for (let depth = 0; ; depth++) {
    const level = levelAt(filter, depth)
    if (depth > 0) {
      // The topic that stops here is one of the filter's: somebody must match it.
      if (mayEnd(level) && !alive.some((other) => mayEnd(levelAt(other, depth)))) return false
      if (alive.some((other) => levelAt(other, depth) === '#')) return true
    }
    if (level === undefined) return true
    if (alive.length === 0) return false
    const word = isWildcard(level) ? fresh : level
    alive = alive.filter((other) => accepts(levelAt(other, depth), word, depth))
  }
}

/** L(one) ∩ L(other) ≠ ∅: some topic is matched by both. */
export function overlaps(one: Levels, other: Levels): boolean {
  for (let depth = 0; ; depth++) {
    const left = levelAt(one, depth)
    const right = levelAt(other, depth)
    if (mayEnd(left) && mayEnd(right)) return true
    if (left === undefined || right === undefined) return false
    const word = !isWildcard(left) ? left : !isWildcard(right) ? right : fresh
    if (!accepts(left, word, depth) || !accepts(right, word, depth)) return false
  }
}

/** L(one) ∩ L(other) as a filter, which it always is; undefined where it is empty. */
export function intersection(one: Levels, other: Levels): Levels | undefined {
  if (!overlaps(one, other)) return undefined
  const levels: string[] = []
  for (let depth = 0; ; depth++) {
    const left = levelAt(one, depth)
    const right = levelAt(other, depth)
    if (left === undefined || right === undefined) return levels // the other one may end here, else nothing is in both
    if (left === '#' && right === '#') return [...levels, '#']
    levels.push(!isWildcard(left) ? left : !isWildcard(right) ? right : '+') // `#` asks no more of a level than `+`
  }
}

/** What the filter asks of the level at this depth: a last `#` asks the same from there on, undefined is past its end. */
function levelAt(filter: Levels, depth: number): string | undefined {
  if (depth < filter.length) return filter[depth]
  return filter.at(-1) === '#' ? '#' : undefined
}

/** Whether a topic may stop before this level: `a/#` matches `a` too (MQTT 3.1.1 §4.7.1.2). */
function mayEnd(level: string | undefined): boolean {
  return level === undefined || level === '#'
}

function accepts(level: string | undefined, word: string, depth: number): boolean {
  if (level === undefined) return false
  if (isWildcard(level)) return depth > 0 || !word.startsWith('$') // MQTT 3.1.1 §4.7.2 [MQTT-4.7.2-1]
  return level === word
}

function isWildcard(level: string): boolean {
  return level === '+' || level === '#'
}
