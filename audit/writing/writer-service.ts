import { isDiskFull, messageOf } from '#protocol'
import type { Disk } from './disk.js'
import type { Batch } from '../entries/entry-buffer.js'
import { AuditError, type AuditErrorCode } from '../errors.js'
import type { Erasure, KeysToErase } from '../payload/options.js'
import type { Outcome } from './questions.js'
import type { Payloads } from '../payload/payload-buffer.js'
import { Pruner, type SurveyOrder } from '../retention/pruner.js'
import type { Survey } from '../retention/survey.js'
import type { SigningKeys } from '../tree/signing-keys.js'
import { LogWriter, type Opened, recordsPerCheckpoint, type Room, type WriterOptions } from './writer.js'

export type ToWriter =
  | ({ readonly kind: 'batch' } & Batch) // only after the one before was answered
  | ({ readonly kind: 'keys' } & SigningKeys)
  | { readonly kind: 'erase'; readonly id: number; readonly keys: KeysToErase }
  | { readonly kind: 'survey'; readonly id: number; readonly order: SurveyOrder } // one at a time
  | { readonly kind: 'close' } //           only after every batch was answered

export type FromWriter =
  | { readonly kind: 'opened'; readonly opened: Opened }
  | { readonly kind: 'durable'; readonly seconds: number } // the batch that was sent is on disk; how long that took
  | { readonly kind: 'failover'; readonly comment: string } // a batch had to be written again elsewhere
  | { readonly kind: 'room'; readonly room: Room }
  | { readonly kind: 'checkpoint'; readonly note: string }
  | { readonly kind: 'erased'; readonly id: number; readonly outcome: Outcome<Erasure> }
  | { readonly kind: 'surveyed'; readonly id: number; readonly outcome: Outcome<Survey> }
  | { readonly kind: 'closed' }
  | { readonly kind: 'failed'; readonly code: AuditErrorCode; readonly message: string } // the last message ever

const checkpointEveryMs = 1000

/** So much may wait for the tree before batches wait for it too. */
const maxUngrownBytes = 8 * 1024 * 1024

/**
 * Answers messages with a {@link LogWriter}: in its worker, or in the same thread where a test wants to stand between.
 * The first failure is the end: a disk that has lost one write cannot be trusted with the next.
 */
export class WriterService {
  readonly #post: (message: FromWriter) => void
  readonly #opening: Promise<LogWriter | undefined>
  readonly #timer: NodeJS.Timeout
  readonly #pruner: Pruner
  #growing: NodeJS.Immediate | undefined
  #checkpointing: Promise<void> | undefined
  #settling: Promise<void> | undefined
  #makingRoom: Promise<void> | undefined
  #room: Room = 'reserved'
  #surveying: Promise<void> | undefined
  #ended = false

  constructor(options: WriterOptions, disk: Disk, post: (message: FromWriter) => void) {
    this.#post = post
    this.#pruner = new Pruner(options.directory, disk)
    this.#opening = this.#open(options, disk)
    this.#timer = setInterval(() => void this.#attempt(async (writer) => await this.#look(writer)), checkpointEveryMs)
  }

  handle(message: ToWriter): void {
    void this.#attempt(async (writer) => {
      if (message.kind === 'close') await this.#close(writer)
      else if (message.kind === 'keys') writer.signWith(message)
      else if (message.kind === 'erase')
        this.#post({ kind: 'erased', id: message.id, outcome: erase(writer, message.keys) })
      else if (message.kind === 'survey') await (this.#surveying = this.#survey(writer, message))
      else await this.#write(writer, Buffer.from(message.records), message.payloads)
    })
  }

  async #open(options: WriterOptions, disk: Disk): Promise<LogWriter | undefined> {
    try {
      const { writer, opened } = await LogWriter.open(options, disk)
      this.#post({ kind: 'opened', opened })
      setImmediate(() => void this.#attempt(async () => await this.#look(writer)))
      return writer
    } catch (error) {
      const full = isDiskFull(error)
      this.#fail(full ? new AuditError('AUDIT_FULL', `the log cannot be opened: ${error.message}`) : error)
      return undefined
    }
  }

  async #write(writer: LogWriter, records: Buffer, payloads: Payloads | undefined): Promise<void> {
    while (writer.ungrownBytes > maxUngrownBytes) writer.grow()
    const begun = performance.now()
    const failure = writer.write(records, payloads)
    if (failure !== undefined) this.#post({ kind: 'failover', comment: failure })
    this.#tellRoom(writer)
    this.#post({ kind: 'durable', seconds: (performance.now() - begun) / 1000 })
    this.#grow()
  }

  /** A little in every turn, so that a batch that comes meanwhile is written first. */
  #grow(): void {
    this.#growing ??= setImmediate(() => {
      this.#growing = undefined
      void this.#attempt(async (writer) => {
        if (writer.grow()) this.#grow()
        await this.#cover(writer, recordsPerCheckpoint)
      })
    })
  }

  async #look(writer: LogWriter): Promise<void> {
    this.#makingRoom ??= this.#makeRoom(writer).finally(() => (this.#makingRoom = undefined))
    await this.#makingRoom
    await this.#cover(writer, 1)
    if (writer.room === 'full') return
    this.#settling ??= writer.settle(performance.now()).finally(() => (this.#settling = undefined))
    await this.#settling
  }

  async #makeRoom(writer: LogWriter): Promise<void> {
    await writer.makeRoom()
    this.#tellRoom(writer)
  }

  #tellRoom({ room }: LogWriter): void {
    if (room === this.#room || this.#ended) return
    this.#room = room
    this.#post({ kind: 'room', room })
  }

  /** Makes a checkpoint if at least so many records wait for one; a second caller shares the one under way. */
  async #cover(writer: LogWriter, leastRecords: number): Promise<void> {
    if (!this.#checkpointing && writer.uncovered < leastRecords) return
    this.#checkpointing ??= writer
      .checkpoint()
      .then(
        (note) => {
          if (!this.#ended) this.#post({ kind: 'checkpoint', note })
        },
        (error: unknown) => {
          if (!(error instanceof AuditError) || error.code !== 'AUDIT_FULL') throw error
          this.#tellRoom(writer)
        },
      )
      .finally(() => (this.#checkpointing = undefined))
    await this.#checkpointing
  }

  /** That it fails says nothing of the log: whoever asked is told. */
  async #survey(writer: LogWriter, { id, order }: Extract<ToWriter, { readonly kind: 'survey' }>): Promise<void> {
    if (order.minimum) await this.#coverRecord(writer, order.minimum.record)
    try {
      this.#post({ kind: 'surveyed', id, outcome: await this.#pruner.survey(order) })
    } catch (error) {
      if (this.#pruner.isStopped) return
      const problem = messageOf(error)
      this.#post({ kind: 'surveyed', id, outcome: { problem } })
    }
  }

  async #coverRecord(writer: LogWriter, record: number): Promise<void> {
    while (writer.grow());
    while (writer.covered <= record && writer.uncovered > 0) await this.#cover(writer, 1)
  }

  async #close(writer: LogWriter): Promise<void> {
    clearInterval(this.#timer)
    while (writer.grow());
    this.#pruner.stop()
    await Promise.all([this.#checkpointing, this.#settling, this.#makingRoom, this.#surveying])
    await this.#cover(writer, 1)
    await writer.close()
    if (this.#ended) return
    this.#end()
    this.#post({ kind: 'closed' })
  }

  async #attempt(work: (writer: LogWriter) => Promise<void>): Promise<void> {
    const writer = await this.#opening
    if (!writer || this.#ended) return
    try {
      await work(writer)
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Told when nothing is under way any more: whoever opens the log again has its files alone. */
  #fail(error: unknown): void {
    if (this.#ended) return
    this.#end()
    this.#pruner.stop()
    void this.#idle().then(() => this.#post({ kind: 'failed', code: codeOf(error), message: messageOf(error) }))
  }

  async #idle(): Promise<void> {
    await Promise.allSettled([this.#checkpointing, this.#settling, this.#makingRoom, this.#surveying])
  }

  #end(): void {
    this.#ended = true
    clearInterval(this.#timer)
  }
}

function codeOf(error: unknown): AuditErrorCode {
  if (error instanceof AuditError) return error.code
  return isDiskFull(error) ? 'AUDIT_FULL' : 'AUDIT_FAILED'
}

/** That it fails says nothing of the log: whoever asked for it is told. */
function erase(writer: LogWriter, keys: KeysToErase): Outcome<Erasure> {
  try {
    return { count: writer.erasePayloadKeys(keys) }
  } catch (error) {
    return { problem: `keys may not be erased: ${messageOf(error)}` }
  }
}
