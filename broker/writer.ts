import type { DeviceId } from '#protocol'

/** The part of a socket that is written to. */
export interface Sink {
  /** False when the bytes wait for the peer to read; then `drained` is told when they have gone. */
  write(bytes: Uint8Array): boolean
  end(): void
  /** The writer was found full, and no longer is. */
  room(): void
}

/** Written at once at most: what is in the socket's hands can no longer be taken back from a revoked publisher. */
const maxWriteBytes = 64 * 1024

/**
 * The output of one connection: packets gather during a turn of the event loop and leave in one write. While the peer
 * does not read, they stay here, where they can be counted and taken out again.
 */
export class Writer {
  readonly #sink: Sink
  readonly #maxBytes: number
  readonly #now: () => number
  #chunks: { readonly bytes: Uint8Array; readonly publisher: DeviceId | undefined }[] = []
  #waitingBytes = 0
  #handedOver = 0
  #scheduled = false
  #blocked = false
  #ending = false
  #foundFull = false
  /** When the socket last took something, or had nothing to take. */
  #progressAt: number

  constructor(sink: Sink, maxBytes: number, now: () => number) {
    this.#sink = sink
    this.#maxBytes = maxBytes
    this.#now = now
    this.#progressAt = now()
  }

  /** True when no further message should be added; answers to the client's own packets still are. */
  get full(): boolean {
    const full = this.#waitingBytes + this.#handedOver >= this.#maxBytes
    if (full) this.#foundFull = true
    return full
  }

  /** Since when the peer has read nothing although something waits for it. */
  get stalledSince(): number | undefined {
    return this.#blocked ? this.#progressAt : undefined
  }

  /** `publisher` marks the bytes of a message, for {@link removeOf}. */
  push(bytes: Uint8Array, publisher?: DeviceId): void {
    if (this.#ending) return
    this.#chunks.push({ bytes, publisher })
    this.#waitingBytes += bytes.length
    this.#schedule()
  }

  /** Forgets the messages of a device that have not been handed to the socket yet. */
  removeOf(publisher: DeviceId): number {
    const before = this.#chunks.length
    this.#chunks = this.#chunks.filter((chunk) => chunk.publisher !== publisher)
    this.#waitingBytes = this.#chunks.reduce((sum, { bytes }) => sum + bytes.length, 0)
    return before - this.#chunks.length
  }

  /** The socket has room again. */
  drained(): void {
    this.#blocked = false
    this.#handedOver = 0
    this.#progressAt = this.#now()
    if (this.#chunks.length > 0 || this.#ending) this.#schedule()
    this.#tellRoom()
  }

  /** Sends what waits, then ends the socket; nothing can be added any more. */
  end(): void {
    this.#ending = true
    this.#schedule()
  }

  /** Forgets what has not been handed to the socket yet. */
  discard(): void {
    this.#chunks = []
    this.#waitingBytes = 0
  }

  #schedule(): void {
    if (this.#scheduled || this.#blocked) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    const batch = this.#takeBatch()
    if (batch.length > 0) {
      this.#blocked = !this.#sink.write(batch)
      this.#progressAt = this.#now()
      if (this.#blocked) this.#handedOver = batch.length
    }
    if (this.#chunks.length > 0) this.#schedule()
    else if (this.#ending && !this.#blocked) this.#sink.end()
    this.#tellRoom()
  }

  #tellRoom(): void {
    if (!this.#foundFull || this.#ending || this.full) return
    this.#foundFull = false
    this.#sink.room()
  }

  #takeBatch(): Uint8Array {
    let bytes = 0
    let count = 0
    for (const chunk of this.#chunks) {
      if (count > 0 && bytes + chunk.bytes.length > maxWriteBytes) break
      bytes += chunk.bytes.length
      count++
    }
    const taken = this.#chunks.splice(0, count).map((chunk) => chunk.bytes)
    this.#waitingBytes -= bytes
    const [only] = taken
    return taken.length === 1 && only ? only : Buffer.concat(taken, bytes)
  }
}
