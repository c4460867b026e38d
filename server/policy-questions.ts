import {
  type DeviceId,
  type ExplainRequest,
  messageOf,
  type OfferedService,
  parseDeviceId,
  parseTopicFilter,
  parseTopicName,
} from '#protocol'
import {
  type Circumstances,
  type DeviceAttributes,
  type Discovering,
  parseAddress,
  parseTime,
  type Question,
} from '#policy'
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

/** `serviceOf`: one that the operator may know of. @throws ProtocolError INVALID_TOPIC; ServerError NOT_FOUND */
export function questionOf(
  { action, topic, qos = 0, retain = false, size = 0 }: ExplainRequest,
  serviceOf: (device: DeviceId, service: string) => OfferedService | undefined,
): Question | Discovering {
  switch (action) {
    case 'publish':
    case 'will':
      return { action, topic: parseTopicName(topic), qos, retain, size }
    case 'subscribe':
      return { action, filter: parseTopicFilter(topic), qos }
    case 'receive':
      return { action, topic: parseTopicName(topic) }
    case 'discover':
      return { action, offer: requireService(topic, serviceOf) }
  }
}

function requireService(
  place: string,
  serviceOf: (device: DeviceId, service: string) => OfferedService | undefined,
): OfferedService {
  const [device = '', service = '', ...rest] = place.split('/')
  if (service === '' || rest.length > 0)
    throw new ServerError('REQUEST_INVALID', 'to discover: expected DEVICE/SERVICE')
  const offered = serviceOf(parseDeviceId(device), service)
  if (offered !== undefined) return offered
  throw new ServerError('NOT_FOUND', `${device} offers no service ${service} that could be found now`)
}
