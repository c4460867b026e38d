import { constants } from 'node:fs'
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { BridgeLimits } from './limits.js'
import type { QueuedMessage } from './message.js'
import { Segment } from './segment.js'

type Bounds = Pick<BridgeLimits, 'maxQueuedBytes' | 'maxQueuedMessages'>

/**
 * The queue's folder: segments, and a file that says how far the service has acknowledged. That file is not synced: a
 * power cut can cost some of it, and then messages are sent again, which QoS 1 allows (MQTT 5.0 §4.3.2).
 */
export class QueueFiles {
  readonly #folder: string
  readonly #bounds: Bounds
  readonly #segments: Segment[]
  readonly #mark: FileHandle
  /** To which messages are added. */
  #open: Segment | undefined
  acknowledged: number
  /** On disk and not acknowledged. */
  messages: number
  /** One after the other: who reads a file must not see it half replaced. */
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(folder: string, bounds: Bounds, segments: Segment[], mark: FileHandle, acknowledged: number) {
    this.#folder = folder
    this.#bounds = bounds
    this.#segments = segments
    this.#mark = mark
    this.acknowledged = acknowledged
    this.messages = segments.reduce((sum, { messages }) => sum + messages, 0)
  }

  static async open(folder: string, bounds: Bounds): Promise<QueueFiles> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const mark = await open(join(folder, 'acknowledged'), constants.O_RDWR | constants.O_CREAT, 0o600)
    const acknowledged = await readMark(mark)
    return new QueueFiles(folder, bounds, await Segment.find(folder, acknowledged), mark, acknowledged)
  }

  get bytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  get lastSequence(): number {
    return Math.max(this.acknowledged, ...this.#segments.map(({ lastSequence }) => lastSequence))
  }

  /** Adds messages, in order and after all that are there; there must be room for them. */
  append(messages: readonly QueuedMessage[]): Promise<void> {
    return this.#exclusively(async () => {
      const [first] = messages
      if (first === undefined) return
      if (this.#open === undefined || this.#open.bytes >= this.#segmentBytes) {
        await this.#sealOpen()
        this.#open = await Segment.create(this.#folder, first.sequence)
        this.#segments.push(this.#open)
      }
      await this.#open.append(messages)
      this.messages += messages.length
    })
  }

  /**
   * Whether so many more find room, made where needed by dropping the oldest QoS 0 messages that have not been sent
   * (those from `unsent` on). A file's worth of them goes at once, so that a full queue does not rewrite a file for each.
   */
  makeRoom(
    wanted: { readonly messages: number; readonly bytes: number },
    unsent: number,
    dropped: (messages: number) => void,
  ): Promise<boolean> {
    return this.#exclusively(async () => {
      for (;;) {
        const { maxQueuedBytes, maxQueuedMessages } = this.#bounds
        const fits = this.bytes + wanted.bytes <= maxQueuedBytes && this.messages + wanted.messages <= maxQueuedMessages
        if (fits) return true
        const oldest = this.#segments.find(({ droppable, lastSequence }) => droppable > 0 && lastSequence >= unsent)
        if (oldest === undefined) return false
        if (oldest === this.#open) this.#open = undefined
        const messages = await oldest.drop(unsent)
        this.messages -= messages
        dropped(messages)
        if (oldest.messages === 0) await this.#remove(oldest)
      }
    })
  }

  /** The first message from this sequence on. */
  from(sequence: number): Promise<QueuedMessage | undefined> {
    return this.#exclusively(async () => {
      for (const segment of this.#segments) {
        if (segment.lastSequence < sequence) segment.unload()
        else {
          const message = await segment.from(sequence)
          if (message !== undefined) return message
        }
      }
      return undefined
    })
  }

  /** Whether all that is on disk comes before this sequence. */
  endsBefore(sequence: number): boolean {
    return this.#segments.every(({ lastSequence }) => lastSequence < sequence)
  }

  /** All up to this sequence is done with. */
  acknowledge(sequence: number): Promise<void> {
    return this.#exclusively(async () => {
      if (sequence <= this.acknowledged) return
      this.acknowledged = sequence
      if (this.#segments.length === 0) return
      await writeMark(this.#mark, sequence)
      for (const segment of this.#segments.filter((segment) => segment !== this.#open)) {
        if (segment.lastSequence <= sequence) await this.#remove(segment)
      }
    })
  }

  async close(): Promise<void> {
    await this.#exclusively(async () => {
      await this.#sealOpen()
      await this.#mark.close()
    })
  }

  async #sealOpen(): Promise<void> {
    await this.#open?.seal()
    this.#open = undefined
  }

  async #remove(segment: Segment): Promise<void> {
    await segment.remove()
    this.#segments.splice(this.#segments.indexOf(segment), 1)
  }

  /** Small beside the bound, so that dropping and clearing away are fine-grained; and a reader holds one in memory. */
  get #segmentBytes(): number {
    return Math.min(1024 * 1024, this.#bounds.maxQueuedBytes / 16)
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work)
    this.#turn = mine.catch(() => undefined)
    return mine
  }
}

const markBytes = 12

/** u64 sequence, u32 CRC-32 of it; 0 when there is none that can be believed. */
async function readMark(file: FileHandle): Promise<number> {
  const mark = Buffer.alloc(markBytes)
  const { bytesRead } = await file.read(mark, 0, markBytes, 0)
  if (bytesRead < markBytes || mark.readUInt32BE(8) !== crc32(mark.subarray(0, 8))) return 0
  return Number(mark.readBigUInt64BE(0))
}

async function writeMark(file: FileHandle, sequence: number): Promise<void> {
  const mark = Buffer.alloc(markBytes)
  mark.writeBigUInt64BE(BigInt(sequence))
  mark.writeUInt32BE(crc32(mark.subarray(0, 8)), 8)
  await file.write(mark, 0, markBytes, 0)
}
