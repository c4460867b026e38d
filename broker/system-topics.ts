import { parseTopicName, serviceTopicRoot, type TopicName } from '#protocol'
import type { Hub } from './hub.js'
import { countConnections, type Levels, levelsOf } from './levels.js'
import { Message } from './message.js'
import type { Statistics } from './statistics.js'

/** The trees in which the service speaks, of itself and of services, and nobody else speaks at all. */
export function isOwnTopic(topic: string): boolean {
  if (!topic.startsWith('$')) return false
  const [root] = topic.split('/', 1)
  return root === '$SYS' || root === serviceTopicRoot
}

/**
 * What the broker says of itself, under the names that clients know from others: numbers only, of no device in
 * particular. It goes to those whose policy grants them these topics by name, as every message is: no wildcard at the
 * beginning of a filter reaches it [MQTT-4.7.2-1], and each delivery is decided and recorded.
 */
export class SystemTopics {
  readonly #hub: Hub
  readonly #openedAt: number
  #publishedAt = -Infinity

  constructor(hub: Hub) {
    this.#hub = hub
    this.#openedAt = hub.elapsed()
  }

  /** Publishes when it is time to. */
  sweep(): void {
    const { elapsed, limits, healthy, options } = this.#hub
    const isDue = elapsed() - this.#publishedAt >= limits.statisticsSeconds * 1000
    // A log that cannot keep up has better things to record.
    if (limits.statisticsSeconds === 0 || !isDue || !healthy || options.audit.congested) return
    this.#publishedAt = elapsed()
    this.#publish()
  }

  #publish(): void {
    const { statistics, retained, options } = this.#hub
    const seconds = Math.floor((this.#publishedAt - this.#openedAt) / 1000)
    const values = {
      version: options.version,
      uptime: `${seconds} seconds`,
      ...report(statistics, levelsOf(this.#hub)),
    }
    for (const [name, value] of Object.entries(values)) {
      if (value === undefined) continue
      const message = createStatistic(parseTopicName(`$SYS/broker/${name}`), String(value))
      retained.restore(message) // for who comes later; never to be stored, for it is old when it is read again
      this.#hub.route(message)
    }
  }
}

/** By the names of mosquitto, where it has one that means the same. */
function report(done: Statistics, now: Levels): Readonly<Record<string, number>> {
  const connected = countConnections(now.connections)
  const denied = Object.values(done.decisions).reduce((sum, { deny }) => sum + deny.sum, 0)
  return {
    'clients/total': now.sessions,
    'clients/connected': connected,
    'clients/disconnected': now.sessions - connected,
    'publish/messages/received': sumOfQos(done.messagesIn),
    'publish/messages/sent': sumOfQos(done.messagesOut),
    'publish/messages/dropped': done.drops.sum,
    'publish/messages/denied': denied,
    'bytes/received': done.bytesIn,
    'bytes/sent': done.bytesOut,
    'subscriptions/count': now.subscriptions,
    'retained messages/count': now.retainedMessages,
    'store/messages/count': now.queuedMessages,
    'store/messages/bytes': now.queuedBytes,
  }
}

function sumOfQos(counts: Statistics['messagesIn']): number {
  return counts[0] + counts[1] + counts[2]
}

/** At most once: a statistic that was missed is replaced by the next. */
function createStatistic(topic: TopicName, value: string): Message {
  const rest = { qos: 0, retain: false, properties: {}, clientId: '', publisher: undefined, origin: undefined } as const
  return new Message({ topic, payload: Buffer.from(value), expiresAt: undefined, ...rest })
}
