import {
  type DenyReason,
  isName,
  type Labels,
  parseDeviceId,
  parseTopicFilter,
  parseTopicName,
  tiers,
  type TopicAction,
} from '#protocol'
import { type Node, plain, readDocument } from './document.js'
import { PolicyError } from './errors.js'
import { Fields, flag, integer, list, mismatch, named, oneOrMore, parsed, type Read, text, word } from './fields.js'
import {
  type AllowRule,
  type Binding,
  policyLimits,
  type PolicyTest,
  type Qos,
  type Question,
  type Rate,
  type Role,
  type Rule,
  type TopicPolicy,
} from './policy.js'
import { parseTemplate } from './template.js'

/**
 * Reads a policy file, YAML or JSON, and checks all of it; a file with one fault is refused as a whole.
 * Run its `tests` with `runPolicyTests` before it decides anything.
 * @throws PolicyError with file:line:column
 */
export function parsePolicy(source: string, file: string): TopicPolicy {
  const document = readDocument(source, file)
  const known = ['apiVersion', 'kind', 'metadata', 'onDenyPublish', 'onOverlap', 'roles', 'bindings', 'tests']
  const fields = new Fields(document, known)
  fields.required('apiVersion', word('touchmark/v1'))
  fields.required('kind', word('TopicPolicy'))
  const roles = fields.required('roles', named(readRole))
  return {
    ...fields.required('metadata', readMetadata),
    onDenyPublish: fields.optional('onDenyPublish', word('disconnect', 'drop'), 'disconnect'),
    onOverlap: fields.optional('onOverlap', word('filter', 'reject'), 'filter'),
    roles,
    bindings: fields.required('bindings', list(readBinding(roles))),
    tests: fields.optional('tests', list(readTest), []),
    content: plain(document),
  }
}

const readMetadata: Read<Pick<TopicPolicy, 'name' | 'version'>> = (node) => {
  const fields = new Fields(node, ['name', 'version'])
  return {
    name: fields.required('name', name),
    version: fields.required('version', integer(1, Number.MAX_SAFE_INTEGER)),
  }
}

function readRole(roleName: string, node: Node, keyAt: string): Role {
  if (!isName(roleName)) throw new PolicyError('POLICY_INVALID_VALUE', keyAt, 'not a role name')
  const fields = new Fields(node, ['sessions', 'allow', 'deny'])
  const ids = new Set<string>()
  const role = {
    name: roleName,
    maxSessions: fields.optional('sessions', (sessions) => new Fields(sessions, ['max']).required('max', count), 1),
    allow: byId(fields.optional('allow', list(readAllow(roleName, ids)), [])),
    deny: byId(fields.optional('deny', list(readDeny(roleName, ids)), [])),
  }
  if (ids.size > policyLimits.rulesPerRole) {
    throw new PolicyError('POLICY_LIMIT', keyAt, `a role has at most ${policyLimits.rulesPerRole} rules`)
  }
  const subscribing = role.allow.find(({ actions }) => actions.includes('subscribe'))
  if (subscribing && !role.allow.some(({ actions }) => actions.includes('receive'))) {
    throw new PolicyError('POLICY_NO_RECEIVE', subscribing.at, 'it may subscribe, but no rule of its role may receive')
  }
  return role
}

const ruleKeys = ['id', 'actions', 'topics']

function readAllow(role: string, ids: Set<string>): Read<AllowRule> {
  return (node) => {
    const fields = new Fields(node, [...ruleKeys, 'qos', 'retain', 'payload', 'rate'])
    const rule = readRule(fields, role, ids)
    requireEffect(fields, rule, 'retain', ['publish', 'will'])
    requireEffect(fields, rule, 'payload', ['publish', 'will'])
    requireEffect(fields, rule, 'rate', ['publish'])
    return {
      ...rule,
      maxQos: fields.optional('qos', (qos) => new Fields(qos, ['max']).required('max', readQos), 2),
      retain: fields.optional('retain', flag, false),
      maxPayloadBytes: fields.optional('payload', readPayload, Infinity),
      ...(fields.has('rate') ? { rate: fields.required('rate', readRate) } : {}),
    }
  }
}

/** A deny has no constraints: whatever it names is refused in every form. */
function readDeny(role: string, ids: Set<string>): Read<Rule> {
  return (node) => readRule(new Fields(node, ruleKeys), role, ids)
}

/** What the service says of itself is said by nobody else; and there are no topics in `$share`, only names of groups. */
function readRule(fields: Fields, role: string, ids: Set<string>): Rule {
  const id = fields.required('id', name)
  if (ids.has(id)) throw new PolicyError('POLICY_DUPLICATE', fields.atOf('id'), `${role}/${id} is there already`)
  ids.add(id)
  const actions = fields.required('actions', list(word('publish', 'will', 'subscribe', 'receive')))
  const topics = fields.required('topics', list(parsed(parseTemplate, 'POLICY_INVALID_TOPIC')))
  const unspoken = topics.map(([first]) => first).find((first) => first === '$SYS' || first === '$share')
  if (unspoken !== undefined && actions.some((action) => action === 'publish' || action === 'will')) {
    const problem = `${unspoken} can be granted to subscribe and receive only`
    throw new PolicyError('POLICY_INVALID_TOPIC', fields.atOf('topics'), problem)
  }
  return { id: `${role}/${id}`, at: fields.at, actions, topics }
}

function byId<R extends Rule>(rules: readonly R[]): readonly R[] {
  return rules.toSorted((one, other) => (one.id < other.id ? -1 : 1))
}

/** A constraint that no action of the rule looks at would only look like a limit. */
function requireEffect(fields: Fields, rule: Rule, key: string, actions: readonly TopicAction[]): void {
  if (!fields.has(key) || rule.actions.some((action) => actions.includes(action))) return
  throw new PolicyError('POLICY_NO_EFFECT', fields.atOf(key), `${key} only means something for ${actions.join(', ')}`)
}

const readPayload: Read<number> = (node) => new Fields(node, ['maxBytes']).required('maxBytes', integer(0, 268_435_455)) // MQTT 3.1.1 §2.2.3

/** `{ messages: 50, per: 1s, burst: 200 }`; without burst no more than `messages` are kept. */
const readRate: Read<Rate> = (node) => {
  const fields = new Fields(node, ['messages', 'per', 'burst'])
  const messages = fields.required('messages', integer(1, 1_000_000))
  return {
    messages,
    perMs: fields.required('per', parsed(parseDuration, 'POLICY_INVALID_VALUE')),
    burst: fields.optional('burst', integer(1, 1_000_000), messages),
  }
}

function readBinding(roles: ReadonlyMap<string, Role>): Read<Binding> {
  return (node) => {
    const fields = new Fields(node, ['role', 'match'])
    const role = fields.required('role', text)
    if (!roles.has(role)) {
      throw new PolicyError('POLICY_UNKNOWN_ROLE', fields.atOf('role'), `there is no role ${JSON.stringify(role)}`)
    }
    return { role, ...fields.required('match', readMatch) }
  }
}

/** At least one condition: a role for everyone is written as the list of all tiers, never by leaving something out. */
const readMatch: Read<Omit<Binding, 'role'>> = (node) => {
  const fields = new Fields(node, ['tier', 'labels', 'ids'])
  const conditions = {
    ...(fields.has('tier') ? { tiers: fields.required('tier', oneOrMore(word(...tiers))) } : {}),
    ...(fields.has('labels') ? { labels: fields.required('labels', readLabels) } : {}),
    ...(fields.has('ids') ? { ids: fields.required('ids', oneOrMore(deviceId)) } : {}),
  }
  if (Object.keys(conditions).length === 0) throw mismatch(node, 'tier, labels or ids')
  return conditions
}

const readTest: Read<PolicyTest> = (node) => {
  const actions = ['publish', 'will', 'subscribe', 'receive'] as const
  const fields = new Fields(node, ['as', ...actions, 'qos', 'retain', 'size', 'expect', 'by', 'reason'])
  const asked = actions.filter((action) => fields.has(action))
  const [action] = asked
  if (action === undefined || asked.length > 1) throw mismatch(node, `exactly one of ${actions.join(', ')}`)
  return {
    at: node.at,
    as: fields.required('as', readAttributes),
    question: readQuestion(fields, action),
    expect: fields.required('expect', word('allow', 'deny')),
    ...(fields.has('by') ? { by: fields.required('by', text) } : {}),
    ...(fields.has('reason') ? { reason: fields.required('reason', word(...denyReasons)) } : {}),
  }
}

const readAttributes: Read<PolicyTest['as']> = (node) => {
  const fields = new Fields(node, ['id', 'tier', 'labels'])
  return {
    id: fields.required('id', deviceId),
    tier: fields.required('tier', word(...tiers)),
    labels: fields.optional('labels', readLabels, {}),
  }
}

function readQuestion(fields: Fields, action: TopicAction): Question {
  const topicName = parsed(parseTopicName, 'POLICY_INVALID_TOPIC')
  const topicFilter = parsed(parseTopicFilter, 'POLICY_INVALID_TOPIC')
  const qos = fields.optional('qos', readQos, 0)
  const retain = fields.optional('retain', flag, false)
  const size = fields.optional('size', integer(0, 268_435_455), 0)
  switch (action) {
    case 'publish':
    case 'will':
      return { action, topic: fields.required(action, topicName), qos, retain, size }
    case 'subscribe':
      return { action, filter: fields.required(action, topicFilter), qos }
    case 'receive':
      return { action, topic: fields.required(action, topicName) }
  }
}

/** A label that cannot stand in a topic is refused here as at enrollment. */
const readLabels: Read<Labels> = (node) => {
  const labels = named((label, value, keyAt) => {
    if (!isName(label)) throw new PolicyError('POLICY_INVALID_VALUE', keyAt, 'not a label name')
    return name(value)
  })(node)
  return Object.fromEntries(labels)
}

const name: Read<string> = (node) => {
  const value = text(node)
  if (!isName(value)) throw mismatch(node, '1 to 64 of A-Z a-z 0-9 . _ -')
  return value
}

const deviceId = parsed(parseDeviceId, 'POLICY_INVALID_VALUE')
const count = integer(1, 64)

const readQos: Read<Qos> = (node) => {
  const value = integer(0, 2)(node)
  return value === 0 ? 0 : value === 1 ? 1 : 2
}

function parseDuration(source: string): number {
  const [, amount, unit] = /^([1-9]\d{0,5})(ms|s|m|h)$/.exec(source) ?? []
  if (amount === undefined) throw new TypeError('expected a duration such as 500ms, 1s, 5m or 1h')
  return Number(amount) * (unit === 'ms' ? 1 : unit === 's' ? 1000 : unit === 'm' ? 60_000 : 3_600_000)
}

const denyReasons = [
  'no_rule',
  'denied',
  'not_contained',
  'overlaps_deny',
  'qos',
  'retain',
  'size',
  'rate',
  'condition',
  'reserved',
  'invalid_share',
  'no_rights',
] as const satisfies readonly DenyReason[]
