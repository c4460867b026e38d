import type { KeyObject } from 'node:crypto'
import type { AuditEvent, AuditMode, AuditRecord, AuditTrail } from '#protocol'
import { verifierKeyOf } from './tree/checkpoint.js'
import { EntryBuffer } from './entries/entry-buffer.js'
import { AuditError } from './errors.js'
import { type AuditQuery, matcherOf } from './reading/query.js'
import type { PayloadOptions } from './payload/options.js'
import { Progress } from './progress.js'
import { LogReader } from './reading/reader.js'
import { type ConnectWriter, startWorker, type WriterLink } from './writing/writer-link.js'
import type { FromWriter } from './writing/writer-service.js'
import type { Opened } from './writing/writer.js'

export interface AuditLogOptions {
  /** Holds `log/` and `wal/`; one process at a time, which whoever locks the data folder sees to. */
  readonly directory: string
  /** Names the log in its checkpoints and its verifier key; without white space and `+`. */
  readonly origin: string
  readonly node: string
  /** Ed25519 private key that signs the checkpoints. */
  readonly signingKey: KeyObject
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** When devices may be answered. Default: strict */
  readonly mode?: AuditMode
  /** How records of messages commit to payloads. Default: they do not */
  readonly payload?: PayloadOptions | undefined
  /** How to reach the writer. Default: a worker thread. */
  readonly connectWriter?: ConnectWriter
}

/**
 * In relaxed mode records gather for so long before they are written, and while older ones have waited longer than the
 * loss window for the disk no more answers go ahead of them: that is what a crash can take away.
 */
export const relaxed = { gatherMs: 25, lossWindowMs: 100 }

/**
 * To write and sync a batch costs the processor as much as some dozens of records. So in strict mode the records that
 * come after a batch of at least so many gather too, for about as long as the sync itself takes.
 */
const busy = { records: 16, gatherMs: 2 }

/** Above the first mark of waiting bytes sources should pause, below the second they go on, at the third they must. */
const waitingBytes = { congested: 8 * 1024 * 1024, relieved: 2 * 1024 * 1024, full: 64 * 1024 * 1024 }

/**
 * The audit log of one node. `append` only encodes into memory; a worker hashes, writes and syncs. While it syncs one
 * batch the next collects, so in strict mode a lone record waits for nobody and a burst shares one sync.
 */
export class AuditLog implements AuditTrail {
  readonly verifierKey: string
  readonly mode: AuditMode
  readonly #options: AuditLogOptions
  readonly #writer: WriterLink
  readonly #reader: LogReader
  readonly #durable: Progress
  /** The same in strict mode. */
  readonly #answerable: Progress
  readonly #waiting = new EntryBuffer()
  readonly #congestionListeners = new Set<(congested: boolean) => void>()
  readonly #endListeners = new Set<() => void>()
  #next: number
  #checkpoint: string
  #sent: { readonly last: number; readonly bytes: number; readonly since: number } | undefined
  #turnEnding = false
  #gatherMs: number
  #gathering: NodeJS.Timeout | undefined
  #congested = false
  #state: 'open' | 'closing' | 'closed' | 'failed' = 'open'

  private constructor(options: AuditLogOptions, writer: WriterLink, opened: Opened) {
    this.verifierKey = verifierKeyOf(options.origin, options.signingKey)
    this.mode = options.mode ?? 'strict'
    this.#gatherMs = this.mode === 'strict' ? 0 : relaxed.gatherMs
    this.#options = options
    this.#writer = writer
    this.#reader = new LogReader(options.directory)
    this.#durable = new Progress(opened.size - 1)
    this.#answerable = this.mode === 'strict' ? this.#durable : new Progress(opened.size - 1)
    this.#next = opened.size
    this.#checkpoint = opened.checkpoint
  }

  /**
   * Opens the log in a folder, or begins one; records that a crash left behind are covered before it resolves.
   * @throws AuditError AUDIT_CORRUPT when the folder does not hold what its checkpoint promises, AUDIT_FAILED
   */
  static async open(options: AuditLogOptions): Promise<AuditLog> {
    const { directory, origin, signingKey, payload, connectWriter = startWorker } = options
    verifierKeyOf(origin, signingKey)
    return await new Promise((resolve, reject) => {
      let log: AuditLog | undefined
      const writer = connectWriter({ directory, origin, signingKey, payload }, (message) => {
        if (log) log.#receive(message)
        else if (message.kind === 'failed') reject(new AuditError(message.code, message.message))
        else if (message.kind === 'opened') {
          log = new AuditLog(options, writer, message.opened)
          log.#recordRecovery(message.opened)
          resolve(log)
        }
      })
    })
  }

  append(event: AuditEvent, payload?: Uint8Array): number {
    if (this.#state !== 'open') throw new AuditError('AUDIT_CLOSED', `the audit log is ${this.#state}`)
    if (this.#waitingBytes() >= waitingBytes.full)
      throw new AuditError('AUDIT_FULL', 'too many records wait for the disk')
    const sequence = this.#next
    const place = { sequence, time: this.#options.now(), node: this.#options.node }
    this.#waiting.add(place, event, this.#options.payload && payload)
    this.#next++
    this.#updateCongestion()
    if (!this.#turnEnding) queueMicrotask(() => this.#endTurn()) // whatever this turn still appends goes along
    this.#turnEnding = true
    return sequence
  }

  /** How many records there are, durable or not. */
  get size(): number {
    return this.#next
  }

  get answerable(): number {
    return this.#answerable.reached
  }

  onAnswerable(listener: (answerable: number) => void): () => void {
    return this.#answerable.onAdvance(listener)
  }

  get durable(): number {
    return this.#durable.reached
  }

  whenDurable(sequence: number): Promise<void> {
    if (this.#gatherMs > 0 && sequence > this.durable) this.#write() // gather no longer, somebody waits
    return this.#durable.when(sequence)
  }

  onDurable(listener: (durable: number) => void): () => void {
    return this.#durable.onAdvance(listener)
  }

  get full(): boolean {
    return false
  }

  get congested(): boolean {
    return this.#congested
  }

  onCongestion(listener: (congested: boolean) => void): () => void {
    this.#congestionListeners.add(listener)
    return () => this.#congestionListeners.delete(listener)
  }

  /** False from the first failure of the disk on; then nothing can be appended until the process starts again. */
  get healthy(): boolean {
    return this.#state !== 'failed'
  }

  /** Called once, when the log is closed or has failed (see `healthy`). */
  onEnd(listener: () => void): () => void {
    this.#endListeners.add(listener)
    return () => this.#endListeners.delete(listener)
  }

  /** The newest signed checkpoint, as a C2SP signed note. */
  checkpoint(): string {
    return this.#checkpoint
  }

  /** The records that are durable when it is called, from this sequence number on. */
  records(from: number): AsyncIterable<AuditRecord> {
    return this.#reader.forward(from, this.durable)
  }

  /** The durable records that match. Reads the log from the asked end, a bundle at a time. */
  async *search(query: AuditQuery): AsyncGenerator<AuditRecord, void> {
    const matches = matcherOf(query)
    const { order, after } = query
    const records =
      order === 'oldest'
        ? this.#reader.forward((after ?? -1) + 1, this.durable)
        : this.#reader.backward(Math.min((after ?? Infinity) - 1, this.durable))
    let left = query.limit ?? Infinity
    if (left <= 0) return
    for await (const record of records) {
      if (!matches(record)) continue
      yield record
      if (--left === 0) return
    }
  }

  /** The durable records that match, oldest first, and each new one, until the signal aborts or the log ends. */
  async *follow(
    query: AuditQuery,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<AuditRecord, void> {
    const matches = matcherOf(query)
    let left = query.limit ?? Infinity
    for (let next = (query.after ?? -1) + 1; left > 0 && !signal?.aborted;) {
      for await (const record of this.#reader.forward(next, this.durable)) {
        if (signal?.aborted) return
        next = record.sequence + 1
        if (!matches(record)) continue
        yield record
        if (--left === 0) return
      }
      if (this.durable >= next) continue
      if (this.#state === 'closed' || this.#state === 'failed') return
      await this.#change(signal)
    }
  }

  /** Makes everything durable and covers it by a last checkpoint. Rejects with AUDIT_FAILED when that cannot be. */
  async close(): Promise<void> {
    if (this.#state !== 'open') return
    this.#state = 'closing'
    await this.whenDurable(this.#next - 1)
    const ended = new Promise<void>((resolve) => this.onEnd(resolve))
    this.#writer.send({ kind: 'close' })
    await ended
    if (!this.healthy) throw new AuditError('AUDIT_FAILED', 'the last checkpoint could not be written')
  }

  #endTurn(): void {
    this.#turnEnding = false
    this.#writeOrGather()
    if (this.mode === 'relaxed') this.#answerQueued()
  }

  #writeOrGather(): void {
    if (this.#sent || this.#waiting.byteLength === 0) return
    if (this.#gatherMs === 0) this.#write()
    else this.#gathering ??= setTimeout(() => this.#write(), this.#gatherMs)
  }

  #write(): void {
    if (this.#sent || this.#waiting.byteLength === 0) return
    clearTimeout(this.#gathering)
    this.#gathering = undefined
    const { since, byteLength: bytes } = this.#waiting
    this.#sent = { last: this.#next - 1, bytes, since }
    this.#writer.send({ kind: 'batch', ...this.#waiting.take() })
  }

  /** A clock that was set back says nothing about how long the disk has been at it. */
  #answerQueued(): void {
    const waited = this.#options.now() - (this.#sent?.since ?? this.#waiting.since)
    if (waited >= 0 && waited <= relaxed.lossWindowMs) this.#answerable.advance(this.#next - 1)
  }

  #receive(message: FromWriter): void {
    switch (message.kind) {
      case 'durable':
        return this.#advance()
      case 'checkpoint':
        this.#checkpoint = message.note
        return
      case 'closed':
        return this.#end('closed')
      case 'failed':
        return this.#fail(new AuditError(message.code, message.message))
      case 'opened':
        return
    }
  }

  /** The next batch is on its way before anybody hears of this one. */
  #advance(): void {
    const sent = this.#sent
    if (!sent) return
    this.#sent = undefined
    if (this.mode === 'strict') this.#gatherMs = sent.last - this.durable < busy.records ? 0 : busy.gatherMs
    this.#writeOrGather()
    this.#updateCongestion()
    this.#answerable.advance(sent.last)
    this.#durable.advance(sent.last)
    if (this.mode === 'relaxed') this.#answerQueued()
  }

  #fail(error: AuditError): void {
    clearTimeout(this.#gathering)
    this.#answerable.fail(error)
    this.#durable.fail(error)
    this.#end('failed')
  }

  #end(state: 'closed' | 'failed'): void {
    if (this.#state === 'closed' || this.#state === 'failed') return
    this.#state = state
    for (const listener of [...this.#endListeners]) listener()
  }

  #waitingBytes(): number {
    return this.#waiting.byteLength + (this.#sent?.bytes ?? 0)
  }

  #updateCongestion(): void {
    const bytes = this.#waitingBytes()
    const congested = bytes >= (this.#congested ? waitingBytes.relieved : waitingBytes.congested)
    if (congested === this.#congested) return
    this.#congested = congested
    for (const listener of [...this.#congestionListeners]) listener(congested)
  }

  #recordRecovery({ tornTail }: Opened): void {
    if (!tornTail) return
    const comment = `${tornTail.segment}: an incomplete record ${tornTail.sequence} was cut`
    this.append({ event: 'log.recovery', comment, cutBytes: tornTail.bytes })
  }

  /** Something more is durable, the log has ended, or the signal aborts. */
  async #change(signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) return
    const stops: (() => void)[] = []
    await new Promise<void>((resolve) => {
      stops.push(
        this.onDurable(() => resolve()),
        this.onEnd(resolve),
      )
      if (signal) {
        const aborted = () => resolve()
        signal.addEventListener('abort', aborted, { once: true })
        stops.push(() => signal.removeEventListener('abort', aborted))
      }
    })
    for (const stop of stops) stop()
  }
}
