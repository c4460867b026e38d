import { topicLimits } from '#protocol'
import type { DeviceAttributes, Rule, Variable } from './policy.js'
import { maxBytesOf, renderTemplate, renderVariable } from './template.js'

/** What the topics of some rules ask of a device. */
interface Demands {
  readonly variables: readonly Variable[]
  /** Whether one of their filters could become too long for some device. */
  readonly mayOverflow: boolean
}

/** The same lists are rendered for every device of a fleet; what they ask of it is found out once. */
const known = new WeakMap<readonly Rule[], Demands>()

/** Why rules cannot be rendered for a device. Mostly there is nothing, which is told without rendering them. */
export function problemsOf(rules: readonly Rule[], device: DeviceAttributes): readonly string[] {
  const { variables, mayOverflow } = demandsOf(rules)
  if (!mayOverflow && variables.every((variable) => problemIn(() => renderVariable(variable, device)) === undefined)) {
    return none
  }
  return rules.flatMap(({ at, id, topics }) => {
    const problem = problemIn(() => topics.forEach((topic) => renderTemplate(topic, device)))
    return problem === undefined ? [] : [`${at}: ${id}: ${problem}`]
  })
}

/** Those that can be; mostly the list itself. */
export function renderable<R extends Rule>(rules: readonly R[], device: DeviceAttributes): readonly R[] {
  return problemsOf(rules, device).length === 0
    ? rules
    : rules.filter((rule) => problemsOf([rule], device).length === 0)
}

const none: readonly never[] = []

function demandsOf(rules: readonly Rule[]): Demands {
  const found = known.get(rules)
  if (found) return found
  const topics = rules.flatMap((rule) => rule.topics)
  const variables = topics.flat().filter((level) => typeof level !== 'string')
  const demands = {
    variables: [...new Map(variables.map((variable) => [JSON.stringify(variable), variable])).values()],
    mayOverflow: topics.some((topic) => maxBytesOf(topic) > topicLimits.maxBytes),
  }
  known.set(rules, demands)
  return demands
}

function problemIn(render: () => unknown): string | undefined {
  try {
    render()
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : 'not rendered'
  }
}
