import { parseTopicFilter, parseTopicName } from '#protocol'
import type { Qos, Question } from '../../policy/policy.js'

/* Policies and questions of few words, so that they meet often. */

export type Random = (below: number) => number

const words = ['a', 'b', '${device.id}', '+']
const names = ['a', 'b', 'd1']

/** As the file has it: allows of all kinds with their constraints, and some denies. */
export function randomRole(random: Random) {
  const pick = (from: readonly string[]) => from[random(from.length)] ?? 'a'
  const topic = () => {
    const levels = Array.from({ length: 1 + random(3) }, () => pick(words)).join('/')
    return random(3) === 0 ? `${levels}/#` : levels
  }
  const allow = Array.from({ length: 1 + random(4) }, (_, at) => ({
    id: `a${at}`,
    actions: [
      ['publish', 'will'],
      ['subscribe', 'receive'],
      ['publish', 'receive'],
    ][random(3)],
    topics: [topic(), topic()],
    qos: { max: random(3) },
  })).map((rule) => ({
    ...rule,
    ...(rule.actions?.includes('publish')
      ? { retain: random(2) === 0, payload: { maxBytes: 10 }, rate: { messages: 1 + random(9), per: '1s' } }
      : {}),
  }))
  const deny = Array.from({ length: random(3) }, (_, at) => ({
    id: `d${at}`,
    actions: [pick(['publish', 'will', 'subscribe', 'receive'])],
    topics: [topic()],
  }))
  return { allow, ...(deny.length > 0 ? { deny } : {}) }
}

/** About the device `d1` and what is near it. */
export function randomQuestion(random: Random): Question {
  const levels = (from: readonly string[]) =>
    Array.from({ length: 1 + random(3) }, () => from[random(from.length)] ?? 'a').join('/')
  const qos: Qos = ([0, 1, 2] as const)[random(3)] ?? 0
  const topic = parseTopicName(levels(names))
  const message = { topic, qos, retain: random(3) === 0, size: random(13) }
  const filter = parseTopicFilter(levels([...names, '+']) + (random(4) === 0 ? '/#' : ''))
  const questions: readonly Question[] = [
    { action: 'publish', ...message },
    { action: 'will', ...message },
    { action: 'subscribe', filter, qos },
    { action: 'receive', topic },
  ]
  return questions[random(questions.length)] ?? { action: 'receive', topic }
}
