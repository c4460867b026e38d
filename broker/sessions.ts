import type { DeviceId } from '#protocol'
import type { Session } from './session.js'

/** All sessions, connected or not, by client id and by device. */
export class Sessions {
  readonly #byClientId = new Map<string, Session>()
  readonly #byDevice = new Map<DeviceId, Set<Session>>()

  get(clientId: string): Session | undefined {
    return this.#byClientId.get(clientId)
  }

  /** Those of one device, oldest first. */
  of(device: DeviceId): readonly Session[] {
    return [...(this.#byDevice.get(device) ?? [])]
  }

  add(session: Session): void {
    this.#byClientId.set(session.clientId, session)
    const siblings = this.#byDevice.get(session.device)
    if (siblings) siblings.add(session)
    else this.#byDevice.set(session.device, new Set([session]))
  }

  remove(session: Session): void {
    this.#byClientId.delete(session.clientId)
    const siblings = this.#byDevice.get(session.device)
    siblings?.delete(session)
    if (siblings?.size === 0) this.#byDevice.delete(session.device)
  }

  [Symbol.iterator](): Iterator<Session> {
    return this.#byClientId.values()
  }
}
