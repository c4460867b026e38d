import type { AuditEvent, AuditEventName, AuditMode, AuditRecord, AuditTrail } from '#protocol'
import { parseCheckpoint, verifierKeyOf, verifyCheckpoint } from './tree/checkpoint.js'
import { Congestion } from './congestion.js'
import { EntryBuffer } from './entries/entry-buffer.js'
import { AuditError } from './errors.js'
import { isDispensable, isReservedFor } from './event-classes.js'
import { Gap } from './gap.js'
import { bestEffort, busy, coveredWithinMs, relaxed, slowAfterMs, waitingBytes } from './limits.js'
import { follow } from './reading/follow.js'
import type { AuditQuery } from './reading/query.js'
import type { Erasure, KeysToErase, PayloadOptions } from './payload/options.js'
import { requireSoundKey } from './payload/wrapping-key.js'
import { Progress } from './progress.js'
import { proveRecord } from './proof/prove.js'
import { Questions } from './questions.js'
import { LogReader } from './reading/reader.js'
import type { SurveyOrder } from './retention/pruner.js'
import type { Survey } from './retention/survey.js'
import { type ConnectWriter, openWriter, type OpenWriter, startWorker } from './writing/writer-link.js'
import type { FromWriter } from './writing/writer-service.js'
import type { Opened, Room, SigningKeys } from './writing/writer.js'

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

/** The place of what goes without a record. */
const unrecorded = -1

/**
 * The audit log of one node. `append` only encodes into memory; a worker hashes, writes and syncs. While it syncs one
 * batch the next collects, so in strict mode a lone record waits for nobody and a burst shares one sync.
 */
export class AuditLog implements AuditTrail {
  verifierKey: string
  readonly mode: AuditMode
  #options: AuditLogOptions
  readonly #commits: boolean
  readonly #reader: LogReader
  readonly #durable: Progress
  /** The same in strict mode. */
  readonly #answerable: Progress
  /** By checkpoints since the log was opened. */
  readonly #covered = new Progress(-1)
  readonly #waiting = new EntryBuffer()
  readonly #congestion = new Congestion()
  readonly #gap = new Gap()
  readonly #erasures = new Questions<Erasure>(keysMayRemain)
  readonly #surveys = new Questions<Survey>()
  readonly #endListeners = new Set<() => void>()
  #writer: OpenWriter
  #next: number
  #checkpoint: string
  #sent: { readonly last: number; readonly bytes: number; readonly since: number } | undefined
  #turnEnding = false
  #gatherMs: number
  #gathering: NodeJS.Timeout | undefined
  /** Much waits, or has for long. */
  #crowded = false
  #slow = false
  #slowness: NodeJS.Timeout | undefined
  #room: Room = 'reserved'
  #failovers = 0
  /** `suspended`: in the mode `bestEffort`, while nothing can be written. */
  #state: 'open' | 'suspended' | 'closing' | 'closed' | 'failed' = 'open'
  #failure = ''
  #reopening: NodeJS.Timeout | undefined
  /** Told how long it took to write and sync each batch. */
  onSyncTime: ((seconds: number) => void) | undefined
  /** Told, when nothing can be written any more, what has come of it and why. */
  onFailure: ((problem: string) => void) | undefined

  private constructor(options: AuditLogOptions, writer: OpenWriter) {
    const { opened } = writer
    this.verifierKey = verifierKeyOf(options.origin, options.signingKey)
    this.mode = options.mode ?? 'strict'
    this.#gatherMs = this.mode === 'strict' ? 0 : relaxed.gatherMs
    this.#options = options
    this.#commits = options.payload !== undefined && options.payload.mode !== 'none'
    this.#writer = writer
    writer.receive = (message) => this.#receive(message)
    this.#reader = new LogReader(options.directory)
    this.#durable = new Progress(opened.size - 1)
    this.#answerable = this.mode === 'strict' ? this.#durable : new Progress(opened.size - 1)
    this.#next = opened.size
    this.#checkpoint = opened.checkpoint
  }

  /**
   * Opens the log in a folder, or begins one; records that a crash left behind are covered before it resolves.
   * @throws AuditError AUDIT_CORRUPT when the folder does not hold what its checkpoint promises, or today's key is none;
   * AUDIT_FAILED
   */
  static async open(options: AuditLogOptions): Promise<AuditLog> {
    verifierKeyOf(options.origin, options.signingKey)
    requireSoundKey(options.payload, options.now())
    const log = new AuditLog(options, await connect(options))
    log.#recordRecovery(log.#writer.opened)
    return log
  }

  append(event: AuditEvent, payload?: Uint8Array): number {
    const refusal = this.#refusalOf(event.event)
    if (!refusal) return this.#append(event, payload)
    if (!this.#mayGoWithout(event.event)) throw refusal
    this.#gap.add(this.#options.now())
    if (this.#gap.lengthAt(this.#options.now()) >= bestEffort.gapMs) this.#recordGap()
    return unrecorded
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
    if (this.#state === 'suspended' && sequence > this.durable)
      return Promise.reject(new AuditError('AUDIT_FAILED', this.#failure))
    if (this.#gatherMs > 0 && sequence > this.durable) this.#write() // gather no longer, somebody waits
    return this.#durable.when(sequence)
  }

  onDurable(listener: (durable: number) => void): () => void {
    return this.#durable.onAdvance(listener)
  }

  get full(): boolean {
    return this.#room === 'full' && this.mode !== 'bestEffort'
  }

  get congested(): boolean {
    return this.#congestion.on
  }

  onCongestion(listener: (congested: boolean) => void): () => void {
    return this.#congestion.onChange(listener)
  }

  /** What keeps the log from taking all that comes, for whoever looks after the service. */
  get problem(): string | undefined {
    const { unrecorded } = this
    if (this.#state === 'failed')
      return `the log cannot be written (${this.#failure}); nothing new is acknowledged until the service is started again`
    if (this.#state === 'suspended')
      return `the log cannot be written (${this.#failure}); devices go on, ${unrecorded} records of what they did are missing`
    if (this.#room === 'full')
      return this.mode === 'bestEffort'
        ? `the disk is full; devices go on, ${unrecorded} records of what they did are missing`
        : 'the disk is full; devices wait, and only what operators do is recorded'
    if (this.#crowded || this.#slow) return 'records wait for the disk'
    return this.#room === 'unreserved' ? 'the disk has no room for the reserve of the log' : undefined
  }

  /** How much waits for the disk. */
  get waitingBytes(): number {
    return this.#waiting.byteLength + (this.#sent?.bytes ?? 0)
  }

  get room(): Room {
    return this.#room
  }

  /** How often a batch had to be written again elsewhere since the start. */
  get failovers(): number {
    return this.#failovers
  }

  /** How many records are missing since the start, in the mode `bestEffort`. */
  get unrecorded(): number {
    return this.#gap.total
  }

  /** False once nothing can be appended any more, until the process starts again. */
  get healthy(): boolean {
    return this.#state !== 'failed'
  }

  /** False while nothing can be written: for good, or in the mode `bestEffort` until it can again. */
  get writable(): boolean {
    return this.healthy && this.#state !== 'suspended'
  }

  /** It is closed or has failed: nothing more will be recorded. */
  get ended(): boolean {
    return this.#state === 'closed' || this.#state === 'failed'
  }

  /** Called once, when the log is closed or has failed (see `healthy`). */
  onEnd(listener: () => void): () => void {
    this.#endListeners.add(listener)
    return () => this.#endListeners.delete(listener)
  }

  /** What checkpoints are signed with from now on. */
  signWith({ signingKey, previousKey }: SigningKeys): void {
    this.#options = { ...this.#options, signingKey, previousKey }
    this.verifierKey = verifierKeyOf(this.#options.origin, signingKey)
    this.#writer.send({ kind: 'keys', signingKey, previousKey })
  }

  /** Whether the newest checkpoint carries the signature of a key. */
  isSignedBy(verifierKey: string): boolean {
    try {
      verifyCheckpoint(this.#checkpoint, verifierKey)
      return true
    } catch {
      return false
    }
  }

  /** Of all keys that sign: any will do for whoever checks. The newest comes first. */
  get verifierKeys(): readonly string[] {
    const { origin, previousKey } = this.#options
    return previousKey ? [this.verifierKey, verifierKeyOf(origin, previousKey)] : [this.verifierKey]
  }

  /** The newest signed checkpoint, as a C2SP signed note. */
  checkpoint(): string {
    return this.#checkpoint
  }

  /**
   * A C2SP tlog-proof that the log holds a record. A record that is younger than the newest checkpoint waits for the next.
   * @throws AuditError RECORD_UNKNOWN, RECORD_UNCOVERED: no checkpoint came, AUDIT_GONE, AUDIT_CORRUPT
   */
  async prove(sequence: number): Promise<string> {
    const isYoung = sequence < this.#next && sequence >= parseCheckpoint(this.#checkpoint).size
    if (!isYoung || (await this.#covered.reaches(sequence, coveredWithinMs)))
      return await proveRecord(this.#options.directory, sequence)
    const problem = this.problem ?? 'none came in time'
    throw new AuditError('RECORD_UNCOVERED', `record ${sequence} waits for a checkpoint (${problem}); try again later`)
  }

  /** The records that are durable when it is called, from this sequence number on. @throws AuditError AUDIT_GONE */
  records(from: number): AsyncIterable<AuditRecord> {
    return this.#reader.forward(from, this.durable)
  }

  /** The durable records that match, oldest first, and each new one, until the signal aborts or the log ends. */
  follow(query: AuditQuery, { signal }: { readonly signal?: AbortSignal } = {}): AsyncGenerator<AuditRecord, void> {
    return follow(this.#reader, this, query, signal)
  }

  /**
   * Destroys keys of payloads: what they committed to can no more be shown, and what they encrypted no more be read. To
   * be called when the record of it is durable. Resolves, when that is on disk, with how many there were.
   * @throws AuditError AUDIT_CLOSED; AUDIT_FAILED when they may still be there
   */
  async erasePayloadKeys(keys: KeysToErase): Promise<number> {
    if (this.#state !== 'open') throw new AuditError('AUDIT_CLOSED', `the audit log is ${this.#state}`)
    const { count } = await this.#erasures.ask((id) => this.#writer.send({ kind: 'erase', id, keys }))
    return count
  }

  /**
   * What is kept on disk and what bounds would take away of it; removes first what a minimum says. For {@link Retention}
   * alone, one at a time.
   * @throws AuditError AUDIT_FAILED; AUDIT_CLOSED when the log ends before it is known
   */
  async survey(order: SurveyOrder): Promise<Survey> {
    if (this.#state !== 'open') throw new AuditError('AUDIT_CLOSED', `the audit log is ${this.#state}`)
    return await this.#surveys.ask((id) => this.#writer.send({ kind: 'survey', id, order }))
  }

  /** Makes everything durable and covers it by a last checkpoint. Rejects with AUDIT_FAILED when that cannot be. */
  async close(): Promise<void> {
    if (this.#state === 'suspended') this.#fail(new AuditError('AUDIT_FAILED', this.#failure))
    if (this.#state === 'failed') throw new AuditError('AUDIT_FAILED', `the log cannot be written: ${this.#failure}`)
    if (this.#state !== 'open') return
    this.#state = 'closing'
    await this.whenDurable(this.#next - 1)
    const ended = new Promise<void>((resolve) => this.onEnd(resolve))
    this.#writer.send({ kind: 'close' })
    await ended
    if (!this.healthy) throw new AuditError('AUDIT_FAILED', 'the last checkpoint could not be written')
  }

  #append(event: AuditEvent, payload?: Uint8Array): number {
    const sequence = this.#next
    const place = { sequence, time: this.#options.now() }
    this.#waiting.add(place, event, this.#commits ? payload : undefined)
    this.#next++
    this.#updateCongestion()
    if (!this.#turnEnding) queueMicrotask(() => this.#endTurn()) // whatever this turn still appends goes along
    this.#turnEnding = true
    return sequence
  }

  #refusalOf(event: AuditEventName): AuditError | undefined {
    if (this.#state !== 'open') return new AuditError('AUDIT_CLOSED', `the audit log is ${this.#state}`)
    const isReserved = isReservedFor(event)
    if (this.#room === 'full' && !isReserved) return new AuditError('AUDIT_FULL', 'the disk is full')
    const most = isReserved ? waitingBytes.fullForReserved : waitingBytes.full
    const isTooMuch = this.waitingBytes >= most || (this.#crowded && this.#mayGoWithout(event))
    return isTooMuch ? new AuditError('AUDIT_FULL', 'too many records wait for the disk') : undefined
  }

  #mayGoWithout(event: AuditEventName): boolean {
    const isOpen = this.#state === 'open' || this.#state === 'suspended'
    return this.mode === 'bestEffort' && isOpen && isDispensable(event)
  }

  /** Where it can be recorded; otherwise the gap goes on. */
  #recordGap(): void {
    if (this.#refusalOf('audit.gap')) return
    const gap = this.#gap.take()
    if (gap) this.#append({ event: 'audit.gap', ...gap })
  }

  #endTurn(): void {
    this.#turnEnding = false
    this.#writeOrGather()
    this.#answerQueued()
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
    this.#slowness = setTimeout(() => this.#setSlow(true), slowAfterMs).unref()
  }

  #setSlow(slow: boolean): void {
    clearTimeout(this.#slowness)
    this.#slow = slow
    this.#updateCongestion()
  }

  /** A clock that was set back says nothing about how long the disk has been at it. */
  #answerQueued(): void {
    if (this.mode === 'strict') return
    if (this.mode === 'bestEffort') return this.#answerable.advance(this.#next - 1)
    const waited = this.#options.now() - (this.#sent?.since ?? this.#waiting.since)
    if (waited >= 0 && waited <= relaxed.lossWindowMs) this.#answerable.advance(this.#next - 1)
  }

  #receive(message: FromWriter): void {
    switch (message.kind) {
      case 'durable':
        this.onSyncTime?.(message.seconds)
        return this.#advance()
      case 'failover':
        this.#failovers++
        if (!this.#refusalOf('log.failover')) this.#append({ event: 'log.failover', comment: message.comment })
        return
      case 'room':
        this.#room = message.room
        return this.#updateCongestion()
      case 'checkpoint':
        this.#checkpoint = message.note
        return this.#covered.advance(parseCheckpoint(message.note).size - 1)
      case 'erased':
        return this.#erasures.answer(message.id, message.outcome)
      case 'surveyed':
        return this.#surveys.answer(message.id, message.outcome)
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
    this.#setSlow(false)
    if (this.mode === 'strict') this.#gatherMs = sent.last - this.durable < busy.records ? 0 : busy.gatherMs
    this.#writeOrGather()
    this.#answerable.advance(sent.last)
    this.#durable.advance(sent.last)
    this.#answerQueued()
  }

  /** The first failure is the cause; that the writer's thread ends after it says nothing. */
  #fail(error: AuditError): void {
    if (this.#state === 'closed' || this.#state === 'failed') return
    this.#failure = error.message
    this.#erasures.end()
    clearTimeout(this.#gathering)
    clearTimeout(this.#slowness)
    clearTimeout(this.#reopening)
    if (this.mode === 'bestEffort' && this.#state === 'open') this.#suspend(error)
    else {
      this.#answerable.fail(error)
      this.#durable.fail(error)
      this.#end('failed')
    }
    this.onFailure?.(this.problem ?? error.message)
  }

  /** Devices go on. Of what waits, only a log that can be opened again tells what has got to the disk. */
  #suspend(error: AuditError): void {
    this.#state = 'suspended'
    this.#writer.receive = () => undefined
    this.#surveys.end()
    const since = this.#sent?.since ?? (this.#waiting.byteLength > 0 ? this.#waiting.since : this.#options.now())
    this.#waiting.take()
    this.#sent = this.#gathering = undefined
    this.#crowded = this.#slow = false
    this.#updateCongestion()
    this.#durable.abandon(error)
    this.#answerQueued()
    this.#reopenLater(since)
  }

  #reopenLater(since: number): void {
    this.#reopening = setTimeout(() => {
      connect(this.#options).then(
        (writer) => this.#resume(writer, since),
        () => this.#state === 'suspended' && this.#reopenLater(since),
      )
    }, bestEffort.reopenMs).unref()
  }

  /** Places that were given away and are not on disk are given away again; how many they were stands in the gap. */
  #resume(writer: OpenWriter, since: number): void {
    if (this.#state !== 'suspended') return writer.send({ kind: 'close' })
    this.#state = 'open'
    this.#writer = writer
    writer.receive = (message) => this.#receive(message)
    const { opened } = writer
    this.#gap.addBefore(since, this.#next - opened.size)
    this.#next = opened.size
    this.#checkpoint = opened.checkpoint
    this.#room = 'reserved'
    this.#durable.advance(opened.size - 1)
    this.#recordRecovery(opened)
    this.#recordGap()
  }

  #end(state: 'closed' | 'failed'): void {
    if (this.ended) return
    this.#state = state
    this.#erasures.end()
    this.#surveys.end()
    for (const listener of [...this.#endListeners]) listener()
  }

  #updateCongestion(): void {
    this.#crowded = this.waitingBytes >= (this.#crowded ? waitingBytes.relieved : waitingBytes.congested)
    const isShort = this.#crowded || this.#room === 'full'
    this.#congestion.set(this.mode !== 'bestEffort' && (isShort || this.#slow))
    if (!isShort) this.#recordGap()
  }

  #recordRecovery({ tornTail }: Opened): void {
    if (!tornTail) return
    const comment = `${tornTail.segment}: an incomplete record ${tornTail.sequence} was cut`
    this.append({ event: 'log.recovery', comment, cutBytes: tornTail.bytes })
  }
}

function keysMayRemain(): AuditError {
  return new AuditError('AUDIT_FAILED', 'keys may not be erased: the log ended before it was known')
}

async function connect(options: AuditLogOptions): Promise<OpenWriter> {
  const { directory, origin, signingKey, previousKey, payload, reserveBytes, connectWriter = startWorker } = options
  return await openWriter(connectWriter, { directory, origin, signingKey, previousKey, payload, reserveBytes })
}
