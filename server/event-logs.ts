import type { DeviceId } from '#protocol'
import type { Store } from '#store'

/** The event log that came with each device's last quote, so that it can be read in words later. No record holds more of it than its hash. */
export class EventLogs {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  /** Instead of the one before. @throws StoreError */
  async keep(device: DeviceId, eventLog: Uint8Array): Promise<void> {
    await this.#store.commit({ puts: [[keyOf(device), eventLog]] })
  }

  /** @throws StoreError */
  async of(device: DeviceId): Promise<Uint8Array | undefined> {
    return this.#store.get(keyOf(device))
  }
}

function keyOf(device: DeviceId): string {
  return `server/event-log/${device}`
}
