import type { Conditions } from '../conditions/conditions.js'
import { formatNetwork } from '../conditions/networks.js'
import type { AllowRule, Binding, Rate, Rule, TopicTemplate, Variable } from '../policy.js'

/*
 * Parts of a policy in one line each, for whoever reads a comparison.
 */

export function formatRule(rule: Rule | AllowRule): string {
  const said = `${rule.actions.join(', ')}: ${rule.topics.map(formatTemplate).join(', ')}`
  return [said, ...('maxQos' in rule ? formatConstraints(rule) : [])].join('; ')
}

function formatConstraints({ maxQos, retain, maxPayloadBytes, rate, answerMs }: AllowRule): readonly string[] {
  return [
    ...(maxQos < 2 ? [`qos ${maxQos}`] : []),
    ...(retain ? ['retain'] : []),
    ...(maxPayloadBytes < Infinity ? [formatPayload(maxPayloadBytes)] : []),
    ...(rate ? [formatRate(rate)] : []),
    ...(answerMs === undefined ? [] : [`respond ${formatAnswerTime(answerMs)}`]),
  ]
}

/** As it stands in the file. */
export function formatTemplate(template: TopicTemplate): string {
  return template.map((level) => (typeof level === 'string' ? level : formatVariable(level))).join('/')
}

function formatVariable(variable: Variable): string {
  return variable.device === 'id' ? '${device.id}' : `\${device.labels.${variable.label}}`
}

export function formatPayload(maxBytes: number): string {
  return maxBytes === Infinity ? 'no limit' : `${maxBytes} bytes`
}

export function formatRate(rate: Rate | undefined): string {
  if (rate === undefined) return 'no limit'
  return `${rate.messages} per ${formatDuration(rate.perMs)}, burst ${rate.burst}`
}

export function formatAnswerTime(answerMs: number | undefined): string {
  return answerMs === undefined ? 'never' : `within ${formatDuration(answerMs)}`
}

function formatDuration(milliseconds: number): string {
  for (const [unit, length] of durations) if (milliseconds % length === 0) return `${milliseconds / length}${unit}`
  return `${milliseconds}ms`
}

const durations = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const

export function formatMatch({ tiers, labels, ids }: Binding): string {
  return [
    ...(tiers ? [`tier ${tiers.toSorted().join(', ')}`] : []),
    ...(labels ? [`labels ${formatLabels(labels)}`] : []),
    ...(ids ? [`ids ${ids.toSorted().join(', ')}`] : []),
  ].join('; ')
}

export function formatLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${value}`)
  return pairs.length === 0 ? 'any' : pairs.toSorted().join(', ')
}

export function formatConditions({ networks, notBefore, notAfter }: Conditions = {}): string {
  const said = [
    ...(networks ? [`from ${networks.map(formatNetwork).toSorted().join(', ')}`] : []),
    ...(notBefore === undefined ? [] : [`not before ${new Date(notBefore).toISOString()}`]),
    ...(notAfter === undefined ? [] : [`not after ${new Date(notAfter).toISOString()}`]),
  ]
  return said.length === 0 ? 'always' : said.join('; ')
}
