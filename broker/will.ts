import type { Decision } from '#protocol'
import { decide } from './decision.js'
import type { Hub } from './hub.js'
import type { Message } from './message.js'
import { createMessage, mayHearAnswers, recordPublish, reserved, unanswerable, withinQuota } from './publish.js'
import type { Rights } from './rights.js'
import { routeUnlessSilenced } from './route.js'
import type { Session } from './session.js'
import type { Silenced, Silencing, Speaker } from './speaker.js'
import { isOwnTopic } from './system-topics.js'
import type { Waiting } from './trail.js'
import type { Will } from './wire/packet.js'

/** Asked at CONNECT, where a refusal refuses the connection, and again when the will is to be published. */
export function judgeWill(rights: Rights, { topic, qos, retain, payload, properties }: Will): Decision {
  if (isOwnTopic(topic)) return reserved(rights)
  if (!mayHearAnswers(rights, properties)) return unanswerable(rights)
  return decide(rights.version, () => rights.will({ topic, qos, retain, size: payload.length }))
}

/**
 * Keeps the will of a connection that begins, also over a crash: it is for the moment in which nobody is left to speak.
 * Where the one of the connection before is on its way, the place in the store is still that one's, see {@link fireWill}.
 */
export function keepWill(hub: Hub, session: Session, will: Will | undefined): void {
  const isPlaceFree = !hub.speaking.has(session.clientId)
  if (session.will && isPlaceFree) hub.store.deleteWill(session)
  session.will = will
  session.willDueAt = undefined
  if (will && isPlaceFree) hub.store.putWill(session, will)
}

/** Runs the action when no will of the client is on its way any more; mostly at once. */
export function afterSpeaking(hub: Hub, { clientId }: Session, action: () => void): void {
  const speaking = hub.speaking.get(clientId)
  if (speaking === undefined) action()
  else hub.trail.after(speaking, action)
}

/** The client has said goodbye, is back in time, or has lost the device's voice. */
export function dropWill(hub: Hub, session: Session): void {
  keepWill(hub, session, undefined)
}

/** The connection has gone without a word: publishes its will, or lets it wait for its delay (MQTT 5.0 §3.1.3.2.2). */
export function awaitWill(hub: Hub, session: Session): void {
  const { will, expirySeconds } = session
  if (!will) return
  const seconds = Math.min(will.delaySeconds, expirySeconds) // whichever comes first [MQTT-3.1.2-8]
  session.willDueAt = hub.elapsed() + seconds * 1000
  if (seconds === 0) fireWill(hub, session)
}

/**
 * Publishes the session's will by the rights of now; never for a device that was silenced, or that would not be let in
 * from where it was, whoever has locked that meanwhile. Where it cannot be recorded it stays due.
 */
export function fireWill(hub: Hub, session: Session): void {
  const { will, device, address } = session
  if (!will) return
  const rights = hub.hasVoice(session) ? hub.rightsOf(device, address) : undefined
  if (!rights) {
    dropWill(hub, session)
    return
  }
  const decision = withinQuota(hub, session, will, judgeWill(rights, will))
  const sequence = recordPublish(hub, session, 'will', will, decision)
  session.will = undefined
  session.willDueAt = undefined
  const message = decision.effect === 'allow' ? createMessage(hub, session, will, sequence) : undefined
  hub.speaking.set(session.clientId, sequence)
  hub.trail.await(new SpokenWill({ hub, session, message, rights, sequence }))
}

interface Recorded {
  readonly hub: Hub
  readonly session: Session
  /** Undefined where it was refused. */
  readonly message: Message | undefined
  /** By which it was decided. */
  readonly rights: Rights
  readonly sequence: number
}

/** A will from its record until it is routed. */
class SpokenWill implements Waiting {
  readonly #recorded: Recorded
  /** As it was then: another connection of the session can begin before it is routed. */
  readonly #speaker: Speaker
  /** Why it goes nowhere after all. */
  #silenced: Silenced | undefined

  constructor(recorded: Recorded) {
    const { device, certificate, address } = recorded.session
    this.#recorded = recorded
    this.#speaker = { device, certificate, address }
  }

  get sequence(): number {
    return this.#recorded.sequence
  }

  run(): void {
    const { hub, session, message, sequence } = this.#recorded
    if (hub.speaking.get(session.clientId) === sequence) hub.speaking.delete(session.clientId)
    // In one commit with the queues that it goes to: before, a crash lets it speak again; after, it has spoken.
    leavePlace(hub, session)
    if (message) routeUnlessSilenced(hub, session, 'will', message, this.#silenced)
  }

  silence(silencing: Silencing): void {
    this.#silenced ??= silencing(this.#speaker, this.#recorded.rights)
  }
}

/** To nobody, or to the will of a connection that has begun meanwhile. */
function leavePlace(hub: Hub, { clientId }: Session): void {
  const next = hub.sessions.get(clientId)
  if (next?.will) hub.store.putWill(next, next.will)
  else hub.store.deleteWill({ clientId })
}
