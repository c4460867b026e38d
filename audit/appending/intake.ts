import type { AuditEvent, AuditEventName, AuditMode } from '#protocol'
import { EntryBuffer } from '../entries/entry-buffer.js'
import { AuditError } from '../errors.js'
import { bestEffort, busy, relaxed, unawaited, waitingBytes } from '../limits.js'
import type { WriterConnection } from '../writing/writer-connection.js'
import { isAwaited, isDispensable, isReservedFor } from './event-classes.js'
import { Gap } from './gap.js'
import { Pressure } from './pressure.js'
import { Progress } from './progress.js'

export interface IntakeOptions {
  readonly mode: AuditMode
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Whether records of messages commit to the payloads that are given beside them. */
  readonly commits: boolean
  readonly writer: Pick<WriterConnection, 'state' | 'send'>
  /** How many records there are already. */
  readonly size: number
}

/** The place of what goes without a record. */
const unrecorded = -1

/**
 * What is appended, until it is on disk. A record gets its place at once and in memory; while the writer syncs one batch
 * the next collects, so in strict mode a lone record waits for nobody and a burst shares one sync. What cannot be taken
 * is refused, or in the mode `bestEffort` counted as missing.
 */
export class Intake {
  readonly durable: Progress
  /** The same in strict mode. */
  readonly answerable: Progress
  readonly pressure: Pressure
  readonly gap = new Gap()
  readonly #options: IntakeOptions
  readonly #waiting = new EntryBuffer()
  #next: number
  #sent: { readonly last: number; readonly bytes: number; readonly since: number } | undefined
  #turnEnding = false
  /** Whether somebody may wait for one of those that wait; only strict mode asks. */
  #awaited: boolean
  #gatherMs: number
  #gathering: NodeJS.Timeout | undefined
  /** When the oldest record was appended of which a failure left open whether it is on disk. */
  #abandonedSince = 0

  constructor(options: IntakeOptions) {
    const { mode, size } = options
    this.#options = options
    this.#gatherMs = mode === 'strict' ? 0 : relaxed.gatherMs
    this.#awaited = mode !== 'strict'
    this.#next = size
    this.durable = new Progress(size - 1)
    this.answerable = mode === 'strict' ? this.durable : new Progress(size - 1)
    this.pressure = new Pressure({
      waitingBytes: () => this.waitingBytes,
      pauses: mode !== 'bestEffort',
      onRoom: () => this.recordGap(),
    })
  }

  /** How many records there are, durable or not. */
  get size(): number {
    return this.#next
  }

  /** How much waits for the disk. */
  get waitingBytes(): number {
    return this.#waiting.byteLength + (this.#sent?.bytes ?? 0)
  }

  /** @throws AuditError AUDIT_CLOSED, AUDIT_FULL: nothing was appended */
  append(event: AuditEvent, payload?: Uint8Array): number {
    const { now } = this.#options
    const refusal = this.#refusalOf(event.event)
    if (!refusal) return this.#append(event, payload)
    if (!this.#mayGoWithout(event.event)) throw refusal
    this.gap.add(now())
    if (this.gap.lengthAt(now()) >= bestEffort.gapMs) this.recordGap()
    return unrecorded
  }

  /** Leaves it out where it would be refused. */
  appendIfPossible(event: AuditEvent): void {
    if (!this.#refusalOf(event.event)) this.#append(event)
  }

  /** Says how many are missing, where that can be recorded; otherwise the gap goes on. */
  recordGap(): void {
    if (this.#refusalOf('audit.gap')) return
    const gap = this.gap.take()
    if (gap) this.#append({ event: 'audit.gap', ...gap })
  }

  /** Somebody waits: what gathers is written without delay. */
  whenDurable(sequence: number): Promise<void> {
    if ((this.#gatherMs > 0 || !this.#awaited) && sequence > this.durable.reached) {
      this.#beAwaited()
      this.#write()
    }
    return this.durable.when(sequence)
  }

  /** The batch that was sent is on disk, after so long. The next is on its way before anybody hears of this one. */
  written(seconds: number): void {
    const sent = this.#sent
    if (!sent) return
    this.#sent = undefined
    this.pressure.batchWritten()
    if (this.#options.mode === 'strict') {
      const isBusy = sent.last - this.durable.reached >= busy.records
      this.#gatherMs = isBusy ? Math.min(busy.gatherMs, Math.floor(seconds * 1000)) : 0
    }
    this.#writeOrGather()
    this.answerable.advance(sent.last)
    this.durable.advance(sent.last)
    this.#answerQueued()
  }

  /** Nothing is written any more; devices go on. Of what waits, only a log that is opened again tells what is on disk. */
  suspend(error: AuditError): void {
    clearTimeout(this.#gathering)
    this.#abandonedSince =
      this.#sent?.since ?? (this.#waiting.byteLength > 0 ? this.#waiting.since : this.#options.now())
    this.#waiting.take()
    this.#sent = this.#gathering = undefined
    this.pressure.writerLost()
    this.durable.abandon(error)
    this.#answerQueued()
  }

  /** Places that were given away and are not on disk are given away again; how many they were stands in the gap. */
  resume(size: number): void {
    this.gap.addBefore(this.#abandonedSince, this.#next - size)
    this.#next = size
    this.pressure.writerFound()
    this.durable.advance(size - 1)
  }

  /** Nothing is ever written again. */
  fail(error: AuditError): void {
    clearTimeout(this.#gathering)
    this.pressure.end()
    this.answerable.fail(error)
    this.durable.fail(error)
  }

  #refusalOf(event: AuditEventName): AuditError | undefined {
    const { state } = this.#options.writer
    if (state !== 'open') return new AuditError('AUDIT_CLOSED', `the audit log is ${state}`)
    const isReserved = isReservedFor(event)
    if (this.pressure.room === 'full' && !isReserved) return new AuditError('AUDIT_FULL', 'the disk is full')
    const most = isReserved ? waitingBytes.fullForReserved : waitingBytes.full
    const isTooMuch = this.waitingBytes >= most || (this.pressure.crowded && this.#mayGoWithout(event))
    return isTooMuch ? new AuditError('AUDIT_FULL', 'too many records wait for the disk') : undefined
  }

  #mayGoWithout(event: AuditEventName): boolean {
    const { mode, writer } = this.#options
    const isOpen = writer.state === 'open' || writer.state === 'suspended'
    return mode === 'bestEffort' && isOpen && isDispensable(event)
  }

  #append(event: AuditEvent, payload?: Uint8Array): number {
    const { now, commits } = this.#options
    const sequence = this.#next
    this.#waiting.add({ sequence, time: now() }, event, commits ? payload : undefined)
    this.#next++
    if (!this.#awaited && isAwaited(event.event)) this.#beAwaited()
    this.pressure.update()
    if (!this.#turnEnding) queueMicrotask(() => this.#endTurn()) // whatever this turn still appends goes along
    this.#turnEnding = true
    return sequence
  }

  /** What has gathered for nobody goes along. */
  #beAwaited(): void {
    this.#awaited = true
    clearTimeout(this.#gathering)
    this.#gathering = undefined
  }

  #endTurn(): void {
    this.#turnEnding = false
    this.#writeOrGather()
    this.#answerQueued()
  }

  #writeOrGather(): void {
    if (this.#sent || this.#waiting.byteLength === 0) return
    const gatherMs = this.#awaited ? this.#gatherMs : unawaited.gatherMs
    if (gatherMs === 0) this.#write()
    else this.#gathering ??= setTimeout(() => this.#write(), gatherMs)
  }

  #write(): void {
    if (this.#sent || this.#waiting.byteLength === 0) return
    clearTimeout(this.#gathering)
    this.#gathering = undefined
    this.#awaited = this.#options.mode !== 'strict'
    const { since, byteLength: bytes } = this.#waiting
    this.#sent = { last: this.#next - 1, bytes, since }
    this.#options.writer.send({ kind: 'batch', ...this.#waiting.take() })
    this.pressure.batchSent()
  }

  /** A clock that was set back says nothing about how long the disk has been at it. */
  #answerQueued(): void {
    const { mode, now } = this.#options
    if (mode === 'strict') return
    if (mode === 'bestEffort') return this.answerable.advance(this.#next - 1)
    const waited = now() - (this.#sent?.since ?? this.#waiting.since)
    if (waited >= 0 && waited <= relaxed.lossWindowMs) this.answerable.advance(this.#next - 1)
  }
}
