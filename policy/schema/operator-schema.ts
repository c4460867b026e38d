import { actNames } from '#protocol'
import { policyLimits } from '../policy.js'
import { labels, name, oneOrMore, record, type Schema, some, whole } from './schema-parts.js'

const groups = [...new Set(actNames.map((act) => act.replace(/\..*/, '.*')))]

const grant = record(
  {
    id: { ...name, description: 'Refusals and this file name the rule as ROLE/ID.' },
    acts: {
      ...some({ enum: [...actNames, ...groups, '*'] }),
      description: 'What the operator may do; GROUP.* and * stand for all that there are.',
    },
    labels: {
      ...labels,
      minProperties: 1,
      description: 'Only on devices that have all of these, and what belongs to them.',
    },
    maxDevices: {
      ...whole(1, Number.MAX_SAFE_INTEGER),
      description: 'How many devices one lock may be on, and how many may join with one token. Default: any number.',
    },
  },
  ['id', 'acts'],
)

const binding = record(
  {
    role: { type: 'string', description: 'One of the operators’ `roles`.' },
    operators: { ...oneOrMore(name), description: 'By the names in their certificates.' },
  },
  ['role', 'operators'],
)

/** `operators:` of a policy file. */
export const operatorSchema: Schema = {
  ...record(
    {
      roles: {
        type: 'object',
        propertyNames: name,
        additionalProperties: record({ allow: { ...some(grant), maxItems: policyLimits.rulesPerRole } }, ['allow']),
      },
      bindings: some(binding),
    },
    ['roles', 'bindings'],
  ),
  description:
    'What people may do; what no rule gives, nobody may. The local admin of the data folder may always do everything.',
}
