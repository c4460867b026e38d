import { isName } from '#protocol'
import { PolicyError } from '../errors.js'
import { parseVariable } from '../matching/template.js'
import type { DiscoverRule, Variable } from '../policy.js'
import { Fields, mismatch, named, oneOrMore, parsed, type Read, text } from './fields.js'
import { name } from './values.js'

const conditions = ['labels', 'services', 'protocols'] as const

/**
 * `{ id, labels, services, protocols }`: which services of other devices a role lets see. To see all, that is said:
 * `services: "*"`, never by leaving something out. @throws PolicyError
 */
export function readDiscover(role: string, ids: Set<string>): Read<DiscoverRule> {
  return (node) => {
    const fields = new Fields(node, ['id', ...conditions])
    const id = fields.required('id', name)
    if (ids.has(id)) throw new PolicyError('POLICY_DUPLICATE', fields.atOf('id'), `${role}/${id} is there already`)
    ids.add(id)
    if (!conditions.some((condition) => fields.has(condition))) throw mismatch(node, `one of ${conditions.join(', ')}`)
    return {
      id: `${role}/${id}`,
      at: fields.at,
      labels: fields.optional('labels', readLabels, {}),
      ...(fields.has('services') ? { services: fields.required('services', oneOrMore(pattern)) } : {}),
      ...(fields.has('protocols') ? { protocols: fields.required('protocols', oneOrMore(pattern)) } : {}),
    }
  }
}

/** Of the device that offers it; no label at all would be every device. */
const readLabels: Read<DiscoverRule['labels']> = (node) => {
  const labels = named((label, value, keyAt) => {
    if (!isName(label)) throw new PolicyError('POLICY_INVALID_VALUE', keyAt, 'not a label name')
    return readValue(value)
  })(node)
  if (labels.size === 0) throw mismatch(node, 'at least one label')
  return Object.fromEntries(labels)
}

const readValue: Read<string | Variable> = (node) =>
  text(node).includes('${') ? parsed(parseVariable, 'POLICY_INVALID_VALUE')(node) : name(node)

/** A name, the beginning of one with a `*`, or `*` alone. */
const pattern: Read<string> = (node) => {
  const written = text(node)
  const beginning = written.endsWith('*') ? written.slice(0, -1) : written
  if (beginning === '' ? written !== '*' : !/^[A-Za-z0-9._-]{1,64}$/.test(beginning)) {
    throw mismatch(node, 'a name, or the beginning of one and a *')
  }
  return written
}
