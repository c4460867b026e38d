import type { TopicFilter, TopicName } from '#protocol'

/*
 * broker/session/<client id>
 * broker/subscription/<client id>/<name of the subscription>
 * broker/queue/<client id>/<order>              a message for this session
 * broker/received/<client id>/<packet id>       a QoS 2 message of this session that is not released
 * broker/will/<client id>
 * broker/retained/<topic>
 * broker/quarantine/<any of the above without "broker/">
 * Client ids hold no `/`. Orders are written so that text order is their order.
 */
const room = 'broker/'

export const prefixes = {
  session: `${room}session/`,
  subscription: `${room}subscription/`,
  queue: `${room}queue/`,
  received: `${room}received/`,
  will: `${room}will/`,
  retained: `${room}retained/`,
  quarantine: `${room}quarantine/`,
} as const

/** What belongs to one client. */
export const clientPrefixes = [
  prefixes.session,
  prefixes.subscription,
  prefixes.queue,
  prefixes.received,
  prefixes.will,
] as const

export const keys = {
  session: (clientId: string) => prefixes.session + clientId,
  subscription: (clientId: string, name: TopicFilter) => `${prefixes.subscription}${clientId}/${name}`,
  queue: (clientId: string, order: number) => `${prefixes.queue}${clientId}/${order.toString(16).padStart(14, '0')}`,
  received: (clientId: string, packetId: number) => `${prefixes.received}${clientId}/${packetId}`,
  will: (clientId: string) => prefixes.will + clientId,
  retained: (topic: TopicName) => prefixes.retained + topic,
  quarantined: (key: string) => prefixes.quarantine + key.slice(room.length),
} as const

/** The client id and what is behind it. */
export function splitKey(key: string, prefix: string): readonly [clientId: string, rest: string] {
  const at = key.indexOf('/', prefix.length)
  return at < 0 ? [key.slice(prefix.length), ''] : [key.slice(prefix.length, at), key.slice(at + 1)]
}
