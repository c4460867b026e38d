import { type BrokerLimits, defaultLimits } from '#broker'
import { integer, object, optional, parseByteSize, parsed, ProtocolError } from '#protocol'
import { ServerError } from './errors.js'

/**
 * `mqtt.limits` of the configuration file: the bounds that depend on the fleet and on the machine. What only protects the
 * broker from hostile bytes is not among them.
 */
export const decodeMqttLimits = object({
  maxConnections: optional(integer(10, 1_000_000)),
  maxUnconnected: optional(integer(10, 100_000)),
  maxPacketBytes: optional(size(1024, 16 * 2 ** 20)),
  handshakeSeconds: optional(integer(1, 120)),
  connectSeconds: optional(integer(1, 120)),
  packetSeconds: optional(integer(1, 600)),
  maxKeepAliveSeconds: optional(integer(5, 65_535)),
  maxInflight: optional(integer(1, 65_535)),
  maxInflightUnasked: optional(integer(1, 65_535)),
  maxQueued: optional(integer(1, 10_000_000)),
  maxQueuedBytes: optional(size(1024, 16 * 2 ** 30)),
  maxQueuedSeconds: optional(integer(1, 366 * 86_400)),
  maxHeldBytes: optional(size(2 ** 20, 64 * 2 ** 30)),
  sessionExpirySeconds: optional(integer(0, 366 * 86_400)),
  maxSubscriptionsPerDevice: optional(integer(1, 100_000)),
  maxRetainedPerDevice: optional(integer(0, 1_000_000)),
  maxRetainedBytesPerDevice: optional(size(1024, 16 * 2 ** 30)),
  drainSeconds: optional(integer(1, 300)),
})

export type MqttLimits = ReturnType<typeof decodeMqttLimits>

/** All limits of the broker, with those that were chosen. @throws ServerError CONFIG_INVALID where these do not agree */
export function brokerLimits(chosen: MqttLimits): BrokerLimits {
  const limits = { ...defaultLimits, ...chosen }
  requireOrder(limits, 'maxPacketBytes', 'maxQueuedBytes') // else what is taken from one could never wait for another
  requireOrder(limits, 'maxQueuedBytes', 'maxHeldBytes')
  requireOrder(limits, 'maxUnconnected', 'maxConnections')
  return { ...limits, maxConnectBytes: Math.min(limits.maxConnectBytes, limits.maxPacketBytes) }
}

/** As it stands in a configuration file. */
export function renderMqttLimits(chosen: MqttLimits): string {
  const written = Object.entries(chosen).map(([name, value]) => [name, name.endsWith('Bytes') ? `${value}B` : value])
  return JSON.stringify(Object.fromEntries(written))
}

type Name = keyof MqttLimits

function requireOrder(limits: BrokerLimits, less: Name, more: Name): void {
  if (limits[less] <= limits[more]) return
  throw new ServerError(
    'CONFIG_INVALID',
    `mqtt.limits: expected ${less} to be at most ${more}, got ${limits[less]} and ${limits[more]}`,
  )
}

/** Such as `256KiB`, in a range with both ends included. */
function size(least: number, most: number) {
  return parsed((text) => {
    const bytes = parseByteSize(text)
    if (bytes >= least && bytes <= most) return bytes
    throw new ProtocolError('INVALID_MESSAGE', `expected a size from ${least}B to ${most}B, got ${bytes}B`)
  }, 32)
}
