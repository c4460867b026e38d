import type { Brand } from './brand.js'
import { ProtocolError } from './errors.js'

/** What a message is published to: no wildcard, no NUL, 1 to 1,024 bytes, at most 128 levels (MQTT 3.1.1 §4.7). */
export type TopicName = Brand<string, 'TopicName'>

/** What a client subscribes to: `+` stands for one whole level, a last `#` for any number (MQTT 3.1.1 §4.7.1). */
export type TopicFilter = Brand<string, 'TopicFilter'>

/** Our limits, below those of the standard: a topic is matched level by level on every message. */
export const topicLimits = { maxBytes: 1024, maxLevels: 128 } as const

/** @throws ProtocolError INVALID_TOPIC */
export function parseTopicName(text: string): TopicName {
  checkTopic(text, 'topic name')
  if (/[+#]/.test(text)) throw invalid('topic name', 'that holds a wildcard') // MQTT 3.1.1 §3.3.2.1 [MQTT-3.3.2-2]
  return text as TopicName
}

/** @throws ProtocolError INVALID_TOPIC */
export function parseTopicFilter(text: string): TopicFilter {
  checkTopic(text, 'topic filter')
  const levels = text.split('/')
  levels.forEach((level, at) => {
    if (level.includes('#') && (level !== '#' || at !== levels.length - 1)) {
      throw invalid('topic filter', 'whose "#" is not the whole last level') // [MQTT-4.7.1-2]
    }
    if (level.includes('+') && level !== '+') {
      throw invalid('topic filter', 'whose "+" is not a whole level') // [MQTT-4.7.1-3]
    }
  })
  return text as TopicFilter
}

/** Levels may be empty: `a//b` and `/a` are topics of their own (MQTT 3.1.1 §4.7.3). */
export function topicLevels(topic: TopicName | TopicFilter): readonly string[] {
  return topic.split('/')
}

/**
 * Whether a topic name lies in what a filter matches, both as levels. A wildcard in the first level never matches a
 * level that begins with `$` (MQTT 3.1.1 §4.7.2), and `a/#` matches `a` too (§4.7.1.2).
 */
export function filterMatches(filter: readonly string[], topic: readonly string[]): boolean {
  const reserved = topic[0]?.startsWith('$') ?? false
  for (let at = 0; at < filter.length; at++) {
    const level = filter[at]
    const wild = level === '#' || level === '+'
    if (at === 0 && wild && reserved) return false
    if (level === '#') return true
    if (at >= topic.length) return false
    if (level !== '+' && level !== topic[at]) return false
  }
  return filter.length === topic.length
}

function checkTopic(text: string, what: string): void {
  if (text === '') throw invalid(what, 'that is empty') // [MQTT-4.7.3-1]
  if (text.includes('\0')) throw invalid(what, 'that holds a NUL') // [MQTT-4.7.3-2]
  if (/\p{Surrogate}/u.test(text)) throw invalid(what, 'that is not well-formed Unicode') // [MQTT-1.5.3-1]
  if (new TextEncoder().encode(text).length > topicLimits.maxBytes)
    throw invalid(what, `of over ${topicLimits.maxBytes} bytes`)
  if (text.split('/', topicLimits.maxLevels + 1).length > topicLimits.maxLevels) {
    throw invalid(what, `of over ${topicLimits.maxLevels} levels`)
  }
}

function invalid(what: string, problem: string): ProtocolError {
  return new ProtocolError('INVALID_TOPIC', `expected a ${what}, got one ${problem}`)
}
