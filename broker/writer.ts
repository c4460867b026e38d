import type { DeviceId } from '#protocol'
import type { Publishers } from './speaker.js'

/** The part of a connection that is written to. */
interface Sink {
  /** False when the bytes wait for the peer to read; then `drained` is told when they have gone. */
  write(bytes: Uint8Array): boolean
  end(): void
}

export interface WriterOptions {
  readonly sink: Sink
  readonly traffic: { wrote(bytes: number): void }
  readonly limits: { readonly maxOutputBytes: number; readonly maxAnswers: number }
  readonly now: () => number
  /** Nothing leaves while it says no; {@link Writer.resume} when it says yes again. Default: always */
  readonly mayWrite?: () => boolean
  /** The writer was found full, and no longer is. */
  readonly room: () => void
}

/** Written at once at most: what is in the socket's hands can no longer be taken back from a revoked publisher. */
const maxWriteBytes = 64 * 1024

/**
 * The output of one connection: packets gather during a turn of the event loop and leave in one write. While the peer
 * does not read, they stay here, where they can be counted and taken out again.
 */
export class Writer {
  readonly #sink: Sink
  readonly #traffic: WriterOptions['traffic']
  readonly #limits: WriterOptions['limits']
  readonly #now: () => number
  readonly #mayWrite: () => boolean
  readonly #room: () => void
  #chunks: Chunk[] = []
  #waitingBytes = 0
  /** Chunks that wait and are no messages. */
  #answers = 0
  #handedOver = 0
  #scheduled = false
  #blocked = false
  #ending = false
  #foundFull = false
  /** When the socket last took something, or had nothing to take. */
  #progressAt: number

  constructor({ sink, traffic, limits, now, mayWrite = () => true, room }: WriterOptions) {
    this.#sink = sink
    this.#traffic = traffic
    this.#limits = limits
    this.#now = now
    this.#mayWrite = mayWrite
    this.#room = room
    this.#progressAt = now()
  }

  /** True when no further message should be added; answers to the client's own packets still are. */
  get full(): boolean {
    const full = this.#waitingBytes + this.#handedOver >= this.#limits.maxOutputBytes
    if (full) this.#foundFull = true
    return full
  }

  /** True when the peer asks and asks and does not read the answers: then it should not be read either. */
  get crowded(): boolean {
    const crowded = this.#answers >= this.#limits.maxAnswers
    if (crowded) this.#foundFull = true
    return crowded
  }

  /** Since when the peer has read nothing although something waits for it. */
  get stalledSince(): number | undefined {
    return this.#blocked ? this.#progressAt : undefined
  }

  /** An answer, or whatever else is no message. */
  push(bytes: Uint8Array): void {
    if (this.#ending) return
    this.#answers++
    this.#add({ bytes, isAnswer: true, publisher: undefined, packetId: 0 })
  }

  /** A message; `publisher` and `packetId` mark it for {@link removeOf}. */
  pushMessage(bytes: Uint8Array, publisher: DeviceId | undefined, packetId: number): void {
    if (!this.#ending) this.#add({ bytes, isAnswer: false, publisher, packetId })
  }

  /** Forgets the messages of devices that have not been handed to the socket yet. Returns their packet identifiers. */
  removeOf(publishers: Publishers): readonly number[] {
    const goes = ({ publisher }: Chunk) => publisher !== undefined && publishers.has(publisher)
    const removed = this.#chunks.filter(goes)
    if (removed.length > 0) this.#chunks = this.#chunks.filter((chunk) => !goes(chunk))
    for (const { bytes } of removed) this.#waitingBytes -= bytes.length
    return removed.map(({ packetId }) => packetId)
  }

  /** The socket has room again. */
  drained(): void {
    this.#blocked = false
    this.#handedOver = 0
    this.#progressAt = this.#now()
    if (this.#chunks.length > 0 || this.#ending) this.#schedule()
    this.#tellRoom()
  }

  /** What could not leave may do so now. */
  resume(): void {
    if (this.#chunks.length > 0) this.#schedule()
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
    this.#answers = 0
  }

  /** Nobody will read any more: forgets what waits, and takes nothing. */
  abandon(): void {
    this.discard()
    this.#handedOver = 0
    this.#blocked = false
    this.#ending = true
  }

  #add(chunk: Chunk): void {
    const { bytes } = chunk
    this.#chunks.push(chunk)
    this.#waitingBytes += bytes.length
    this.#schedule()
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
    if (!this.#mayWrite()) {
      if (!this.#ending) return
      this.discard() // whoever goes now goes without it
    }
    const batch = this.#takeBatch()
    if (batch.length > 0) {
      this.#traffic.wrote(batch.length)
      this.#blocked = !this.#sink.write(batch)
      this.#progressAt = this.#now()
      if (this.#blocked) this.#handedOver = batch.length
    }
    if (this.#chunks.length > 0) this.#schedule()
    else if (this.#ending && !this.#blocked) this.#sink.end()
    this.#tellRoom()
  }

  #tellRoom(): void {
    if (!this.#foundFull || this.#ending || this.full || this.crowded) return
    this.#foundFull = false
    this.#room()
  }

  #takeBatch(): Uint8Array {
    let bytes = 0
    let count = 0
    for (const chunk of this.#chunks) {
      if (count > 0 && bytes + chunk.bytes.length > maxWriteBytes) break
      bytes += chunk.bytes.length
      count++
      if (chunk.isAnswer) this.#answers--
    }
    const taken = this.#chunks.splice(0, count).map((chunk) => chunk.bytes)
    this.#waitingBytes -= bytes
    const [only] = taken
    return taken.length === 1 && only ? only : Buffer.concat(taken, bytes)
  }
}

interface Chunk {
  readonly bytes: Uint8Array
  readonly isAnswer: boolean
  readonly publisher: DeviceId | undefined
  /** Of a QoS 1 or 2 message; 0 for all else. */
  readonly packetId: number
}
