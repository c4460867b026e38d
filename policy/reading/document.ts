import { isAlias, isMap, isScalar, isSeq, LineCounter, type ParsedNode, parseDocument, type YAMLMap } from 'yaml'
import { PolicyError } from '../errors.js'
import { type Json, policyLimits } from '../policy.js'
import { offsetOfDeepNesting } from './nesting.js'

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
  const place = placesOf(source, file)
  if (new TextEncoder().encode(source).length > policyLimits.maxBytes) {
    throw new PolicyError('POLICY_LIMIT', `${file}:1:1`, `a policy is at most ${policyLimits.maxBytes} bytes`)
  }
  const deep = offsetOfDeepNesting(source)
  if (deep !== undefined) throw new PolicyError('POLICY_SYNTAX', place(deep), 'it is nested too deeply')
  // The library compares each key with every other one: 20,000 keys take it 5 s. `convert` looks for duplicates itself.
  const options = { prettyErrors: false, stringKeys: true, uniqueKeys: false, version: '1.2', schema: 'core' } as const
  const document = parseDocument(source, options)
  const problem = document.errors[0] ?? document.warnings[0]
  if (problem !== undefined) {
    throw new PolicyError('POLICY_SYNTAX', place(problem.pos[0]), problem.message)
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

function convert(yaml: ParsedNode, place: (offset: number) => string): Node {
  const at = place(yaml.range[0])
  if (isAlias(yaml)) throw new PolicyError('POLICY_SYNTAX', at, 'aliases are not allowed: write it out')
  if (yaml.tag !== undefined && yaml.tag.startsWith('!')) {
    throw new PolicyError('POLICY_SYNTAX', at, 'tags are not allowed')
  }
  if (isSeq(yaml)) return { kind: 'list', at, items: yaml.items.map((item) => convert(item, place)) }
  if (isMap(yaml)) return { kind: 'map', at, entries: convertEntries(yaml, place) }
  return scalar(yaml, place)
}

function convertEntries(map: YAMLMap.Parsed, place: (offset: number) => string): ReadonlyMap<string, Entry> {
  const entries = new Map<string, Entry>()
  for (const { key, value } of map.items) {
    const { value: name, at: keyAt } = scalar(key, place)
    if (typeof name !== 'string') throw new PolicyError('POLICY_SYNTAX', keyAt, 'a key is text')
    if (entries.has(name)) throw new PolicyError('POLICY_DUPLICATE', keyAt, `${JSON.stringify(name)} is there already`)
    entries.set(name, { keyAt, value: value === null ? nothing(keyAt) : convert(value, place) })
  }
  return entries
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

/** Offsets to file:line:column, before and without parsing. */
function placesOf(source: string, file: string): (offset: number) => string {
  const lines = new LineCounter()
  lines.addNewLine(0)
  for (let at = source.indexOf('\n'); at !== -1; at = source.indexOf('\n', at + 1)) lines.addNewLine(at + 1)
  return (offset) => {
    const { line, col } = lines.linePos(offset)
    return `${file}:${line}:${col}`
  }
}
