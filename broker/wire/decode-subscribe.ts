import type { TopicFilter } from '#protocol'
import { BrokerError } from '../errors.js'
import { isQos } from './decode-publish.js'
import type { ProtocolLevel, SubscribePacket, SubscriptionRequest, UnsubscribePacket } from './packet.js'
import { decodeProperties, noProperties, type PacketLimits, places } from './properties.js'
import type { PacketReader } from './reader.js'
import { malformed, violation } from './refuse.js'
import { topicFilter } from './topics.js'

/** MQTT 5.0 §3.8 */
export function decodeSubscribe(reader: PacketReader, level: ProtocolLevel, limits: PacketLimits): SubscribePacket {
  const packetId = reader.packetId()
  const properties = level === 5 ? decodeProperties(reader, places.subscribe, limits) : noProperties
  const requests: SubscriptionRequest[] = []
  while (reader.left > 0) {
    checkCount(requests.length, limits)
    const filter = topicFilter(reader.text())
    requests.push(level === 5 ? readOptions(filter, reader.byte()) : readQos(filter, reader.byte()))
  }
  if (requests.length === 0) throw violation('SUBSCRIBE without a topic filter') // [MQTT-3.8.3-2]; in MQTT 3.1.1 [MQTT-3.8.3-3]
  return { type: 'subscribe', packetId, subscriptionIdentifier: properties.subscriptionIdentifier, requests }
}

/** MQTT 5.0 §3.10 */
export function decodeUnsubscribe(reader: PacketReader, level: ProtocolLevel, limits: PacketLimits): UnsubscribePacket {
  const packetId = reader.packetId()
  if (level === 5) decodeProperties(reader, places.unsubscribe, limits)
  const filters: TopicFilter[] = []
  while (reader.left > 0) {
    checkCount(filters.length, limits)
    filters.push(topicFilter(reader.text()))
  }
  if (filters.length === 0) throw violation('UNSUBSCRIBE without a topic filter') // [MQTT-3.10.3-2]
  return { type: 'unsubscribe', packetId, filters }
}

/** Before the next filter is read, so that those beyond the limit cost nothing. */
function checkCount(before: number, { maxFiltersPerPacket }: PacketLimits): void {
  if (before < maxFiltersPerPacket) return
  throw new BrokerError('QUOTA_EXCEEDED', `over ${maxFiltersPerPacket} topic filters in one packet`)
}

/** MQTT 3.1.1 §3.8.3 */
function readQos(filter: TopicFilter, qos: number): SubscriptionRequest {
  if (!isQos(qos)) throw malformed('requested QoS above 2 or reserved bits set') // [MQTT-3-8.3-4]
  return { filter, qos, noLocal: false, retainAsPublished: false, retainHandling: 0 }
}

/** MQTT 5.0 §3.8.3.1 */
function readOptions(filter: TopicFilter, options: number): SubscriptionRequest {
  const qos = options & 0x03
  const noLocal = (options & 0x04) !== 0
  const retainHandling = (options >> 4) & 0x03
  if ((options & 0xc0) !== 0) throw malformed('reserved bits of the subscription options') // [MQTT-3.8.3-5]
  if (!isQos(qos)) throw violation('maximum QoS 3')
  if (!isRetainHandling(retainHandling)) throw violation('retain handling 3')
  if (noLocal && filter.startsWith('$share/')) throw violation('no local on a shared subscription') // [MQTT-3.8.3-4]
  return { filter, qos, noLocal, retainAsPublished: (options & 0x08) !== 0, retainHandling }
}

function isRetainHandling(value: number): value is SubscriptionRequest['retainHandling'] {
  return value <= 2
}
