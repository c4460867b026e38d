import type { Client } from './client.js'

export interface PublisherEvents {
  sent(count: number): void
  /** A slot is free again, so long after its message was sent. */
  done(milliseconds: number): void
}

/** The window of one publisher: each slot has its packet, made beforehand, and is sent again when all of it was answered. */
export class Publisher {
  readonly client: Client
  readonly #frames: readonly Buffer[]
  readonly #steps: number
  readonly #events: PublisherEvents
  readonly #sentAt: Float64Array
  /** How many answers each slot still waits for. */
  readonly #left: Uint16Array
  #free: number[]
  #sending = false
  #onIdle: (() => void) | undefined

  /** `steps` is how many answers a message has. */
  constructor(client: Client, frames: readonly Buffer[], steps: number, events: PublisherEvents) {
    this.client = client
    this.#frames = frames
    this.#steps = steps
    this.#events = events
    this.#sentAt = new Float64Array(frames.length)
    this.#left = new Uint16Array(frames.length)
    this.#free = [...frames.keys()]
  }

  /** Sends all free slots with one write, when this turn has freed what it can. */
  sendSoon(): void {
    if (this.#sending) return
    this.#sending = true
    setImmediate(() => this.#send())
  }

  /** One answer for a slot; false where none was expected. */
  step(slot: number): boolean {
    const left = this.#left[slot]
    if (left === undefined || left === 0) return false
    this.#left[slot] = left - 1
    if (left === 1) {
      this.#events.done(performance.now() - (this.#sentAt[slot] ?? 0))
      this.#free.push(slot)
      if (this.#onIdle) this.#onIdle()
      else this.sendSoon()
    }
    return true
  }

  /** Sends no more; resolves when nothing is under way. */
  async idle(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#onIdle = () => this.#free.length === this.#frames.length && resolve()
      this.#onIdle()
    })
  }

  #send(): void {
    this.#sending = false
    if (this.#onIdle) return
    const slots = this.#free
    this.#free = []
    const now = performance.now()
    for (const slot of slots) {
      this.#sentAt[slot] = now
      this.#left[slot] = this.#steps
    }
    this.#events.sent(slots.length)
    this.client.socket.write(Buffer.concat(slots.map((slot) => this.#frames[slot] ?? Buffer.alloc(0))))
  }
}
