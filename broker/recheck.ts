import { isOwnClientId } from './connect.js'
import { expire } from './ending.js'
import type { Hub } from './hub.js'
import type { Session } from './session.js'
import { recheckSubscriptions } from './subscribe.js'

/**
 * Holds all sessions to rights that have changed, some in each turn of the event loop. From the moment of the change
 * every decision is by the new rights, see {@link Session.rights}: what is left for the turns to come is to end sessions
 * and subscriptions that are no longer allowed, and whoever says something before its turn is held to them at once.
 */
export class Recheck {
  readonly #hub: Hub
  #left: readonly Session[] = []
  #at = 0
  #waiting: (() => void)[] = []
  #goesOn = false
  #ended = false

  constructor(hub: Hub) {
    this.#hub = hub
  }

  /** The rights of all have changed. Resolves when all are held to them: with how many are connected now. */
  async begin(): Promise<number> {
    const { sessions } = this.#hub
    this.#hub.renewRights()
    const all = [...sessions]
    const connected = all.filter(({ link }) => link).length
    this.#left = all // also of a change that came before and is not done: these are its sessions too
    this.#at = 0
    const done = new Promise<void>((resolve) => this.#waiting.push(resolve))
    // Not in this turn: whom a lock on a role is on has changed with the policy, and that is still to be told.
    if (!this.#goesOn) this.#goOnLater()
    await done
    return connected
  }

  /** For a broker that stops: what is left is held to its rights when it is restored. */
  end(): void {
    this.#ended = true
    this.#end()
  }

  #someMore(): void {
    if (this.#ended) return
    this.#goesOn = false
    const { elapsed, limits } = this.#hub
    for (const turnEnd = elapsed() + limits.recheckMilliseconds; elapsed() < turnEnd;) {
      const session = this.#left[this.#at++]
      if (!session) return this.#end()
      holdToRights(this.#hub, session)
    }
    this.#goOnLater()
  }

  #goOnLater(): void {
    this.#goesOn = true
    setImmediate(() => this.#someMore())
  }

  #end(): void {
    this.#left = []
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

/** Ends what the rights of now no longer allow of a session: a subscription, or all of it. */
export function holdToRights(hub: Hub, session: Session): void {
  if (session.isHeldToRights || hub.sessions.get(session.clientId) !== session) return
  try {
    const { rights } = session
    if (rights.maxSessions === 0 || !isOwnClientId(session.device, rights, session.clientId)) {
      expire(hub, session, 'denied')
    } else if (isBeyond(rights.maxSessions, session, hub.sessions.of(session.device))) {
      expire(hub, session, 'quota')
    } else recheckSubscriptions(hub, session)
  } catch (error) {
    session.link?.close('internal', String(error)) // one session's trouble is not the others'
  }
}

/** Where fewer sessions may be connected than are, those that came first stay. */
function isBeyond(maxSessions: number, session: Session, siblings: readonly Session[]): boolean {
  const connected = siblings.filter(({ link }) => link)
  return connected.indexOf(session) >= maxSessions
}
