import { type ExplainRequest, messageOf, parseTopicFilter, parseTopicName } from '#protocol'
import { type Circumstances, type DeviceAttributes, parseAddress, parseTime, type Question } from '#policy'
import { ServerError } from './errors.js'

/*
 * What an operator asks, as a policy is asked.
 */

/** The device as it is known, but for what the question itself says. @throws ServerError NOT_FOUND */
export function subjectOf({ as }: ExplainRequest, known: DeviceAttributes | undefined): DeviceAttributes {
  const { id, tier = known?.tier, labels = known?.labels ?? {} } = as
  if (tier !== undefined) return { id, tier, labels, quarantined: known?.quarantined ?? false }
  throw new ServerError('NOT_FOUND', `device ${id} is not known; to ask about one to come, give its tier`)
}

/** Now, unless another moment is given; from nowhere in particular, unless an address is. */
export function circumstancesOf({ from, at }: ExplainRequest, now: number): Circumstances {
  try {
    return { from: from && parseAddress(from), at: at === undefined ? now : parseTime(at) }
  } catch (cause) {
    throw new ServerError('REQUEST_INVALID', messageOf(cause), { cause })
  }
}

/** @throws ProtocolError INVALID_TOPIC */
export function questionOf({ action, topic, qos = 0, retain = false, size = 0 }: ExplainRequest): Question {
  switch (action) {
    case 'publish':
    case 'will':
      return { action, topic: parseTopicName(topic), qos, retain, size }
    case 'subscribe':
      return { action, filter: parseTopicFilter(topic), qos }
    case 'receive':
      return { action, topic: parseTopicName(topic) }
  }
}
