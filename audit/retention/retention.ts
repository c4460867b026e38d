import { type AuditEvent, messageOf } from '#protocol'
import { AuditError } from '../errors.js'
import type { SurveyOrder } from './pruner.js'
import type { Keep, Prunable, Survey } from './survey.js'

/** What is absent is kept for ever. */
export interface Retain {
  /** So many days by the records' own times, and the server's clock. */
  readonly days?: number | undefined
  /** So much may the records take on disk; the hashes, which stay, do not count. */
  readonly bytes?: number | undefined
}

export interface RetentionOptions {
  readonly log: {
    survey(order: SurveyOrder): Promise<Survey>
    append(event: AuditEvent): number
    whenDurable(sequence: number): Promise<void>
  }
  readonly retain: Retain
  /** Resolves when nobody asks any more for records below a place, nor will after a crash. */
  readonly release: (minimumIndex: number) => Promise<void>
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Told why a look has failed; it is tried again at the next. */
  readonly warn: (sentence: string) => void
}

const lookEveryMilliseconds = 3_600_000
const dayMilliseconds = 24 * 3_600_000

/**
 * Lets the log forget from its front: whole bundles, while their hashes stay, so that the tree can be verified for ever.
 * In this order: everyone who reads the log is past what goes; the log says that it goes; then it goes.
 */
export class Retention {
  readonly #options: RetentionOptions
  #latest: Survey | undefined
  #looking: Promise<void> | undefined
  #holders = 0

  constructor(options: RetentionOptions) {
    this.#options = options
  }

  /** What the last look has left; undefined before the first. */
  get latest(): Survey | undefined {
    return this.#latest
  }

  /** Looks now and every hour until it is told to stop. */
  start(): () => void {
    void this.look()
    const timer = setInterval(() => void this.look(), lookEveryMilliseconds).unref()
    return () => clearInterval(timer)
  }

  /** Removes what need not be kept. Never rejects. A second caller shares the look under way. */
  async look(): Promise<void> {
    this.#looking ??= this.#look()
      .catch((error: unknown) => this.#explain(error))
      .finally(() => (this.#looking = undefined))
    await this.#looking
  }

  /** Nothing goes from when it resolves until what it gives is called: somebody copies the log. */
  async hold(): Promise<() => void> {
    this.#holders++
    await this.#looking
    return () => this.#holders--
  }

  async #look(): Promise<void> {
    const { log, retain, now } = this.#options
    const keep = keepOf(retain, now())
    this.#latest = await log.survey({ keep })
    const { minimumIndex, prunable } = this.#latest
    if (!prunable || this.#holders > 0) return
    const record = await this.#announce(minimumIndex, prunable)
    this.#latest = await log.survey({ keep, minimum: { index: prunable.to, record } })
  }

  async #announce(formerMinimumIndex: number, { to: minimumIndex, reason }: Prunable): Promise<number> {
    const { log, release } = this.#options
    await release(minimumIndex)
    const record = log.append({ event: 'log.retention', formerMinimumIndex, minimumIndex, reason })
    await log.whenDurable(record)
    return record
  }

  #explain(error: unknown): void {
    if (error instanceof AuditError && error.code === 'AUDIT_CLOSED') return
    const why = messageOf(error)
    this.#options.warn(`could not remove old records of the audit log: ${why}`)
  }
}

/** The bounds as they are at a moment. */
export function keepOf({ days, bytes }: Retain, now: number): Keep {
  return {
    ...(days !== undefined && { since: now - days * dayMilliseconds }),
    ...(bytes !== undefined && { bytes }),
  }
}
