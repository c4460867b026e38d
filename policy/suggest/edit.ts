import { type Document, isMap, isSeq, parseDocument, type YAMLMap } from 'yaml'
import { PolicyError } from '../errors.js'
import type { AllowRule } from '../policy.js'
import { withVersion } from '../reading/with-version.js'
import { isUnchanged, type NarrowedRule, type RuleProposal } from './proposal.js'
import { roleOf } from './usage.js'

/** A policy's file before and behind a proposal, both laid out alike, so that they differ in what is proposed only. */
export interface Edited {
  readonly before: string
  readonly after: string
}

/** Writes what is proposed into the file, comments and all. @throws PolicyError */
export function editPolicy(source: string, version: number, proposals: readonly RuleProposal[]): Edited {
  const before = read(source)
  const after = read(withVersion(source, 'policy.yaml', version))
  for (const { use, narrowed } of proposals) {
    const { rule } = use
    if (narrowed === undefined) remove(after, rule)
    else if (!isUnchanged(rule, narrowed)) narrowIn(after, rule, narrowed)
  }
  const layout = { lineWidth: 0 }
  return { before: before.toString(layout), after: after.toString(layout) }
}

function read(source: string): Document.Parsed {
  return parseDocument(source, { uniqueKeys: false, version: '1.2', schema: 'core' })
}

function remove(document: Document.Parsed, rule: AllowRule): void {
  const path = ['roles', roleOf(rule), 'allow']
  const list = document.getIn(path)
  if (!isSeq(list)) throw lost(rule)
  list.items = list.items.filter((item) => !isRule(item, rule))
  if (list.items.length === 0) document.deleteIn(path)
}

function narrowIn(document: Document.Parsed, rule: AllowRule, narrowed: NarrowedRule): void {
  const list = document.getIn(['roles', roleOf(rule), 'allow'])
  const found = isSeq(list) ? list.items.find((item) => isRule(item, rule)) : undefined
  if (!isMap(found)) throw lost(rule)
  const { actions, topics, maxQos, retain } = narrowed
  setList(document, found, 'actions', actions)
  setList(document, found, 'topics', topics)
  if (maxQos !== rule.maxQos) found.set('qos', document.createNode({ max: maxQos }, { flow: true }))
  if (!retain) found.delete('retain')
  // A constraint that no action of the rule looks at would be refused.
  if (!actions.some((action) => action === 'publish' || action === 'will')) found.delete('payload')
  if (!actions.includes('publish')) found.delete('rate')
}

function setList(document: Document.Parsed, map: YAMLMap, key: string, values: readonly string[]): void {
  const old = map.get(key)
  const written = isSeq(old) ? old.items.map(String) : []
  if (written.length === values.length && values.every((value) => written.includes(value))) return
  const flow = !isSeq(old) || old.flow === true
  map.set(key, document.createNode(values, { flow }))
}

function isRule(item: unknown, { id }: AllowRule): boolean {
  return isMap(item) && id.endsWith(`/${String(item.get('id'))}`)
}

function lost({ id, at }: AllowRule): PolicyError {
  return new PolicyError('POLICY_INVALID_VALUE', at, `${id} is not where it can be changed`)
}
