import { everyRight, operatorRights, type OperatorRights, type TopicPolicy } from '#policy'
import type { OperatorName } from '#protocol'
import { localAdmin } from './local-admin.js'

/** What an operator may do by a policy; the one who holds the data folder, everything, whatever it says. */
export function operatorRightsIn(policy: TopicPolicy, operator: OperatorName): OperatorRights {
  return operator === localAdmin ? everyRight : operatorRights(policy, operator)
}
