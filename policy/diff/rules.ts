import type { PolicyDifference } from '#protocol'
import { covered, type Levels } from '../matching/containment.js'
import type { AllowRule, Rate, Rule, TopicTemplate } from '../policy.js'
import { type Brings, compareNumbers, compareReach, compareSets, opposite } from './brings.js'
import { compareRules, type Parts } from './compare-rules.js'
import { formatAnswerTime, formatPayload, formatRate, formatRule, formatTemplate } from './format.js'

type RuleChange = Omit<PolicyDifference, 'about' | 'role'>

const ofEach: Parts<Rule> = {
  actions: {
    what: 'actions',
    format: ({ actions }) => actions.join(', '),
    compare: (from, to) => compareSets(from.actions, to.actions),
  },
  topics: {
    what: 'topics',
    format: ({ topics }) => topics.map(formatTemplate).join(', '),
    compare: (from, to) => compareTopics(from.topics, to.topics),
  },
}

const ofAllow: Parts<AllowRule> = {
  ...ofEach,
  maxQos: {
    what: 'qos',
    format: ({ maxQos }) => String(maxQos),
    compare: (from, to) => compareNumbers(from.maxQos, to.maxQos),
  },
  retain: {
    what: 'retain',
    format: ({ retain }) => String(retain),
    compare: (from, to) => compareNumbers(Number(from.retain), Number(to.retain)),
  },
  maxPayloadBytes: {
    what: 'payload',
    format: ({ maxPayloadBytes }) => formatPayload(maxPayloadBytes),
    compare: (from, to) => compareNumbers(from.maxPayloadBytes, to.maxPayloadBytes),
  },
  rate: {
    what: 'rate',
    format: ({ rate }) => formatRate(rate),
    compare: (from, to) => compareRates(from.rate, to.rate),
  },
  answerMs: {
    what: 'respond',
    format: ({ answerMs }) => formatAnswerTime(answerMs),
    compare: (from, to) => compareNumbers(from.answerMs ?? 0, to.answerMs ?? 0),
  },
}

export function diffAllows(from: readonly AllowRule[], to: readonly AllowRule[]): readonly RuleChange[] {
  const changes = compareRules(from, to, { parts: ofAllow, format: formatRule })
  return changes.map((change) => ({ effect: 'allow', ...change }) as const)
}

/** To deny more is to give less. */
export function diffDenies(from: readonly Rule[], to: readonly Rule[]): readonly RuleChange[] {
  const changes = compareRules(from, to, { parts: ofEach, format: formatRule })
  return changes.map((change) => ({ effect: 'deny', ...change, brings: opposite(change.brings) }) as const)
}

/** By what they match and not by how they are written: `a/+` beside `a/#` brings nothing. */
function compareTopics(from: readonly TopicTemplate[], to: readonly TopicTemplate[]): Brings | undefined {
  const [before, after] = [from.map(asLevels), to.map(asLevels)]
  return compareReach(
    after.every((filter) => covered(filter, before)),
    before.every((filter) => covered(filter, after)),
  )
}

/** A variable can stand for any word, so it is one that no filter can contain (MQTT 5.0 §1.5.4: no U+0000). */
function asLevels(template: TopicTemplate): Levels {
  return template.map((level) => (typeof level === 'string' ? level : `\0${formatTemplate([level])}`))
}

function compareRates(from: Rate | undefined, to: Rate | undefined): Brings | undefined {
  const [older, newer] = [from ?? unlimited, to ?? unlimited]
  const isWithin = (one: Rate, other: Rate) =>
    one.messages * other.perMs <= other.messages * one.perMs && one.burst <= other.burst
  return compareReach(isWithin(newer, older), isWithin(older, newer))
}

const unlimited: Rate = { messages: Infinity, perMs: 1, burst: Infinity }
