import { parseTopicFilter, type TopicFilter } from './topics.js'

/** What a client names when it subscribes: a filter of its own, one it shares with others, or neither. */
export type SubscriptionName =
  | { readonly valid: true; readonly share: string | undefined; readonly filter: TopicFilter }
  | { readonly valid: false; readonly problem: string }

/**
 * Takes `$share/<share>/<filter>` apart (MQTT 5.0 §4.8.2). Whatever begins like it and is not one is refused, so that it
 * is never taken for a literal filter; and so is one within another, whose share would hide what it asks for.
 */
export function parseShare(name: TopicFilter): SubscriptionName {
  if (name !== '$share' && !name.startsWith('$share/')) return { valid: true, share: undefined, filter: name }
  const [, share, ...rest] = name.split('/')
  if (share === undefined || share === '') return invalid('has no share name') // [MQTT-4.8.2-1]
  if (/[+#]/.test(share)) return invalid('has a wildcard in its share name') // [MQTT-4.8.2-2]
  const filter = rest.join('/')
  if (filter === '') return invalid('has no filter behind its share name') // [MQTT-4.8.2-2]
  if (rest[0] === '$share') return invalid('shares a shared subscription')
  return { valid: true, share, filter: parseTopicFilter(filter) }
}

function invalid(problem: string): SubscriptionName {
  return { valid: false, problem: `the shared subscription ${problem}` }
}
