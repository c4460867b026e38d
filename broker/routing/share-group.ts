import type { TopicFilter } from '#protocol'
import type { Reception } from '../subscription.js'

/** Whether a member could take a message: now, by having it kept until it can, or not at all. */
export type Readiness = 'ready' | 'later' | 'never'

export interface Member<Subscriber> {
  readonly subscriber: Subscriber
  readonly reception: Reception
}

/**
 * The sessions that share one subscription: each message goes to one of them (MQTT 5.0 §4.8.2), in turn. It is the same
 * object from its first member to its last one, so that who comes or goes does not change whose turn it is.
 */
export class ShareGroup<Subscriber> {
  readonly share: string
  /** What all members subscribed to; the same filter under another share name is another group. */
  readonly filter: TopicFilter
  readonly #members: Member<Subscriber>[] = []
  /** Whose turn it is. */
  #turn = 0

  constructor(share: string, filter: TopicFilter) {
    this.share = share
    this.filter = filter
  }

  get size(): number {
    return this.#members.length
  }

  get members(): readonly Member<Subscriber>[] {
    return this.#members
  }

  /**
   * The member that gets the next message: the first one from the turn on that is ready, or else the first that can have
   * it kept; the turn passes on to the one behind it. Undefined when none can take it.
   */
  next(readinessOf: (subscriber: Subscriber) => Readiness): Member<Subscriber> | undefined {
    let fallback: number | undefined
    for (let step = 0; step < this.#members.length; step++) {
      const at = (this.#turn + step) % this.#members.length
      const member = this.#members[at]
      const readiness = member ? readinessOf(member.subscriber) : 'never'
      if (readiness === 'ready') return this.#take(at)
      if (readiness === 'later') fallback ??= at
    }
    return fallback === undefined ? undefined : this.#take(fallback)
  }

  /** The newcomer's turn comes after all others'; who is a member already keeps its place. */
  add(member: Member<Subscriber>): void {
    const at = this.#indexOf(member.subscriber)
    if (at >= 0) {
      this.#members[at] = member
      return
    }
    this.#members.splice(this.#turn, 0, member)
    this.#turn = (this.#turn + 1) % this.#members.length
  }

  remove(subscriber: Subscriber): void {
    const at = this.#indexOf(subscriber)
    if (at < 0) return
    this.#members.splice(at, 1)
    if (at < this.#turn) this.#turn--
    if (this.#turn >= this.#members.length) this.#turn = 0
  }

  #take(at: number): Member<Subscriber> | undefined {
    this.#turn = (at + 1) % this.#members.length
    return this.#members[at]
  }

  #indexOf(subscriber: Subscriber): number {
    return this.#members.findIndex((member) => member.subscriber === subscriber)
  }
}
