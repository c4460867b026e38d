import { PolicyError } from '../errors.js'
import type { Node } from './document.js'

/*
 * Reads one value of the file as what it must be, or says where and why not.
 */

export type Read<T> = (node: Node) => T

/** The fields of a map by name. Unknown ones are refused. */
export class Fields {
  readonly at: string
  readonly #nodes = new Map<string, Node>()

  constructor(node: Node, known: readonly string[]) {
    if (node.kind !== 'map') throw mismatch(node, `a map with ${known.join(', ')}`)
    this.at = node.at
    for (const [name, { keyAt, value }] of node.entries) {
      if (!known.includes(name)) {
        throw new PolicyError(
          'POLICY_UNKNOWN_KEY',
          keyAt,
          `unknown key ${show(name)} (known here: ${known.join(', ')})`,
        )
      }
      this.#nodes.set(name, value)
    }
  }

  has(name: string): boolean {
    return this.#nodes.has(name)
  }

  /** Where the field stands, or the map when it does not. */
  atOf(name: string): string {
    return this.#nodes.get(name)?.at ?? this.at
  }

  required<T>(name: string, read: Read<T>): T {
    const node = this.#nodes.get(name)
    if (node === undefined) throw new PolicyError('POLICY_INVALID_VALUE', this.at, `${name} is missing`)
    return read(node)
  }

  optional<T, D>(name: string, read: Read<T>, absent: D): T | D {
    const node = this.#nodes.get(name)
    return node === undefined ? absent : read(node)
  }
}

export const text: Read<string> = (node) => {
  if (node.kind !== 'scalar' || typeof node.value !== 'string') throw mismatch(node, 'text (quote it if need be)')
  return node.value
}

export const flag: Read<boolean> = (node) => {
  if (node.kind !== 'scalar' || typeof node.value !== 'boolean') throw mismatch(node, 'true or false')
  return node.value
}

export function integer(least: number, most: number): Read<number> {
  return (node) => {
    const value = node.kind === 'scalar' ? node.value : undefined
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least || value > most) {
      throw mismatch(node, `a whole number from ${least} to ${most}`)
    }
    return value
  }
}

export function word<const Words extends readonly string[]>(...words: Words): Read<Words[number]> {
  return (node) => {
    const value = text(node)
    if (!words.includes(value)) throw mismatch(node, `one of ${words.join(', ')}`)
    return value
  }
}

/** Text with a meaning, as `parse` sees it; whatever `parse` throws is told at this place. */
export function parsed<T>(parse: (text: string) => T, code: 'POLICY_INVALID_VALUE' | 'POLICY_INVALID_TOPIC'): Read<T> {
  return (node) => {
    const source = text(node)
    try {
      return parse(source)
    } catch (cause) {
      throw new PolicyError(code, node.at, cause instanceof Error ? cause.message : 'not readable', { cause })
    }
  }
}

/** A list that is not empty. */
export function list<T>(item: Read<T>): Read<readonly T[]> {
  return (node) => {
    if (node.kind !== 'list' || node.items.length === 0) throw mismatch(node, 'a list of at least one')
    return node.items.map(item)
  }
}

/** A list, or one value that stands for a list of one. */
export function oneOrMore<T>(item: Read<T>): Read<readonly T[]> {
  return (node) => (node.kind === 'list' ? list(item)(node) : [item(node)])
}

/** A map whose keys are names chosen by the author. Without a prototype: `__proto__` is a name like any other. */
export function named<T>(item: (name: string, node: Node, keyAt: string) => T): Read<ReadonlyMap<string, T>> {
  return (node) => {
    if (node.kind !== 'map') throw mismatch(node, 'a map')
    return new Map([...node.entries].map(([name, { keyAt, value }]) => [name, item(name, value, keyAt)]))
  }
}

export function mismatch(node: Node, expected: string): PolicyError {
  const got = node.kind === 'scalar' ? show(node.value) : `a ${node.kind}`
  return new PolicyError('POLICY_INVALID_VALUE', node.at, `expected ${expected}, got ${got}`)
}

function show(value: unknown): string {
  const shown = JSON.stringify(value)
  return shown.length > 80 ? `${shown.slice(0, 80)}…` : shown
}
