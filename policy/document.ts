import { isAlias, isMap, isScalar, isSeq, LineCounter, type ParsedNode, parseDocument } from 'yaml'
import { PolicyError } from './errors.js'
import { type Json, policyLimits } from './policy.js'

/** A value of the file that knows where it stands. */
export type Node =
  | { readonly kind: 'map'; readonly at: string; readonly entries: ReadonlyMap<string, Entry> }
  | { readonly kind: 'list'; readonly at: string; readonly items: readonly Node[] }
  | { readonly kind: 'scalar'; readonly at: string; readonly value: string | number | boolean | null }

export interface Entry {
  readonly keyAt: string
  readonly value: Node
}

/**
 * Reads YAML 1.2 (and with it JSON) into values with positions: one document of maps with text keys, lists and plain
 * scalars. What a policy has no use for and could surprise its reader (aliases, tags, merge keys) is refused.
 * @throws PolicyError
 */
export function readDocument(source: string, file: string): Node {
  const lines = new LineCounter()
  const place = (offset: number): string => {
    const { line, col } = lines.linePos(offset)
    return `${file}:${line}:${col}`
  }
  if (new TextEncoder().encode(source).length > policyLimits.maxBytes) {
    throw new PolicyError('POLICY_LIMIT', `${file}:1:1`, `a policy is at most ${policyLimits.maxBytes} bytes`)
  }
  const document = parseYaml(source, file, lines)
  const problem = document.errors[0] ?? document.warnings[0]
  if (problem !== undefined) {
    const code = problem.code === 'DUPLICATE_KEY' ? 'POLICY_DUPLICATE' : 'POLICY_SYNTAX'
    throw new PolicyError(code, place(problem.pos[0]), problem.message)
  }
  if (document.contents === null || isEmptyScalar(document.contents)) {
    throw new PolicyError('POLICY_EMPTY', `${file}:1:1`, 'there is nothing in it')
  }
  return convert(document.contents, place)
}

/** The same without positions. */
export function plain(node: Node): Json {
  switch (node.kind) {
    case 'scalar':
      return node.value
    case 'list':
      return node.items.map(plain)
    case 'map':
      return Object.fromEntries([...node.entries].map(([key, { value }]) => [key, plain(value)]))
  }
}

function parseYaml(source: string, file: string, lineCounter: LineCounter) {
  try {
    return parseDocument(source, { lineCounter, prettyErrors: false, stringKeys: true, version: '1.2', schema: 'core' })
  } catch (cause) {
    // The library recurses: a file of nothing but brackets ends its stack.
    throw new PolicyError('POLICY_SYNTAX', `${file}:1:1`, 'it is nested too deeply', { cause })
  }
}

function convert(yaml: ParsedNode, place: (offset: number) => string, depth = 0): Node {
  const at = place(yaml.range[0])
  if (depth > 16) throw new PolicyError('POLICY_SYNTAX', at, 'it is nested too deeply')
  if (isAlias(yaml)) throw new PolicyError('POLICY_SYNTAX', at, 'aliases are not allowed: write it out')
  if (yaml.tag !== undefined && yaml.tag.startsWith('!')) {
    throw new PolicyError('POLICY_SYNTAX', at, 'tags are not allowed')
  }
  if (isSeq(yaml)) return { kind: 'list', at, items: yaml.items.map((item) => convert(item, place, depth + 1)) }
  if (isMap(yaml)) {
    const entries = yaml.items.map(({ key, value }): [string, Entry] => {
      const { value: name, at: keyAt } = scalar(key, place)
      return [String(name), { keyAt, value: value === null ? nothing(keyAt) : convert(value, place, depth + 1) }]
    })
    return { kind: 'map', at, entries: new Map(entries) }
  }
  return scalar(yaml, place)
}

function scalar(node: ParsedNode, place: (offset: number) => string): Extract<Node, { kind: 'scalar' }> {
  const at = place(node.range[0])
  if (!isScalar(node)) throw new PolicyError('POLICY_SYNTAX', at, 'expected a plain value')
  const { value } = node
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
    return { kind: 'scalar', at, value }
  }
  return nothing(at)
}

function nothing(at: string): Extract<Node, { kind: 'scalar' }> {
  return { kind: 'scalar', at, value: null }
}

function isEmptyScalar(node: unknown): boolean {
  return isScalar(node) && node.value === null
}
