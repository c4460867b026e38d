import type { Levels } from '../matching/containment.js'

/** More different words in one place than this, and any word goes there. */
const maxWords = 8
/** What one rule's topics may take to remember; beyond it they are too many to say. */
const maxNodes = 512

class Node {
  readonly children = new Map<string, Node>()
  isEnd = false
  /** Any word goes here: `+` stands for all of them. */
  isWide = false
}

/**
 * Topics with variables in them, as few filters: where very many words stand in one place, `+` takes theirs. It takes
 * bounded memory, however many are added.
 */
export class TopicTree {
  #root: Node | undefined = new Node()
  #nodes = 1

  add(levels: Levels): void {
    if (this.#root) this.#grow(this.#root, levels, 0)
    if (this.#nodes > maxNodes) this.#root = undefined
  }

  /** Undefined where they were too many. */
  filters(): readonly Levels[] | undefined {
    return this.#root && [...filtersBelow(this.#root, [])]
  }

  #grow(node: Node, levels: Levels, depth: number): void {
    const [level, ...rest] = levels
    if (level === undefined) {
      node.isEnd = true
      return
    }
    this.#grow(this.#child(node, level, depth), rest, depth + 1)
    if (!node.isWide && wordsOf(node, depth).length > maxWords) this.#widen(node, depth)
  }

  #child(node: Node, level: string, depth: number): Node {
    const name = node.isWide && isWord(level, depth) ? '+' : level
    let child = node.children.get(name)
    if (child === undefined) {
      node.children.set(name, (child = new Node()))
      this.#nodes++
    }
    return child
  }

  #widen(node: Node, depth: number): void {
    node.isWide = true
    for (const word of wordsOf(node, depth)) {
      const child = node.children.get(word)
      node.children.delete(word)
      if (child === undefined) continue
      this.#nodes -= sizeOf(child)
      for (const levels of filtersBelow(child, [])) this.#grow(node, [word, ...levels], depth)
    }
  }
}

function wordsOf({ children }: Node, depth: number): readonly string[] {
  return [...children.keys()].filter((level) => isWord(level, depth))
}

/** What `+` may stand for: no wildcard, no variable, and in the first place nothing with a `$` (MQTT 3.1.1 §4.7.2). */
function isWord(level: string, depth: number): boolean {
  return level !== '+' && level !== '#' && !level.startsWith('${') && (depth > 0 || !level.startsWith('$'))
}

function sizeOf({ children }: Node): number {
  return [...children.values()].reduce((sum, child) => sum + sizeOf(child), 1)
}

function* filtersBelow({ children, isEnd }: Node, above: Levels): Iterable<Levels> {
  if (isEnd) yield above
  for (const [level, child] of children) yield* filtersBelow(child, [...above, level])
}
