import type { DeviceId } from '#protocol'
import type { Session } from './session.js'

/** All sessions, connected or not, by client id and by device. */
export class Sessions {
  readonly #byClientId = new Map<string, Session>()
  readonly #byDevice = new Map<DeviceId, readonly Session[]>()

  get(clientId: string): Session | undefined {
    return this.#byClientId.get(clientId)
  }

  /** Those of one device, oldest first. */
  of(device: DeviceId): readonly Session[] {
    return this.#byDevice.get(device) ?? []
  }

  add(session: Session): void {
    this.#byClientId.set(session.clientId, session)
    this.#byDevice.set(session.device, [...this.of(session.device), session])
  }

  remove(session: Session): void {
    this.#byClientId.delete(session.clientId)
    const siblings = this.of(session.device).filter((sibling) => sibling !== session)
    if (siblings.length > 0) this.#byDevice.set(session.device, siblings)
    else this.#byDevice.delete(session.device)
  }

  [Symbol.iterator](): Iterator<Session> {
    return this.#byClientId.values()
  }
}
