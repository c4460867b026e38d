import type { DeviceEvents } from './api.js'

type Listeners = {
  readonly [Event in keyof DeviceEvents]: Set<(...facts: DeviceEvents[Event]) => void>
}

/** Who listens for which event of a device. */
export class Events {
  readonly #listeners: Listeners = {
    connected: new Set(),
    disconnected: new Set(),
    locked: new Set(),
    renewed: new Set(),
    refused: new Set(),
    log: new Set(),
  }

  on<Event extends keyof DeviceEvents>(event: Event, listener: (...facts: DeviceEvents[Event]) => void): void {
    this.#listeners[event].add(listener)
  }

  off<Event extends keyof DeviceEvents>(event: Event, listener: (...facts: DeviceEvents[Event]) => void): void {
    this.#listeners[event].delete(listener)
  }

  /** In a turn of their own: what a listener throws is its program's to handle, and must not stop the agent halfway. */
  emit<Event extends keyof DeviceEvents>(event: Event, ...facts: DeviceEvents[Event]): void {
    for (const listener of this.#listeners[event]) queueMicrotask(() => listener(...facts))
  }
}
