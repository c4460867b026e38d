import { newCachedEnforcer, newEnforcer, newModelFromString, StringAdapter } from 'casbin'
import { asking, type Engine } from './engine.js'
import { matches } from './split-and-compare.js'

/** Access control by subject, object and action, with MQTT's filters as a function of the matcher. */
const model = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.sub == p.sub && r.act == p.act && topicMatch(r.obj, p.obj)
`

const linesOf = (filters: readonly string[]): string =>
  filters.map((filter) => `p, ${asking.device}, ${filter}, publish`).join('\n')

const topicMatch = (topic: string, filter: string): boolean => matches(filter, topic)

/** Its answer is the same as of the others, without the name of a rule. */
export const casbin: Engine = {
  name: 'casbin',
  async prepare(filters) {
    const enforcer = await newEnforcer(newModelFromString(model), new StringAdapter(linesOf(filters)))
    await enforcer.addFunction('topicMatch', topicMatch)
    return (topic) => enforcer.enforceSync(asking.device, topic, 'publish')
  },
}

/** With its own cache of answers, which it gives as a promise only. */
export const cachingCasbin: Engine = {
  name: 'casbin',
  async prepare(filters) {
    const enforcer = await newCachedEnforcer(newModelFromString(model), new StringAdapter(linesOf(filters)))
    await enforcer.addFunction('topicMatch', topicMatch)
    return (topic) => enforcer.enforce(asking.device, topic, 'publish')
  },
}
