import { CodedError, parseTopicFilter, parseTopicName, type TopicFilter, type TopicName } from '#protocol'
import { BrokerError, type BrokerErrorCode } from '../errors.js'
import { decodeText } from './text.js'

interface KnownTopic {
  readonly bytes: Uint8Array
  readonly name: TopicName
}

/**
 * Topic names that were read before, each in the one slot that its bytes say. Devices name the same few topics again and
 * again, which then costs neither decoding nor checking; who names ever new ones only overwrites slots.
 */
const knownTopics: (KnownTopic | undefined)[] = new Array<KnownTopic | undefined>(4096).fill(undefined)

/** The topic name in a part of a packet. @throws BrokerError MALFORMED_PACKET | INVALID_TOPIC */
export function decodeTopicName(bytes: Buffer, start: number, end: number): TopicName {
  const slot = slotOf(bytes, start, end)
  const known = knownTopics[slot]
  if (known !== undefined && isSame(known.bytes, bytes, start, end)) return known.name

  const text = decodeText(bytes, start, end)
  const name = withCode('INVALID_TOPIC', () => parseTopicName(text))
  knownTopics[slot] = { bytes: new Uint8Array(bytes.subarray(start, end)), name }
  return name
}

/** @throws BrokerError INVALID_TOPIC_FILTER */
export function topicFilter(text: string): TopicFilter {
  return withCode('INVALID_TOPIC_FILTER', () => parseTopicFilter(text))
}

/** FNV-1a, folded; whoever makes two topics collide only loses the benefit of the cache. */
function slotOf(bytes: Buffer, start: number, end: number): number {
  let hash = 0x811c9dc5
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x01000193)
  return (hash ^ (hash >>> 16)) & (knownTopics.length - 1)
}

function isSame(known: Uint8Array, bytes: Buffer, start: number, end: number): boolean {
  if (known.length !== end - start) return false
  for (let at = 0; at < known.length; at++) if (known[at] !== bytes[start + at]) return false
  return true
}

function withCode<T>(code: BrokerErrorCode, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (error instanceof CodedError) throw new BrokerError(code, error.message, { cause: error })
    throw error
  }
}
