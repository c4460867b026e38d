import type { AuditEvent, AuditMode, AuditRecord, AuditTrail } from '#protocol'
import { Intake } from './appending/intake.js'
import { Checkpoints } from './checkpoints.js'
import { LogCopy } from './copying/log-copy.js'
import type { KeysToErase, PayloadOptions } from './payload/options.js'
import { requireSoundKeys } from './payload/wrapping-key.js'
import { problemOf } from './problem.js'
import { follow } from './reading/follow.js'
import type { AuditQuery } from './reading/query.js'
import { LogReader } from './reading/reader.js'
import type { SurveyOrder } from './retention/pruner.js'
import type { Survey } from './retention/survey.js'
import { verifierKeyOf } from './tree/checkpoint.js'
import type { SigningKeys } from './tree/signing-keys.js'
import { WriterConnection, type WriterNews } from './writing/writer-connection.js'
import { type ConnectWriter, openWriter, type OpenWriter, startWorker } from './writing/writer-link.js'
import type { Opened, Room } from './writing/writer.js'

export interface AuditLogOptions extends SigningKeys {
  /** Holds `log/` and `wal/`; one process at a time, which whoever locks the data folder sees to. */
  readonly directory: string
  /** Names the log in its checkpoints and its verifier key; without white space and `+`. */
  readonly origin: string
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** When devices may be answered. Default: strict */
  readonly mode?: AuditMode
  /** How records of messages commit to payloads. Default: they do not */
  readonly payload?: PayloadOptions | undefined
  /** Held back on the disk for what must be recorded when it is full. Default: 64 MiB */
  readonly reserveBytes?: number
  /** How to reach the writer. Default: a worker thread. */
  readonly connectWriter?: ConnectWriter
}

/**
 * The audit log of one node. `append` only encodes into memory; a worker hashes, writes and syncs. What is on its way
 * there is the {@link Intake}'s, what happens when the writer fails the {@link WriterConnection}'s.
 */
export class AuditLog implements AuditTrail {
  readonly mode: AuditMode
  #options: AuditLogOptions
  readonly #intake: Intake
  readonly #writer: WriterConnection
  readonly #reader: LogReader
  readonly #checkpoints: Checkpoints
  #failovers = 0
  /** Told how long it took to write and sync each batch. */
  onSyncTime: ((seconds: number) => void) | undefined
  /** Told, when nothing can be written any more, what has come of it and why. */
  onFailure: ((problem: string) => void) | undefined

  private constructor(options: AuditLogOptions, writer: OpenWriter) {
    const { mode = 'strict', now, payload } = options
    this.mode = mode
    this.#options = options
    this.#reader = new LogReader(options.directory)
    this.#checkpoints = new Checkpoints(options, writer.opened.checkpoint)
    this.#writer = new WriterConnection(writer, {
      reopen: mode === 'bestEffort' ? () => connect(this.#options) : undefined,
      onNews: (news) => this.#receive(news),
      onSuspend: (error) => {
        this.#intake.suspend(error)
        this.onFailure?.(this.problem ?? error.message)
      },
      onResume: (opened) => this.#resume(opened),
      onFail: (error) => {
        this.#intake.fail(error)
        this.onFailure?.(this.problem ?? error.message)
      },
    })
    const commits = payload !== undefined && payload.mode !== 'none'
    this.#intake = new Intake({ mode, now, commits, writer: this.#writer, size: writer.opened.size })
  }

  /**
   * Opens the log in a folder, or begins one; records that a crash left behind are covered before it resolves.
   * @throws AuditError AUDIT_CORRUPT when the folder does not hold what its checkpoint promises, or a day's key is none;
   * AUDIT_FULL, AUDIT_FAILED
   */
  static async open(options: AuditLogOptions): Promise<AuditLog> {
    verifierKeyOf(options.origin, options.signingKey)
    requireSoundKeys(options.payload, options.now())
    const writer = await connect(options)
    const log = new AuditLog(options, writer)
    log.#recordRecovery(writer.opened)
    return log
  }

  append(event: AuditEvent, payload?: Uint8Array): number {
    return this.#intake.append(event, payload)
  }

  /** How many records there are, durable or not. */
  get size(): number {
    return this.#intake.size
  }

  get answerable(): number {
    return this.#intake.answerable.reached
  }

  onAnswerable(listener: (answerable: number) => void): () => void {
    return this.#intake.answerable.onAdvance(listener)
  }

  get durable(): number {
    return this.#intake.durable.reached
  }

  whenDurable(sequence: number): Promise<void> {
    if (this.#writer.state === 'suspended' && sequence > this.durable) return Promise.reject(this.#writer.failure)
    return this.#intake.whenDurable(sequence)
  }

  onDurable(listener: (durable: number) => void): () => void {
    return this.#intake.durable.onAdvance(listener)
  }

  get full(): boolean {
    return this.#intake.pressure.full
  }

  get congested(): boolean {
    return this.#intake.pressure.congestion.on
  }

  onCongestion(listener: (congested: boolean) => void): () => void {
    return this.#intake.pressure.congestion.onChange(listener)
  }

  /** What keeps the log from taking all that comes, for whoever looks after the service. */
  get problem(): string | undefined {
    const { state, failure } = this.#writer
    const { room, isBehind } = this.#intake.pressure
    return problemOf({ state, failure: failure.message, mode: this.mode, room, isBehind, unrecorded: this.unrecorded })
  }

  /** How much waits for the disk. */
  get waitingBytes(): number {
    return this.#intake.waitingBytes
  }

  get room(): Room {
    return this.#intake.pressure.room
  }

  /** How often a batch had to be written again elsewhere since the start. */
  get failovers(): number {
    return this.#failovers
  }

  /** How many records are missing since the start, in the mode `bestEffort`. */
  get unrecorded(): number {
    return this.#intake.gap.total
  }

  /** False once nothing can be appended any more, until the process starts again. */
  get healthy(): boolean {
    return this.#writer.state !== 'failed'
  }

  /** False while nothing can be written: for good, or in the mode `bestEffort` until it can again. */
  get writable(): boolean {
    return this.healthy && this.#writer.state !== 'suspended'
  }

  /** It is closed or has failed: nothing more will be recorded. */
  get ended(): boolean {
    return this.#writer.ended
  }

  /** Called once, when the log is closed or has failed (see `healthy`). */
  onEnd(listener: () => void): () => void {
    return this.#writer.onEnd(listener)
  }

  /** What checkpoints are signed with from now on. */
  signWith({ signingKey, previousKey }: SigningKeys): void {
    this.#options = { ...this.#options, signingKey, previousKey }
    this.#checkpoints.goBy({ signingKey, previousKey })
    this.#writer.send({ kind: 'keys', signingKey, previousKey })
  }

  get verifierKey(): string {
    return verifierKeyOf(this.#options.origin, this.#options.signingKey)
  }

  /** Of all keys that sign: any will do for whoever checks. The newest comes first. */
  get verifierKeys(): readonly string[] {
    return this.#checkpoints.verifierKeys
  }

  /** Whether the newest checkpoint carries the signature of a key. */
  isSignedBy(verifierKey: string): boolean {
    return this.#checkpoints.isSignedBy(verifierKey)
  }

  /** The newest signed checkpoint, as a C2SP signed note. */
  checkpoint(): string {
    return this.#checkpoints.newest
  }

  /**
   * A C2SP tlog-proof that the log holds a record. A record that is younger than the newest checkpoint waits for the next.
   * @throws AuditError RECORD_UNKNOWN, RECORD_UNCOVERED: no checkpoint came, AUDIT_GONE, AUDIT_CORRUPT
   */
  async prove(sequence: number): Promise<string> {
    return await this.#checkpoints.prove(sequence, sequence < this.size, () => this.problem)
  }

  /**
   * The log for whoever copies it, by a checkpoint that covers all that was appended before. Nothing may be removed from
   * it meanwhile, see {@link Retention.hold}. @throws AuditError RECORD_UNCOVERED: no checkpoint came
   */
  async copy(): Promise<LogCopy> {
    await this.#checkpoints.cover(this.size - 1, () => this.problem)
    return new LogCopy(this.#options.directory, this.checkpoint())
  }

  /** The records that are durable when it is called, from this sequence number on. @throws AuditError AUDIT_GONE */
  records(from: number): AsyncIterable<AuditRecord> {
    return this.#reader.forward(from, this.durable)
  }

  /**
   * The durable records that match, oldest first, and each new one, until the signal aborts or the log ends.
   * @throws AuditError AUDIT_GONE
   */
  follow(query: AuditQuery, { signal }: { readonly signal?: AbortSignal } = {}): AsyncGenerator<AuditRecord, void> {
    return follow(this.#reader, this, query, signal)
  }

  /**
   * Destroys keys of payloads: what they committed to can no more be shown, and what they encrypted no more be read. To
   * be called when the record of it is durable. Resolves, when that is on disk, with how many there were.
   * @throws AuditError AUDIT_CLOSED; AUDIT_FAILED when they may still be there
   */
  async erasePayloadKeys(keys: KeysToErase): Promise<number> {
    return (await this.#writer.erase(keys)).count
  }

  /**
   * What is kept on disk and what bounds would take away of it; removes first what a minimum says. For {@link Retention}
   * alone, one at a time.
   * @throws AuditError AUDIT_FAILED; AUDIT_CLOSED when the log ends before it is known
   */
  async survey(order: SurveyOrder): Promise<Survey> {
    return await this.#writer.survey(order)
  }

  /** Makes everything durable and covers it by a last checkpoint. Rejects with AUDIT_FAILED when that cannot be. */
  async close(): Promise<void> {
    await this.#writer.close(() => this.whenDurable(this.size - 1))
  }

  #receive(news: WriterNews): void {
    switch (news.kind) {
      case 'durable':
        this.onSyncTime?.(news.seconds)
        return this.#intake.written(news.seconds)
      case 'failover':
        this.#failovers++
        return this.#intake.appendIfPossible({ event: 'log.failover', comment: news.comment })
      case 'room':
        return this.#intake.pressure.setRoom(news.room)
      case 'checkpoint':
        return this.#checkpoints.advance(news.note)
    }
  }

  #resume(opened: Opened): void {
    const { signingKey, previousKey } = this.#options
    this.#writer.send({ kind: 'keys', signingKey, previousKey }) // they may have changed while it was opened
    this.#checkpoints.reopen(opened.checkpoint)
    this.#intake.resume(opened.size)
    this.#recordRecovery(opened)
    this.#intake.recordGap()
  }

  #recordRecovery({ tornTail }: Opened): void {
    if (!tornTail) return
    const comment = `${tornTail.segment}: an incomplete record ${tornTail.sequence} was cut`
    this.append({ event: 'log.recovery', comment, cutBytes: tornTail.bytes })
  }
}

async function connect(options: AuditLogOptions): Promise<OpenWriter> {
  const { directory, origin, signingKey, previousKey, payload, reserveBytes, connectWriter = startWorker } = options
  return await openWriter(connectWriter, { directory, origin, signingKey, previousKey, payload, reserveBytes })
}
