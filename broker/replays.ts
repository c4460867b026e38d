import type { TopicFilter } from '#protocol'
import type { Message } from './message.js'
import type { Replay, Session } from './session.js'
import type { Reception } from './subscription.js'

export interface ReplaysOptions {
  readonly deliver: (session: Session, message: Message, reception: Reception) => void
  /** Goes on with a session that has a connection. */
  readonly drain: (session: Session) => void
}

/** Retained messages that one session is given, or not given, in one turn of the event loop. */
export const replaysPerTurn = 250

/**
 * The retained messages that new subscriptions are owed. There can be very many, and the client may not hear one of
 * them: so that the others have their turn, they are gone through a part at a time.
 */
export class Replays {
  readonly #options: ReplaysOptions

  constructor(options: ReplaysOptions) {
    this.#options = options
  }

  /** Whoever subscribes anew while one goes on has it begin anew: it is owed each message once, not once per SUBSCRIBE. */
  begin(session: Session, name: TopicFilter, replay: Replay): void {
    session.replays.delete(name)
    session.replays.set(name, replay)
  }

  /** Delivers the next message that is owed. False when there is none. */
  next(session: Session): boolean {
    const [next] = session.replays
    if (!next) return false
    const [name, replay] = next
    const { done, value: message } = replay.messages.next()
    if (done === true) session.replays.delete(name)
    else if (!(replay.noLocal && message.clientId === session.clientId)) {
      this.#options.deliver(session, message, replay.reception)
    }
    return true
  }

  /** Goes on in a later turn of the event loop. */
  goOnLater(session: Session): void {
    if (session.drainsLater) return
    session.drainsLater = true
    setImmediate(() => {
      session.drainsLater = false
      if (session.link) this.#options.drain(session)
      else this.#keepOwed(session)
    })
  }

  /**
   * A connection has ended: what it would still have been given is kept for the next one, where the session lives on. Not
   * all at once: whoever subscribes to very much and goes would stop everyone else meanwhile.
   */
  end(session: Session): void {
    for (const [name, { reception }] of session.replays) if (reception.qos === 0) session.replays.delete(name)
    if (session.persistent) this.#keepOwed(session)
    else session.replays.clear()
  }

  /** The service ends, and there are no later turns. */
  finish(session: Session): void {
    while (this.#keepNext(session));
  }

  #keepOwed(session: Session): void {
    for (let kept = 0; kept < replaysPerTurn; kept++) if (!this.#keepNext(session)) return
    this.goOnLater(session)
  }

  /** False when there is none. */
  #keepNext(session: Session): boolean {
    try {
      return this.next(session)
    } catch {
      return true // a refusal that the log has no room for; the message is not kept all the same
    }
  }
}
