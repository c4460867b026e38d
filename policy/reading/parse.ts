import { isName, serviceTopicRoot, type TopicAction } from '#protocol'
import { PolicyError } from '../errors.js'
import { parseTemplate } from '../matching/template.js'
import { type AllowRule, policyLimits, type Rate, type Role, type Rule, type TopicPolicy } from '../policy.js'
import { type Node, plain, readDocument } from './document.js'
import { Fields, flag, integer, list, named, parsed, type Read, word } from './fields.js'
import { readBinding, readRoleName, requireFewRoles } from './read-binding.js'
import { readDiscover } from './read-discover.js'
import { readOperators } from './read-operators.js'
import { readTest } from './read-test.js'
import { actions, count, maxPayloadBytes, name, readQos } from './values.js'

/**
 * Reads a policy file, YAML or JSON, and checks all of it; a file with one fault is refused as a whole.
 * Run its `tests` with `runPolicyTests` before it decides anything.
 * @throws PolicyError with file:line:column
 */
export function parsePolicy(source: string, file: string): TopicPolicy {
  const document = readDocument(source, file)
  const known = [
    'apiVersion',
    'kind',
    'metadata',
    'onDenyPublish',
    'onOverlap',
    'roles',
    'bindings',
    'operators',
    'quarantine',
    'tests',
  ]
  const fields = new Fields(document, known)
  fields.required('apiVersion', word('touchmark/v1'))
  fields.required('kind', word('TopicPolicy'))
  const roles = fields.required('roles', named(readRole))
  const bindings = fields.required('bindings', list(readBinding(roles)))
  requireFewRoles(bindings)
  return {
    ...fields.required('metadata', readMetadata),
    onDenyPublish: fields.optional('onDenyPublish', word('disconnect', 'drop'), 'disconnect'),
    onOverlap: fields.optional('onOverlap', word('filter', 'reject'), 'filter'),
    roles,
    bindings,
    ...(fields.has('operators') ? { operators: fields.required('operators', readOperators) } : {}),
    ...(fields.has('quarantine') ? { quarantineRole: fields.required('quarantine', readQuarantine(roles)) } : {}),
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

/** `{ role: repair }`. */
function readQuarantine(roles: ReadonlyMap<string, Role>): Read<string> {
  return (node) => readRoleName(new Fields(node, ['role']), roles)
}

function readRole(roleName: string, node: Node, keyAt: string): Role {
  if (!isName(roleName)) throw new PolicyError('POLICY_INVALID_VALUE', keyAt, 'not a role name')
  const fields = new Fields(node, ['sessions', 'allow', 'deny', 'discover'])
  const ids = new Set<string>()
  const role = {
    name: roleName,
    maxSessions: fields.optional('sessions', (sessions) => new Fields(sessions, ['max']).required('max', count), 1),
    allow: byId(fields.optional('allow', list(readAllow(roleName, ids)), [])),
    deny: byId(fields.optional('deny', list(readDeny(roleName, ids)), [])),
    discover: byId(fields.optional('discover', list(readDiscover(roleName, ids)), [])),
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
    const fields = new Fields(node, [...ruleKeys, 'qos', 'retain', 'payload', 'rate', 'respond'])
    const rule = readRule(fields, role, ids)
    requireEffect(fields, rule, 'retain', ['publish', 'will'])
    requireEffect(fields, rule, 'payload', ['publish', 'will'])
    requireEffect(fields, rule, 'rate', ['publish'])
    requireEffect(fields, rule, 'respond', ['publish'])
    return {
      ...rule,
      maxQos: fields.optional('qos', (qos) => new Fields(qos, ['max']).required('max', readQos), 2),
      retain: fields.optional('retain', flag, false),
      maxPayloadBytes: fields.optional('payload', readPayload, Infinity),
      ...(fields.has('rate') ? { rate: fields.required('rate', readRate) } : {}),
      ...(fields.has('respond') ? { answerMs: fields.required('respond', readRespond) } : {}),
    }
  }
}

/** A deny has no constraints: whatever it names is refused in every form. */
function readDeny(role: string, ids: Set<string>): Read<Rule> {
  return (node) => readRule(new Fields(node, ruleKeys), role, ids)
}

/**
 * What the service says of itself is said by nobody else; and there are no topics in `$share`, only names of groups. Who
 * hears of which service is for `discover` rules alone: with two places to say it, neither could be read by itself.
 */
function readRule(fields: Fields, role: string, ids: Set<string>): Rule {
  const id = fields.required('id', name)
  if (ids.has(id)) throw new PolicyError('POLICY_DUPLICATE', fields.atOf('id'), `${role}/${id} is there already`)
  ids.add(id)
  const granted = fields.required('actions', list(word(...actions)))
  const topics = fields.required('topics', list(parsed(parseTemplate, 'POLICY_INVALID_TOPIC')))
  if (topics.some(([first]) => first === serviceTopicRoot)) {
    const problem = `${serviceTopicRoot} is the service's own: nobody publishes there, and what a device hears there its "discover" rules say`
    throw new PolicyError('POLICY_INVALID_TOPIC', fields.atOf('topics'), problem)
  }
  const unspoken = topics.map(([first]) => first).find((first) => first === '$SYS' || first === '$share')
  if (unspoken !== undefined && granted.some((action) => action === 'publish' || action === 'will')) {
    const problem = `${unspoken} can be granted to subscribe and receive only`
    throw new PolicyError('POLICY_INVALID_TOPIC', fields.atOf('topics'), problem)
  }
  return { id: `${role}/${id}`, at: fields.at, actions: granted, topics }
}

function byId<R extends Pick<Rule, 'id'>>(rules: readonly R[]): readonly R[] {
  return rules.toSorted((one, other) => (one.id < other.id ? -1 : 1))
}

/** A constraint that no action of the rule looks at would only look like a limit. */
function requireEffect(fields: Fields, rule: Rule, key: string, actions: readonly TopicAction[]): void {
  if (!fields.has(key) || rule.actions.some((action) => actions.includes(action))) return
  throw new PolicyError('POLICY_NO_EFFECT', fields.atOf(key), `${key} only means something for ${actions.join(', ')}`)
}

const readPayload: Read<number> = (node) =>
  new Fields(node, ['maxBytes']).required('maxBytes', integer(0, maxPayloadBytes))

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

/** `{ within: 30s }`: who is asked may answer once. */
const readRespond: Read<number> = (node) =>
  new Fields(node, ['within']).required('within', parsed(parseAnswerTime, 'POLICY_INVALID_VALUE'))

function parseAnswerTime(source: string): number {
  const time = parseDuration(source)
  if (time > 3_600_000) throw new TypeError('an answer is waited for an hour at most')
  return time
}

function parseDuration(source: string): number {
  const [, amount, unit] = /^([1-9]\d{0,5})(ms|s|m|h)$/.exec(source) ?? []
  if (amount === undefined) throw new TypeError('expected a duration such as 500ms, 1s, 5m or 1h')
  return Number(amount) * (unit === 'ms' ? 1 : unit === 's' ? 1000 : unit === 'm' ? 60_000 : 3_600_000)
}
