import { setTimeout as delay } from 'node:timers/promises'
import type { BridgeLimits } from './limits.js'
import type { Message, QueuedMessage } from './message.js'
import { QueueFiles } from './queue-files.js'
import { recordBytes } from './record.js'

/** `kept`: on disk, or the service has answered it. `dropped`: of QoS 0, and there was no room. */
export type Fate = 'kept' | 'dropped'

export interface QueueSize {
  readonly messages: number
  readonly bytes: number
  /** Since the start. */
  readonly dropped: number
}

/** Who is gone does not wait to be told that a message is safe, so such a message need not wait for room. */
export interface Sender {
  readonly isGone: boolean
}

interface Unwritten {
  readonly message: QueuedMessage
  readonly bytes: number
  readonly from: Sender
  readonly settle: (fate: Fate) => void
  /** There was no room for it, or the disk failed. */
  isHeld: boolean
}

/**
 * What programs have said and the service has not answered yet, oldest first, in memory and then on disk. While the
 * connection stands a message waits a little for its answer before it is written, so that a device that is mostly online
 * does not wear out its flash.
 */
export class MessageQueue {
  readonly #files: QueueFiles
  readonly #limits: BridgeLimits
  readonly #diskFailed: (error: unknown) => void
  /** By their sequence, in order. */
  readonly #unwritten = new Map<number, Unwritten>()
  #unwrittenBytes = 0
  /** Taken and not done, in order; what of them is to be sent again stands in `#again` too. */
  readonly #taken = new Map<number, QueuedMessage>()
  #again: QueuedMessage[] = []
  #nextSequence: number
  #nextTaken: number
  /** Up to here the disk held messages at the start, and so many of them an agent before may have sent already. */
  readonly #found: number
  #suspects: number
  #dropped = 0
  #isCarried = false
  #closing = false
  readonly #takers = new Set<() => void>()
  #wake: () => void = () => undefined
  #hurry = new AbortController()
  readonly #written: Promise<void>

  private constructor(files: QueueFiles, limits: BridgeLimits, diskFailed: (error: unknown) => void) {
    this.#files = files
    this.#limits = limits
    this.#diskFailed = diskFailed
    this.#found = files.lastSequence
    this.#suspects = limits.maxInFlight + limits.maxSentPerSecond // the mark of what is acknowledged is that far behind at most
    this.#nextSequence = files.lastSequence + 1
    this.#nextTaken = files.acknowledged + 1
    this.#written = this.#keepWriting()
  }

  static async open(folder: string, limits: BridgeLimits, diskFailed: (error: unknown) => void): Promise<MessageQueue> {
    return new MessageQueue(await QueueFiles.open(folder, limits), limits, diskFailed)
  }

  get size(): QueueSize {
    return {
      messages: this.#files.messages + this.#unwritten.size,
      bytes: this.#files.bytes + this.#unwrittenBytes,
      dropped: this.#dropped,
    }
  }

  /** Settles when the message is safe; for one of QoS 1 without room, not before there is some. */
  add(message: Message, from: Sender): Promise<Fate> {
    const bytes = recordBytes(message)
    if (message.qos === 0 && this.#unwrittenBytes + bytes > this.#limits.maxUnwrittenBytes) {
      this.#dropped++
      return Promise.resolve('dropped')
    }
    return new Promise((settle) => {
      const queued = { ...message, sequence: this.#nextSequence++, maybeSent: false, failures: 0 }
      this.#unwritten.set(queued.sequence, { message: queued, bytes, from, settle, isHeld: false })
      this.#unwrittenBytes += bytes
      this.#wake()
      this.#wakeTakers()
    })
  }

  /** This sender is gone: what there is no room for is not kept in memory. */
  forget(from: Sender): void {
    for (const one of this.#unwritten.values()) {
      if (one.isHeld && one.from === from && !this.#isTaken(one)) this.#settle(one, 'dropped')
    }
  }

  /** The oldest that has not been taken, as soon as there is one; undefined when the signal comes first. */
  async take(signal: AbortSignal): Promise<QueuedMessage | undefined> {
    while (!signal.aborted) {
      const again = this.#again.shift()
      if (again !== undefined) {
        if (this.#taken.has(again.sequence)) return again
        continue
      }
      const seen = this.#nextSequence
      const next = await this.#next(signal)
      if (signal.aborted) return undefined
      if (next !== undefined) {
        this.#nextTaken = next.sequence + 1
        this.#taken.set(next.sequence, next)
        if (next.sequence <= this.#found && this.#suspects-- > 0) next.maybeSent = true
        return next
      }
      if (this.#nextSequence === seen && this.#again.length === 0) await this.#arrival(signal)
    }
    return undefined
  }

  /** The service has answered it, or it was given up. */
  done({ sequence }: QueuedMessage): void {
    if (!this.#taken.delete(sequence)) return
    const unwritten = this.#unwritten.get(sequence)
    if (unwritten === undefined) this.#files.messages--
    else this.#settle(unwritten, 'kept')
    this.#wake()
  }

  /** The oldest of those that are under way. */
  get oldestTaken(): QueuedMessage | undefined {
    return this.#taken.values().next().value
  }

  /** To be taken again before all that comes after it. */
  putBack(message: QueuedMessage): void {
    if (!this.#taken.has(message.sequence) || this.#again.includes(message)) return
    this.#again = [...this.#again, message].sort((one, other) => one.sequence - other.sequence)
    this.#wakeTakers()
  }

  /** A connection has come, and takes messages from here on. */
  carried(): void {
    this.#isCarried = true
  }

  /** The connection is gone: what was sent on it and not answered is to be sent again. */
  stranded(): void {
    this.#isCarried = false
    for (const message of this.#taken.values()) message.maybeSent = true
    this.#again = [...this.#taken.values()]
    this.#hurry.abort()
  }

  /** Writes what can be written. */
  async close(): Promise<void> {
    this.#closing = true
    this.#hurry.abort()
    this.#wake()
    await this.#written
    await this.#files.close()
  }

  async #next(signal: AbortSignal): Promise<QueuedMessage | undefined> {
    const from = this.#nextTaken
    try {
      const onDisk = this.#files.endsBefore(from) ? undefined : await this.#files.from(from)
      if (onDisk !== undefined) return onDisk
    } catch (error) {
      this.#diskFailed(error)
      await delay(this.#limits.retryDiskMs, undefined, { signal }).catch(ignore)
      return undefined
    }
    for (const { message } of this.#unwritten.values()) if (message.sequence >= from) return message
    return undefined
  }

  /** One batch after the other: what comes while one is being written is the next. */
  async #keepWriting(): Promise<void> {
    for (;;) {
      const woken = new Promise<void>((resolve) => (this.#wake = resolve))
      const isLast = this.#closing
      try {
        if (this.#mayLinger())
          await delay(this.#limits.lingerMs, undefined, { signal: this.#hurry.signal }).catch(ignore)
        if (this.#hurry.signal.aborted) this.#hurry = new AbortController()
        await this.#writeBatch()
        await this.#files.acknowledge(Math.min(...this.#taken.keys(), this.#nextTaken) - 1)
        if ([...this.#unwritten.values()].some(({ isHeld }) => !isHeld)) continue
        if (isLast) return
      } catch (error) {
        this.#diskFailed(error)
        for (const one of this.#unwritten.values()) this.#hold(one)
        if (isLast) return
        await delay(this.#limits.retryDiskMs, undefined, { signal: this.#hurry.signal }).catch(ignore)
        continue
      }
      await woken
    }
  }

  /** Only what can be under way at once is worth waiting for. */
  #mayLinger(): boolean {
    return this.#isCarried && !this.#closing && this.#unwritten.size > 0 && this.#files.endsBefore(this.#nextTaken)
  }

  async #writeBatch(): Promise<void> {
    const batch: Unwritten[] = []
    let bytes = 0
    let isFull = false
    for (const one of [...this.#unwritten.values()]) {
      if (!this.#unwritten.has(one.message.sequence)) continue // answered while room was made for another
      const wanted = { messages: batch.length + 1, bytes: bytes + one.bytes }
      isFull ||= !(await this.#files.makeRoom(wanted, this.#nextTaken, (count) => (this.#dropped += count)))
      if (!isFull) {
        batch.push(one)
        bytes += one.bytes
        if (bytes >= maxBatchBytes) break
      } else this.#hold(one)
    }
    await this.#files.append(batch.map(({ message }) => message))
    for (const one of batch) {
      if (this.#unwritten.has(one.message.sequence)) this.#settle(one, 'kept')
      else this.#files.messages-- // answered while it was being written
    }
  }

  /** Its sender waits until there is room or the service has answered, if it is there and the message of QoS 1. */
  #hold(one: Unwritten): void {
    one.isHeld = true
    if (this.#isTaken(one) || (one.message.qos === 1 && !one.from.isGone)) return
    this.#dropped++
    this.#settle(one, 'dropped')
  }

  #settle(one: Unwritten, fate: Fate): void {
    this.#unwritten.delete(one.message.sequence)
    this.#unwrittenBytes -= one.bytes
    one.settle(fate)
  }

  #isTaken({ message }: Unwritten): boolean {
    return message.sequence < this.#nextTaken
  }

  #arrival(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#takers.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.#takers.add(wake)
      signal.addEventListener('abort', wake)
    })
  }

  #wakeTakers(): void {
    for (const wake of [...this.#takers]) wake()
  }
}

const maxBatchBytes = 256 * 1024
const ignore = (): undefined => undefined
