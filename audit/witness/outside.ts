import { type AuditEvent, messageOf } from '#protocol'
import { AuditError, type AuditErrorCode } from '../errors.js'
import { within } from './patience.js'

/** Where checkpoints of the log are kept by somebody else. */
export interface OutsidePlace {
  readonly kind: 'witness' | 'published'
  readonly name: string
  /** What it got before this process began, where that is known. */
  given(signal: AbortSignal): Promise<Given | undefined>
  /** Has the checkpoint when this resolves. */
  give(checkpoint: string, signal: AbortSignal): Promise<Given>
  /** That the log contains what it has. @throws AuditError AUDIT_ROLLED_BACK when not, AUDIT_UNREACHABLE when it cannot be known */
  requireContained(signal: AbortSignal): Promise<void>
}

export interface Given {
  readonly size: number
  /** Milliseconds since 1970. */
  readonly at: number
  /** What a witness has added to the checkpoint. */
  readonly line?: string
}

export interface PlaceStatus {
  readonly kind: OutsidePlace['kind']
  readonly name: string
  /** The newest that it has. */
  readonly given?: Given | undefined
  /** Why the last attempt failed. */
  readonly problem?: string | undefined
}

export interface OutsideStatus {
  /** The newest checkpoint that anybody outside has. */
  readonly newest: Given | undefined
  readonly places: readonly PlaceStatus[]
}

export interface OutsideOptions {
  /** The newest checkpoint of the log. */
  readonly checkpoint: () => string
  readonly places: readonly OutsidePlace[]
  /** Takes a refusal of a witness to the record. */
  readonly record: (event: Extract<AuditEvent, { readonly event: 'witness.refuse' }>) => void
  /** For whoever looks after the service. */
  readonly warn: (sentence: string) => void
}

/** How long one place may take: in the background, at start, and when the service ends. */
const patience = { round: 10_000, start: 3_000, end: 3_000 }
/** A place that fails again and again is left out of up to so many rounds. */
const maxRoundsLeftOut = 15

interface Standing {
  readonly place: OutsidePlace
  given: Given | undefined
  /** The checkpoint that it has, as it was offered. */
  has?: string
  problem: string | undefined
  /** Said and recorded once, until it goes well again. */
  told: AuditErrorCode | undefined
  failures: number
  leftOut: number
}

/**
 * Takes the log's checkpoints to where root on this machine cannot rewrite them: to witnesses first, and then, with what
 * these have signed, to where they are published. In the background: nothing waits for anybody outside.
 */
export class OutsideCheckpoints {
  readonly #options: OutsideOptions
  readonly #standings: readonly Standing[]
  readonly #stopping = new AbortController()
  #running: Promise<void> | undefined
  #started = false

  static async open(options: OutsideOptions): Promise<OutsideCheckpoints> {
    const standings = options.places.map(async (place) => {
      const given = await within(patience.start, undefined, (signal) => place.given(signal))
      return { place, given, problem: undefined, told: undefined, failures: 0, leftOut: 0 }
    })
    return new OutsideCheckpoints(options, await Promise.all(standings))
  }

  private constructor(options: OutsideOptions, standings: readonly Standing[]) {
    this.#options = options
    this.#standings = standings
  }

  /**
   * That the log contains every checkpoint that is kept outside, as far as that can be reached now.
   * @throws AuditError AUDIT_ROLLED_BACK
   */
  async requireContained(): Promise<void> {
    await Promise.all(
      this.#standings.map(async (standing) => {
        try {
          await within(patience.start, undefined, (signal) => standing.place.requireContained(signal))
        } catch (error) {
          if (error instanceof AuditError && error.code === 'AUDIT_ROLLED_BACK') throw error
          this.#fail(standing, error)
        }
      }),
    )
  }

  /** A round now, and then one every so often, until `end`. */
  start(everyMilliseconds: number): void {
    this.#started = true
    if (this.#standings.length === 0) return
    void this.round()
    const timer = setInterval(() => void this.round(), everyMilliseconds).unref()
    this.#stopping.signal.addEventListener('abort', () => clearInterval(timer))
  }

  /** Offers the newest checkpoint to everyone who has not got it; one round at a time. */
  async round(): Promise<void> {
    this.#running ??= this.#offer(patience.round, this.#stopping.signal).finally(() => (this.#running = undefined))
    await this.#running
  }

  /** A last round, in which everyone is asked who was left out; none where it never began. */
  async end(): Promise<void> {
    if (!this.#started) return
    this.#stopping.abort()
    await this.#running
    for (const standing of this.#standings) standing.leftOut = 0
    await this.#offer(patience.end)
  }

  status(): OutsideStatus {
    const places = this.#standings.map(({ place: { kind, name }, given, problem }) => ({ kind, name, given, problem }))
    const given = places.flatMap((place) => (place.given ? [place.given] : []))
    return { newest: given.toSorted((one, other) => other.size - one.size || other.at - one.at)[0], places }
  }

  async #offer(milliseconds: number, stopping?: AbortSignal): Promise<void> {
    const checkpoint = this.#options.checkpoint()
    const lines = new Set<string>()
    for (const kind of ['witness', 'published'] as const) {
      const standings = this.#standings.filter(({ place }) => place.kind === kind)
      const note = checkpoint + [...lines].join('')
      await Promise.all(
        standings.map(async (standing) => {
          await within(milliseconds, stopping, (signal) => this.#give(standing, note, signal, stopping))
          if (standing.has === note && standing.given?.line !== undefined) lines.add(standing.given.line)
        }),
      )
    }
  }

  async #give(standing: Standing, note: string, signal: AbortSignal, stopping?: AbortSignal): Promise<void> {
    if (standing.has === note || standing.leftOut-- > 0) return
    try {
      standing.given = await standing.place.give(note, signal)
      standing.has = note
      Object.assign(standing, { problem: undefined, told: undefined, failures: 0, leftOut: 0 })
    } catch (error) {
      if (!stopping?.aborted) this.#fail(standing, error)
    }
  }

  #fail(standing: Standing, error: unknown): void {
    const code = error instanceof AuditError ? error.code : 'AUDIT_UNREACHABLE'
    standing.problem = messageOf(error)
    standing.leftOut = Math.min(2 ** standing.failures++ - 1, maxRoundsLeftOut)
    if (standing.told === code) return
    standing.told = code
    this.#tell(standing, code, standing.problem)
  }

  #tell({ place: { kind, name }, given }: Standing, code: AuditErrorCode, comment: string): void {
    const { warn, record } = this.#options
    if (kind === 'published') return warn(`no checkpoint could be published to ${name}: ${comment}`)
    if (code === 'AUDIT_UNREACHABLE') return warn(`the witness ${name} did not cosign: ${comment}`)
    const reason = code === 'AUDIT_ROLLED_BACK' ? 'rolled_back' : 'refused'
    warn(`THE WITNESS ${name} REFUSES THIS LOG: ${comment} [${code}]`)
    record({ event: 'witness.refuse', witness: name, reason, comment, ...(given && { treeSize: given.size }) })
  }
}
