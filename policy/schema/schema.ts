import { tiers } from '#protocol'
import { policyLimits } from '../policy.js'
import { expectableReasons } from '../reading/read-test.js'
import { actions, maxPayloadBytes } from '../reading/values.js'
import { operatorSchema } from './operator-schema.js'
import { labels, name, oneOrMore, record, type Schema, some, whole } from './schema-parts.js'

/*
 * What `parsePolicy` accepts, as JSON Schema: for editors, which complete names and explain them. It refuses nothing
 * that the parser accepts; the parser knows more (whether a role is there, what a topic may be) and alone decides.
 */

const time = {
  type: 'string',
  pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d{1,3})?(Z|[+-]\\d{2}:\\d{2})$',
  examples: ['2027-01-01T00:00:00Z'],
}
const qos = whole(0, 2)
const duration = { type: 'string', pattern: '^[1-9]\\d{0,5}(ms|s|m|h)$', examples: ['1s', '5m'] }
const topic = { type: 'string', minLength: 1, maxLength: 1024 }
const tier = { enum: [...tiers], description: 'How the device has proved its key.' }

const rule = {
  id: { ...name, description: 'Decisions and the audit log name the rule as ROLE/ID.' },
  actions: {
    ...some({ enum: [...actions] }),
    description:
      'publish; will: what is published when a session has gone; subscribe: to ask; receive: checked at every delivery.',
  },
  topics: {
    ...some(topic),
    description:
      'Topic filters. ${device.id} and ${device.labels.NAME} stand for one whole level; $share/GROUP/FILTER grants a share in that group.',
  },
}

const allow = {
  ...record(
    {
      ...rule,
      qos: { ...record({ max: qos }, ['max']), description: 'The highest QoS; 2 where nothing is said.' },
      retain: {
        type: 'boolean',
        default: false,
        description: 'Whether messages may be retained, and retained ones cleared.',
      },
      payload: record({ maxBytes: whole(0, maxPayloadBytes) }, ['maxBytes']),
      rate: {
        ...record(
          {
            messages: whole(1, 1_000_000),
            per: duration,
            burst: { ...whole(1, 1_000_000), description: 'As many may come at once; default: messages.' },
          },
          ['messages', 'per'],
        ),
        description: 'A bucket for each device and rule; a reconnect does not fill it.',
      },
      respond: {
        ...record({ within: duration }, ['within']),
        description:
          'MQTT 5: who is given a message with a response topic and correlation data may answer once, there and with these.',
      },
    },
    ['id', 'actions', 'topics'],
  ),
  // What no action of the rule looks at would only look like a limit.
  dependentSchemas: {
    retain: { properties: { actions: { contains: { enum: ['publish', 'will'] } } } },
    payload: { properties: { actions: { contains: { enum: ['publish', 'will'] } } } },
    rate: { properties: { actions: { contains: { const: 'publish' } } } },
    respond: { properties: { actions: { contains: { const: 'publish' } } } },
  },
}

const pattern = { type: 'string', pattern: '^([A-Za-z0-9._-]{1,64}\\*?|\\*)$', examples: ['modbus', 'opc*'] }

const discover = {
  ...record(
    {
      id: rule.id,
      labels: {
        type: 'object',
        minProperties: 1,
        propertyNames: name,
        additionalProperties: {
          anyOf: [name, { type: 'string', pattern: '^\\$\\{device\\.(id|labels\\.[A-Za-z0-9._-]{1,64})\\}$' }],
        },
        description:
          'Of the device that offers it. ${device.id} and ${device.labels.NAME} stand for what the one who looks has.',
      },
      services: { ...oneOrMore(pattern), description: 'Names of services; a last * stands for any end.' },
      protocols: oneOrMore(pattern),
    },
    ['id'],
  ),
  minProperties: 2, // something is said besides the id
}

const role = record({
  sessions: {
    ...record({ max: whole(1, 64) }, ['max']),
    description: 'Sessions of a device at once; above 1 they connect as ID~SUFFIX. Default 1.',
  },
  allow: { ...some(allow), maxItems: policyLimits.rulesPerRole },
  deny: {
    ...some(record(rule, ['id', 'actions', 'topics'])),
    maxItems: policyLimits.rulesPerRole,
    description: 'Any matching deny refuses, whatever allows it.',
  },
  discover: {
    ...some(discover),
    maxItems: policyLimits.rulesPerRole,
    description: 'Which services of other devices may be seen: GET /v1/services.',
  },
})

const roleName = { type: 'string', description: 'One of `roles`.' }

const binding = record(
  {
    role: roleName,
    match: {
      ...record({ tier: oneOrMore(tier), labels, ids: oneOrMore(name) }),
      minProperties: 1,
      description: 'Which devices; all that is named has to hold.',
    },
    when: {
      ...record({
        cidr: {
          ...oneOrMore({
            type: 'string',
            pattern: '^[\\dA-Fa-f:.]+(/(0|[1-9]\\d{0,2}))?$',
            examples: ['10.0.0.0/8', '2001:db8::/32'],
          }),
          description: 'The client is in one of these networks.',
        },
        notBefore: { ...time, description: 'From this moment on.' },
        notAfter: { ...time, description: 'Until just before this moment.' },
      }),
      minProperties: 1,
      description: 'Where from and when they have the role; all that is named has to hold.',
    },
  },
  ['role', 'match'],
)

const test = {
  ...record(
    {
      as: record({ id: name, tier, labels, quarantined: { type: 'boolean' } }, ['id', 'tier']),
      from: { type: 'string', maxLength: 64, description: 'The address of the client; without it, it is not known.' },
      at: { ...time, description: 'The moment; without it, it is not known.' },
      ...Object.fromEntries(actions.map((action) => [action, topic])),
      discover: {
        ...record({ labels, service: name, protocol: name }, ['service', 'protocol']),
        description: 'A service that a device with these labels offers.',
      },
      qos,
      retain: { type: 'boolean' },
      size: { ...whole(0, maxPayloadBytes), description: 'Bytes of payload.' },
      expect: { enum: ['allow', 'deny'] },
      by: { type: 'string', description: 'A rule that must be among those that decide: ID or ROLE/ID.' },
      reason: { enum: [...expectableReasons] },
    },
    ['as', 'expect'],
  ),
  oneOf: [...actions, 'discover'].map((asked) => ({ required: [asked] })),
}

/** JSON Schema, draft 2020-12, of a policy file. */
export const policySchema: Schema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  $id: 'urn:touchmark:topic-policy:v1',
  title: 'Touchmark topic policy',
  description: 'Who may publish, subscribe and receive what. A device can do nothing that no rule allows.',
  ...record(
    {
      apiVersion: { const: 'touchmark/v1' },
      kind: { const: 'TopicPolicy' },
      metadata: record(
        {
          name,
          version: {
            ...whole(1, Number.MAX_SAFE_INTEGER),
            description: 'Grows with each change; every decision names it.',
          },
        },
        ['name', 'version'],
      ),
      onDenyPublish: {
        enum: ['disconnect', 'drop'],
        default: 'disconnect',
        description: 'MQTT 3.1.1 cannot refuse a message: end the session, or acknowledge it and deliver it to nobody.',
      },
      onOverlap: {
        enum: ['filter', 'reject'],
        default: 'filter',
        description: 'A subscription that reaches into a deny: grant it and withhold what is denied, or refuse it.',
      },
      roles: { type: 'object', propertyNames: name, additionalProperties: role },
      bindings: some(binding),
      operators: operatorSchema,
      quarantine: {
        ...record({ role: roleName }, ['role']),
        description:
          'The only role of a device in quarantine (touchmark locks add --mode quarantine). Without it such a lock keeps out.',
      },
      tests: {
        ...some(test),
        description: 'Questions with their answers; a policy that fails one is never put in force.',
      },
    },
    ['apiVersion', 'kind', 'metadata', 'roles', 'bindings'],
  ),
}
