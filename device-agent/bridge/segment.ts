import { constants } from 'node:fs'
import { type FileHandle, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { QueuedMessage } from './message.js'
import { decodeRecords, encodeRecord, recordBytes } from './record.js'

/**
 * One file of the queue: messages in order, only ever added to at its end. Named by its first sequence, so that the
 * names in order are the messages in order.
 */
export class Segment {
  readonly path: string
  /** Of the file. */
  bytes = 0
  /** In the file. */
  messages = 0
  /** Those of QoS 0. */
  droppable = 0
  lastSequence = 0
  /** While it is being read or written; a file is never larger than a part of the queue's bound. */
  #loaded: QueuedMessage[] | undefined
  /** Where in it the last look ended. */
  #at = 0
  #file: FileHandle | undefined

  private constructor(path: string) {
    this.path = path
  }

  /** Whatever is in the folder, oldest first; counted is what comes after the last that was acknowledged. */
  static async find(folder: string, acknowledged: number): Promise<Segment[]> {
    const names = await readdir(folder)
    for (const name of names.filter((name) => name.endsWith(unfinished))) await rm(join(folder, name))
    const segments: Segment[] = []
    for (const name of names.filter((name) => namePattern.test(name)).sort()) {
      const segment = new Segment(join(folder, name))
      const messages = decodeRecords(await readFile(segment.path))
      segment.#count(messages.filter(({ sequence }) => sequence > acknowledged))
      segment.lastSequence = messages.at(-1)?.sequence ?? 0
      segment.bytes = (await stat(segment.path)).size
      segments.push(segment)
    }
    return segments
  }

  static async create(folder: string, firstSequence: number): Promise<Segment> {
    const segment = new Segment(join(folder, `${String(firstSequence).padStart(16, '0')}.queue`))
    // Truncated: after a failed disk, a name can have been given already to a file that nothing was ever kept in.
    segment.#file = await open(segment.path, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC, 0o600)
    segment.#loaded = []
    await syncFolder(folder)
    return segment
  }

  /** Adds messages and returns when they would survive a power cut, or a kill alone where all may be lost (QoS 0). */
  async append(messages: readonly QueuedMessage[]): Promise<void> {
    if (this.#file === undefined) throw new Error(`${this.path} is closed`)
    const bytes = Buffer.concat(messages.map(encodeRecord))
    try {
      await this.#file.write(bytes, 0, bytes.length, this.bytes)
      if (messages.some(({ qos }) => qos === 1)) await this.#file.datasync()
    } catch (error) {
      await this.#file.truncate(this.bytes).catch(() => undefined) // it is written again at the same place
      throw error
    }
    this.bytes += bytes.length
    this.#loaded?.push(...messages)
    this.#count(messages)
  }

  /** The first message from this sequence on; asked for in order. */
  async from(sequence: number): Promise<QueuedMessage | undefined> {
    this.#loaded ??= decodeRecords(await readFile(this.path))
    while ((this.#loaded[this.#at]?.sequence ?? Infinity) < sequence) this.#at++
    return this.#loaded[this.#at]
  }

  /** Gives up memory; what is asked for again is read again. */
  unload(): void {
    if (this.#file !== undefined) return
    this.#loaded = undefined
    this.#at = 0
  }

  /** Nothing is added any more, and only who reads it has it in memory. */
  async seal(): Promise<void> {
    await this.#file?.close()
    this.#file = undefined
    this.unload()
  }

  /** Drops the QoS 0 messages from this sequence on, and says how many those were. */
  async drop(from: number): Promise<number> {
    await this.seal()
    const messages = decodeRecords(await readFile(this.path))
    const kept = messages.filter(({ qos, sequence }) => qos === 1 || sequence < from)
    const beside = this.path + unfinished
    const file = await open(beside, 'w', 0o600)
    try {
      await file.writeFile(Buffer.concat(kept.map(encodeRecord)))
      await file.datasync()
    } finally {
      await file.close()
    }
    await rename(beside, this.path)
    this.bytes = kept.reduce((sum, message) => sum + recordBytes(message), 0)
    this.messages = this.droppable = 0
    this.#count(kept)
    this.droppable = 0 // what is left of QoS 0 is on its way already
    return messages.length - kept.length
  }

  async remove(): Promise<void> {
    await this.seal()
    await rm(this.path, { force: true })
  }

  #count(messages: readonly QueuedMessage[]): void {
    this.messages += messages.length
    this.droppable += messages.filter(({ qos }) => qos === 0).length
    this.lastSequence = messages.at(-1)?.sequence ?? this.lastSequence
  }
}

const namePattern = /^\d{16}\.queue$/
const unfinished = '.unfinished'

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
