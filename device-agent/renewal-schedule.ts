import { rotating, renewing, waitAfter } from './back-off.js'
import type { EnrollmentFacts } from './generation.js'

export type RenewalWindow = EnrollmentFacts['renewal']

/** What is known of a certificate. */
export type CertificateTimes = Pick<EnrollmentFacts, 'renewal' | 'notBefore' | 'notAfter'>

/**
 * When to ask for the next certificate: at random inside the service's window; a window in the past means now (RFC 9773
 * §4.2). One that opens when the certificate is nearly over is too late whoever says it: a fifth of its life is kept.
 */
export function renewalTime({ renewal, notBefore, notAfter }: CertificateTimes, random: () => number): number {
  const length = Math.max(0, renewal.end.getTime() - renewal.start.getTime())
  const latest = notAfter.getTime() - (notAfter.getTime() - notBefore.getTime()) / 5
  return Math.min(renewal.start.getTime() + random() * length, latest)
}

/**
 * When to ask for the next certificate, by what the service says and by what became of asking. No window makes it never,
 * and none makes it often.
 */
export class RenewalSchedule {
  readonly #random: () => number
  #times: CertificateTimes
  /** Drawn once for each certificate: who draws at every answer comes to draw an early moment. */
  #chance: number
  #soonest = -Infinity
  #failures = 0
  #fallBacks = 0
  /** How many in a row came before a certificate's time. */
  #early = 0

  constructor(times: CertificateTimes, random: () => number) {
    this.#random = random
    this.#times = times
    this.#chance = random()
  }

  get next(): number {
    return Math.max(
      this.#soonest,
      renewalTime(this.#times, () => this.#chance),
    )
  }

  /** The service has another window for the certificate in use than the one that came with it. */
  hear(window: RenewalWindow): void {
    this.#times = { ...this.#times, renewal: window }
  }

  /** Another certificate is in use. A service that wants renewals without end is heard less and less often. */
  renewed(times: CertificateTimes, now: number): void {
    const { notBefore, notAfter } = this.#times
    const isEarly = now < (notBefore.getTime() + notAfter.getTime()) / 2
    this.#early = isEarly ? this.#early + 1 : 0
    this.#failures = 0
    this.#follow(times)
    this.#soonest = now + (isEarly ? this.#wait(rotating, this.#early) : this.#wait(renewing, 1))
  }

  /** One that could not be had; how long to wait with the next try. */
  failed(now: number, retryAfterSeconds: number | undefined): number {
    const wait = waitAfter(renewing, ++this.#failures, this.#random, retryAfterSeconds)
    this.#soonest = now + wait
    return wait
  }

  /** The certificate may be over whatever its dates say here: ask now, though no sooner than after what failed before. */
  doubted(now: number): void {
    this.hear({ start: new Date(now), end: new Date(now) })
  }

  /**
   * The certificate of before is in use again. It ends before the newer one would have been renewed: so ask again soon,
   * though not in a loop.
   */
  fellBack(times: CertificateTimes, now: number): void {
    const soon = new Date(now + this.#wait(renewing, ++this.#fallBacks))
    this.#follow({ ...times, renewal: { start: soon, end: soon } })
    this.#soonest = soon.getTime()
  }

  #follow(times: CertificateTimes): void {
    this.#times = times
    this.#chance = this.#random()
  }

  #wait(backOff: typeof renewing, times: number): number {
    return waitAfter(backOff, times, this.#random)
  }
}
