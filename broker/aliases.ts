import type { TopicName } from '#protocol'
import { BrokerError } from './errors.js'
import type { Alias, Message } from './message.js'
import type { PublishPacket } from './wire/packet.js'
import type { Publishers } from './speaker.js'

/*
 * Topic aliases (MQTT 5.0 §3.3.2.3.4): numbers that stand for topics on one connection and in one direction. An alias
 * is only a shorter way to write a topic: every message is decided by the topic that it stands for.
 */

/** The client's. */
export class IncomingAliases {
  readonly #maximum: number
  #topics: Map<number, TopicName> | undefined

  /** `maximum`: as it stood in CONNACK; 0 where there are none. */
  constructor(maximum: number) {
    this.#maximum = maximum
  }

  /** The packet's topic, remembered under its alias if it has one. @throws BrokerError TOPIC_ALIAS_INVALID */
  resolve({ topic, topicAlias }: PublishPacket): TopicName {
    if (topicAlias === undefined) {
      if (topic === undefined) throw invalid('neither a topic nor an alias')
      return topic
    }
    if (topicAlias > this.#maximum) throw invalid(`topic alias ${topicAlias}; at most ${this.#maximum} is allowed`) // [MQTT-3.3.2-9]
    const meant = topic ?? this.#topics?.get(topicAlias)
    if (meant === undefined) throw invalid(`topic alias ${topicAlias} stands for nothing`)
    if (topic !== undefined) (this.#topics ??= new Map()).set(topicAlias, topic)
    return meant
  }
}

/**
 * Ours. One stands for a topic and a publisher, so that the messages of a device that are taken back from a socket's
 * queue never take the meaning of another's alias with them.
 */
export class OutgoingAliases {
  readonly #maximum: number
  #numbers: Map<string, number> | undefined

  /** `maximum`: what the client accepts; 0 where it accepts none. */
  constructor(maximum: number) {
    this.#maximum = maximum
  }

  /** The first topics of a connection get one each; when there are no more, topics are written out. */
  for({ publisher, topic }: Message): Alias | undefined {
    if (this.#maximum === 0) return undefined
    const known = this.#numbers?.get(`${publisher}\0${topic}`)
    if (known !== undefined) return { number: known, isNew: false }
    const used = this.#numbers?.size ?? 0
    return used < this.#maximum ? { number: used + 1, isNew: true } : undefined
  }

  /** The packet that gives the alias its meaning is on its way. */
  establish({ publisher, topic }: Message, number: number): void {
    this.#numbers ??= new Map()
    this.#numbers.set(`${publisher}\0${topic}`, number)
  }

  /** Packets that gave these devices' aliases their meaning may never have been sent. The devices are gone, so they rest. */
  forget(publishers: Publishers): void {
    for (const [key, number] of this.#numbers ?? []) {
      const [publisher = ''] = key.split('\0', 1)
      if (publishers.has(publisher)) {
        this.#numbers?.delete(key)
        this.#numbers?.set(`\0${number}`, number) // keeps its number from being given out twice
      }
    }
  }
}

function invalid(problem: string): BrokerError {
  return new BrokerError('TOPIC_ALIAS_INVALID', problem)
}
