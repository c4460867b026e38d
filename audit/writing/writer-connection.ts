import { AuditError } from '../errors.js'
import { bestEffort } from '../limits.js'
import type { Erasure, KeysToErase } from '../payload/options.js'
import type { SurveyOrder } from '../retention/pruner.js'
import type { Survey } from '../retention/survey.js'
import { Questions } from './questions.js'
import type { OpenWriter } from './writer-link.js'
import type { FromWriter, ToWriter } from './writer-service.js'
import type { Opened } from './writer.js'

/** `suspended`: nothing can be written, until the log can be opened again. */
export type LogState = 'open' | 'suspended' | 'closing' | 'closed' | 'failed'

/** What the writer says of the records that it was sent. */
export type WriterNews = Extract<FromWriter, { readonly kind: 'durable' | 'failover' | 'room' | 'checkpoint' }>

export interface WriterConnectionOptions {
  /** Opens the log again in the place of a writer that failed. Without it the first failure is the end. */
  readonly reopen: (() => Promise<OpenWriter>) | undefined
  readonly onNews: (news: WriterNews) => void
  /** Nothing can be written until `onResume`. As with `onFail`, the state says so already. */
  readonly onSuspend: (error: AuditError) => void
  readonly onResume: (opened: Opened) => void
  /** Nothing can be written ever again. Whoever listens for the end hears of it after this. */
  readonly onFail: (error: AuditError) => void
}

/**
 * The log's connection to its writer, which outlives the writer: when that fails it opens the log again where it may,
 * as often as it takes, and otherwise ends. Whoever has asked the writer something then learns that no answer comes.
 */
export class WriterConnection {
  readonly #options: WriterConnectionOptions
  readonly #erasures = new Questions<Erasure>(keysMayRemain)
  readonly #surveys = new Questions<Survey>()
  readonly #endListeners = new Set<() => void>()
  #writer: OpenWriter
  #state: LogState = 'open'
  #failure = ''
  #reopening: NodeJS.Timeout | undefined

  constructor(writer: OpenWriter, options: WriterConnectionOptions) {
    this.#options = options
    this.#writer = writer
    writer.receive = (message) => this.#receive(message)
  }

  get state(): LogState {
    return this.#state
  }

  /** It is closed or has failed: nothing more will be recorded. */
  get ended(): boolean {
    return this.#state === 'closed' || this.#state === 'failed'
  }

  /** Why nothing can be written, where it cannot. */
  get failure(): AuditError {
    return new AuditError('AUDIT_FAILED', this.#failure)
  }

  /** Called once. */
  onEnd(listener: () => void): () => void {
    this.#endListeners.add(listener)
    return () => this.#endListeners.delete(listener)
  }

  send(message: ToWriter): void {
    this.#writer.send(message)
  }

  /** @throws AuditError AUDIT_CLOSED; AUDIT_FAILED when they may still be there */
  async erase(keys: KeysToErase): Promise<Erasure> {
    this.#requireOpen()
    return await this.#erasures.ask((id) => this.send({ kind: 'erase', id, keys }))
  }

  /** @throws AuditError AUDIT_FAILED; AUDIT_CLOSED when the log ends before it is known */
  async survey(order: SurveyOrder): Promise<Survey> {
    this.#requireOpen()
    return await this.#surveys.ask((id) => this.send({ kind: 'survey', id, order }))
  }

  /** Ends in order, once what was appended is on disk. @throws AuditError AUDIT_FAILED when that cannot be */
  async close(lastDurable: () => Promise<void>): Promise<void> {
    if (this.#state === 'suspended') this.#fail(this.failure)
    if (this.#state === 'failed') throw new AuditError('AUDIT_FAILED', `the log cannot be written: ${this.#failure}`)
    if (this.#state !== 'open') return
    this.#state = 'closing'
    await lastDurable()
    const ended = new Promise<void>((resolve) => this.onEnd(resolve))
    this.send({ kind: 'close' })
    await ended
    if (this.state === 'failed') throw new AuditError('AUDIT_FAILED', 'the last checkpoint could not be written')
  }

  #receive(message: FromWriter): void {
    switch (message.kind) {
      case 'durable':
      case 'failover':
      case 'room':
      case 'checkpoint':
        return this.#options.onNews(message)
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

  /** The first failure is the cause; that the writer's thread ends after it says nothing. */
  #fail(error: AuditError): void {
    if (this.ended) return
    this.#failure = error.message
    this.#erasures.end()
    clearTimeout(this.#reopening)
    const { reopen } = this.#options
    if (reopen && this.#state === 'open') this.#suspend(error, reopen)
    else this.#end('failed', error)
  }

  #suspend(error: AuditError, reopen: () => Promise<OpenWriter>): void {
    this.#state = 'suspended'
    this.#writer.receive = () => undefined
    this.#surveys.end()
    this.#options.onSuspend(error)
    this.#reopenLater(reopen)
  }

  #reopenLater(reopen: () => Promise<OpenWriter>): void {
    this.#reopening = setTimeout(() => {
      reopen().then(
        (writer) => this.#resume(writer),
        () => this.#state === 'suspended' && this.#reopenLater(reopen),
      )
    }, bestEffort.reopenMs).unref()
  }

  #resume(writer: OpenWriter): void {
    if (this.#state !== 'suspended') return writer.send({ kind: 'close' })
    this.#state = 'open'
    this.#writer = writer
    writer.receive = (message) => this.#receive(message)
    this.#options.onResume(writer.opened)
  }

  #end(state: 'closed' | 'failed', error?: AuditError): void {
    if (this.ended) return
    this.#state = state
    this.#erasures.end()
    this.#surveys.end()
    if (error) this.#options.onFail(error)
    for (const listener of [...this.#endListeners]) listener()
  }

  #requireOpen(): void {
    if (this.#state !== 'open') throw new AuditError('AUDIT_CLOSED', `the audit log is ${this.#state}`)
  }
}

function keysMayRemain(): AuditError {
  return new AuditError('AUDIT_FAILED', 'keys may not be erased: the log ended before it was known')
}
