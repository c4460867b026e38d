import { preparsePolicySet, statefulIsAuthorized } from '@cedar-policy/cedar-wasm/nodejs'
import { asking, type Engine } from './engine.js'

/** Policies are read once beforehand; the topic is part of the context, and `like` stands for a last `#`. */
export const cedar: Engine = {
  name: 'cedar-wasm',
  prepare(filters) {
    const name = `${filters.length} rules`
    const read = preparsePolicySet(name, { staticPolicies: filters.map(permit).join('\n') })
    if (read.type === 'failure') throw new Error(read.errors.map(({ message }) => message).join('; '))
    return (topic) => {
      const answer = statefulIsAuthorized({
        principal: { type: 'Device', id: asking.device },
        action: { type: 'Action', id: 'publish' },
        resource: { type: 'Broker', id: 'broker' },
        context: { topic },
        preparsedPolicySetId: name,
        entities: [],
      })
      return answer.type === 'success' && answer.response.decision === 'allow'
    }
  },
}

const permit = (filter: string): string =>
  `permit(principal == Device::"${asking.device}", action == Action::"publish", resource)
when { context.topic like "${filter.replace(/#$/, '*')}" };`
