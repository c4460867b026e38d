import { Readable } from 'node:stream'

/*
 * What aedes routes through and keeps its state in. Here it does neither: what a program says goes to the service and
 * what it hears comes from there, so that the policy decides and the log knows; and a session lasts as long as its
 * connection. So there is nothing that a program could fill, and nothing that its end could shake.
 */

type Done = () => void

/** In the place of mqemitter, whose recursion a single program could drive into the end of the process. */
export const noRoutes = {
  on: (_filter: string, _deliver: unknown, done?: Done): void => later(done),
  removeListener: (_filter: string, _deliver: unknown, done?: Done): void => later(done),
  emit: (_packet: unknown, done?: Done): void => later(done),
  close: (done?: Done): void => later(done),
}

function later(done: Done | undefined): void {
  if (done !== undefined) setImmediate(done)
}

interface Identified {
  readonly messageId?: number
}

/** In the place of aedes-persistence. Of what comes with QoS 2 it knows what has not been released (MQTT 3.1.1 §4.3.3). */
export class NoMemory {
  readonly #unreleased = new WeakMap<object, Set<number | undefined>>()

  async setup(): Promise<void> {}
  async storeRetained(): Promise<void> {}
  createRetainedStreamCombi(): Readable {
    return Readable.from([])
  }

  async addSubscriptions(): Promise<void> {}
  async removeSubscriptions(): Promise<void> {}
  async cleanSubscriptions(): Promise<void> {}
  subscriptionsByClient(): Promise<readonly never[]> {
    return Promise.resolve([])
  }
  subscriptionsByTopic(): Promise<readonly never[]> {
    return Promise.resolve([])
  }

  async outgoingEnqueue(): Promise<void> {}
  async outgoingEnqueueCombi(): Promise<void> {}
  async outgoingUpdate(): Promise<void> {}
  async outgoingClearMessageId(): Promise<void> {}
  outgoingStream(): Readable {
    return Readable.from([])
  }

  incomingStorePacket(client: object, { messageId }: Identified): Promise<void> {
    const unreleased = this.#unreleased.get(client) ?? new Set()
    this.#unreleased.set(client, unreleased.add(messageId))
    return Promise.resolve()
  }
  incomingGetPacket(client: object, { messageId }: Identified): Promise<Identified> {
    if (this.isUnreleased(client, messageId)) return Promise.resolve({})
    return Promise.reject(new Error('no such packet'))
  }
  incomingDelPacket(client: object, { messageId }: Identified): Promise<void> {
    this.#unreleased.get(client)?.delete(messageId)
    return Promise.resolve()
  }
  cleanIncoming(client: object): Promise<void> {
    this.#unreleased.delete(client)
    return Promise.resolve()
  }

  /** Whether a QoS 2 message of that packet id has been taken in already. */
  isUnreleased(client: object, messageId: number | undefined): boolean {
    return this.#unreleased.get(client)?.has(messageId) ?? false
  }

  async putWill(): Promise<void> {}
  async delWill(): Promise<void> {}
  streamWill(): Readable {
    return Readable.from([])
  }
}
