import { type ActName, actNames, isActName, isLimitedBy, isName, parseOperatorName } from '#protocol'
import { PolicyError } from '../errors.js'
import type { Grant, OperatorBinding, OperatorPolicy } from '../operators/operator-policy.js'
import { policyLimits } from '../policy.js'
import type { Node } from './document.js'
import { Fields, integer, list, mismatch, named, oneOrMore, parsed, type Read, text } from './fields.js'
import { name, readLabels } from './values.js'

/** `operators: { roles, bindings }`: what people may do, read like what devices may say. @throws PolicyError */
export const readOperators: Read<OperatorPolicy> = (node) => {
  const fields = new Fields(node, ['roles', 'bindings'])
  const roles = fields.required('roles', named(readRole))
  return { roles, bindings: fields.required('bindings', list(readBinding(roles))) }
}

function readRole(role: string, node: Node, keyAt: string): readonly Grant[] {
  if (!isName(role)) throw new PolicyError('POLICY_INVALID_VALUE', keyAt, 'not a role name')
  const ids = new Set<string>()
  const grants = new Fields(node, ['allow']).required('allow', list(readGrant(role, ids)))
  if (grants.length <= policyLimits.rulesPerRole) return grants
  throw new PolicyError('POLICY_LIMIT', keyAt, `a role has at most ${policyLimits.rulesPerRole} rules`)
}

function readGrant(role: string, ids: Set<string>): Read<Grant> {
  return (node) => {
    const fields = new Fields(node, ['id', 'acts', 'labels', 'maxDevices'])
    const id = fields.required('id', name)
    if (ids.has(id)) throw new PolicyError('POLICY_DUPLICATE', fields.atOf('id'), `${role}/${id} is there already`)
    ids.add(id)
    const isNarrow = fields.has('labels')
    const acts = new Set(fields.required('acts', list(isNarrow ? readActsOnDevices : readActs)).flat())
    if (fields.has('maxDevices') && ![...acts].some((act) => isLimitedBy(act, 'maxDevices'))) {
      const limited = actNames.filter((act) => isLimitedBy(act, 'maxDevices'))
      const problem = `maxDevices only means something for ${limited.join(', ')}`
      throw new PolicyError('POLICY_NO_EFFECT', fields.atOf('maxDevices'), problem)
    }
    return {
      id: `${role}/${id}`,
      at: fields.at,
      acts,
      labels: fields.optional('labels', readSelector, {}),
      maxDevices: fields.optional('maxDevices', integer(1, Number.MAX_SAFE_INTEGER), Infinity),
    }
  }
}

/** `devices.read`, `devices.*` or `*`; the two last for all that there are. */
const readActs: Read<readonly ActName[]> = (node) => {
  const word = text(node)
  if (isActName(word)) return [word]
  const prefix = /^([a-z]+\.)?\*$/.exec(word)
  const meant = prefix ? actNames.filter((act) => act.startsWith(prefix[1] ?? '')) : []
  if (meant.length === 0) throw mismatch(node, `${actNames.join(', ')}, GROUP.* or *`)
  return meant
}

/** Where labels are named, `*` stands for what is done on devices, and what is not cannot be named. */
const readActsOnDevices: Read<readonly ActName[]> = (node) => {
  const meant = readActs(node).filter((act) => isLimitedBy(act, 'labels'))
  if (meant.length > 0) return meant
  throw new PolicyError('POLICY_NO_EFFECT', node.at, `labels mean nothing for ${text(node)}: give it in a rule without`)
}

/** No label at all would be every device. */
const readSelector: Read<Grant['labels']> = (node) => {
  const labels = readLabels(node)
  if (Object.keys(labels).length > 0) return labels
  throw mismatch(node, 'at least one label')
}

function readBinding(roles: OperatorPolicy['roles']): Read<OperatorBinding> {
  return (node) => {
    const fields = new Fields(node, ['role', 'operators'])
    const role = fields.required('role', text)
    if (!roles.has(role)) {
      throw new PolicyError('POLICY_UNKNOWN_ROLE', fields.atOf('role'), `there is no role ${JSON.stringify(role)}`)
    }
    return { at: node.at, role, operators: fields.required('operators', oneOrMore(operator)) }
  }
}

const operator = parsed(parseOperatorName, 'POLICY_INVALID_VALUE')
