import {
  type ApprovalReason,
  type AttestationResult,
  type DeviceId,
  type Fingerprint,
  type Labels,
  sourceOf,
} from '#protocol'
import { EnrollmentError } from '../errors.js'
import { type ApprovalBounds, askAgainSeconds } from './bounds.js'
import { HourlyShares } from './hourly-shares.js'

/** What was verified of it. */
type Shown = Pick<
  AttestationResult,
  'anchor' | 'aliases' | 'profile' | 'tier' | 'spkiHash' | 'maker' | 'hardwareSerial'
>

/** A machine whose hardware is genuine and proven, and that nobody has let in yet. */
export interface Applicant extends Shown {
  readonly reason: ApprovalReason
  /** Whose hardware it is known to be. */
  readonly device?: DeviceId
  readonly peer: string
  /** Shown, and never gone by. */
  readonly reported?: Labels
}

export interface Waiting extends Applicant {
  /** Milliseconds since 1970, as is `last`. */
  readonly since: number
  readonly last: number
  readonly tries: number
}

/**
 * Who waits, each hardware once, with what it said last. Bounded however many come: those of one address range take no
 * more than their share, and where all places are taken the range that has most of them gives way.
 */
export class WaitingList {
  readonly #bounds: ApprovalBounds
  readonly #now: () => number
  readonly #makers: HourlyShares
  /** Who has asked the longest time ago comes first. */
  readonly #waiting = new Map<Fingerprint, Waiting>()

  constructor(bounds: ApprovalBounds, now: () => number) {
    this.#bounds = bounds
    this.#now = now
    this.#makers = new HourlyShares(bounds.newOfMakerEachHour, now)
  }

  get(hash: Fingerprint): Waiting | undefined {
    this.#forgetSilent()
    return this.#waiting.get(hash)
  }

  /** Who has waited the longest comes first. */
  all(): readonly Waiting[] {
    this.#forgetSilent()
    return [...this.#waiting.values()].toSorted((one, other) => one.since - other.since)
  }

  /** One that waits already keeps its place. `begins` is called before a new one gets one, and may refuse it. @throws EnrollmentError BUSY */
  put(applicant: Applicant, begins: () => void): void {
    const { hash } = applicant.anchor
    const before = this.get(hash)
    if (before?.reason !== applicant.reason) {
      this.#makeRoom(applicant)
      begins()
    }
    const last = this.#now()
    this.#waiting.delete(hash)
    this.#waiting.set(hash, { ...applicant, since: before?.since ?? last, last, tries: (before?.tries ?? 0) + 1 })
  }

  remove(hash: Fingerprint): void {
    this.#waiting.delete(hash)
  }

  #makeRoom({ peer, maker = '' }: Applicant): void {
    const sources = this.#bySource()
    const own = sources.get(sourceOf(peer))?.length ?? 0
    if (own >= this.#bounds.waitingOfSource) throw busy('too many machines from there wait for an operator')
    const [most = []] = [...sources.values()].toSorted((one, other) => other.length - one.length)
    const isFull = this.#waiting.size >= this.#bounds.waiting
    if (isFull && own + 1 >= most.length) throw busy('too many machines wait for an operator')
    if (!this.#makers.take(maker)) throw busy('too many machines of this manufacturer came within an hour')
    const [oldest] = most
    if (isFull && oldest !== undefined) this.#waiting.delete(oldest)
  }

  #bySource(): ReadonlyMap<string, readonly Fingerprint[]> {
    const sources = new Map<string, Fingerprint[]>()
    for (const { anchor, peer } of this.#waiting.values()) {
      const source = sourceOf(peer)
      const hashes = sources.get(source)
      if (hashes === undefined) sources.set(source, [anchor.hash])
      else hashes.push(anchor.hash)
    }
    return sources
  }

  #forgetSilent(): void {
    for (const [hash, { last }] of this.#waiting) {
      if (this.#now() - last < this.#bounds.silentMs) return
      this.#waiting.delete(hash)
    }
  }
}

function busy(problem: string): EnrollmentError {
  return new EnrollmentError('BUSY', problem, { retryAfterSeconds: askAgainSeconds })
}
