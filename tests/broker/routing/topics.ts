import { parseTopicFilter, parseTopicName, type TopicFilter, type TopicName } from '#protocol'
import type { Subscription } from '../../../broker/subscription.js'

/* Generated topics and subscriptions for the tests of this folder. */

type Random = (below: number) => number

/** Few and odd, so that names and filters meet often. */
const words = ['a', 'b', '', '$x', '__proto__', 'constructor']

export function randomName(random: Random): TopicName {
  const levels = Array.from({ length: 1 + random(4) }, () => words[random(words.length)] ?? '')
  return parseTopicName(levels.join('/') || 'a')
}

export function randomFilter(random: Random): TopicFilter {
  const levels = Array.from({ length: 1 + random(4) }, () =>
    random(3) === 0 ? '+' : (words[random(words.length)] ?? ''),
  )
  if (random(3) === 0) levels.push('#')
  return parseTopicFilter(levels.join('/') || '#')
}

/** Of a filter or, with `share`, of one that is shared. */
export function subscriptionTo(filter: string, more: Partial<Subscription> = {}): Subscription {
  const name = more.share === undefined ? filter : `$share/${more.share}/${filter}`
  return {
    name: parseTopicFilter(name),
    filter: parseTopicFilter(filter),
    share: undefined,
    qos: 0,
    noLocal: false,
    retainAsPublished: false,
    weight: 1,
    identifier: undefined,
    ...more,
  }
}
