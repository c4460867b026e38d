import { sourceOf } from '#protocol'
import { RegistryError, type TokenCredential } from '#registry'
import { fingerprintOf } from '#x509'
import type { Channel } from './channel.js'
import { EnrollmentError } from './errors.js'
import { type Caller, Limits } from './limits.js'
import type { EnrollmentOptions } from './options.js'
import { type JoinMethod, refusalOf } from './refusal.js'
import { type RefusedJoin, Refusals } from './refusals.js'
import type { Turnstile } from './turnstile.js'

/** A request that has come in. */
export interface Arrival {
  readonly method: JoinMethod
  readonly channel: Pick<Channel, 'peer'>
  /** The DER that the connection was made with: behind an address that floods us, a device of ours still gets through. */
  readonly certificate?: Uint8Array
}

/** What a refusal is recorded with, as it becomes known. */
export type Known = {
  -readonly [Name in 'device' | 'token' | 'anchorHash' | 'serial']?: NonNullable<RefusedJoin[Name]>
}

export interface ReceptionOptions extends Pick<EnrollmentOptions, 'registry' | 'audit' | 'now' | 'limits'> {
  readonly turnstile: Turnstile
}

/** Through here every request goes, from arrival to answer: it is counted, its work has a bound, its refusal a record. */
export class Reception {
  readonly #registry: Pick<EnrollmentOptions['registry'], 'certificate' | 'requireToken'>
  readonly #limits: Limits
  readonly #refusals: Refusals
  readonly #turnstile: Turnstile

  constructor({ registry, audit, now, limits, turnstile }: ReceptionOptions) {
    this.#registry = registry
    this.#turnstile = turnstile
    this.#limits = new Limits(now, limits)
    this.#refusals = new Refusals(audit)
  }

  /** @throws EnrollmentError with what the other end may know of a refusal; what is a failure of ours as it is */
  async serve<T>(arrival: Arrival, answer: (known: Known) => Promise<T>): Promise<T> {
    const { method, channel } = arrival
    const known: Known = {}
    try {
      this.#limits.arrive(this.#countedBy(arrival))
      return await answer(known)
    } catch (error) {
      const refusal = isWaiting(error) ? undefined : refusalOf(error, method)
      if (refusal === undefined) throw error
      const { told, ...why } = refusal
      this.#refusals.add({ method, ...why, peer: channel.peer, ...known })
      throw told
    }
  }

  /** What costs us: signatures to check or to make. @throws EnrollmentError BUSY, and what the work throws */
  work<T>(caller: Caller, work: () => Promise<T>): Promise<T> {
    return this.#limits.work(caller, async () => {
      await this.#turnstile.pass()
      return await work()
    })
  }

  /** A share of the work is kept for those who hold a token's secret; an unknown token is no reason to refuse yet. */
  callerWith(token: TokenCredential | undefined): Caller {
    if (token === undefined) return 'stranger'
    try {
      this.#registry.requireToken(token)
      return 'proven'
    } catch (error) {
      if (error instanceof RegistryError) return 'stranger'
      throw error
    }
  }

  /** Writes down a request that could not be read, and so never came to a join: too large, not JSON, of another form. */
  turnAway(method: JoinMethod, reason: string, { peer }: Pick<Channel, 'peer'>): void {
    this.#refusals.add({ method, reason, peer })
  }

  /** Writes the refusals that are still being counted. */
  close(): void {
    this.#refusals.flush()
  }

  #countedBy({ certificate, channel }: Arrival): string {
    const fingerprint = certificate && fingerprintOf(certificate)
    const isOurs = fingerprint !== undefined && this.#registry.certificate(fingerprint) !== undefined
    return isOurs ? fingerprint : sourceOf(channel.peer)
  }
}

/** What waits for an operator is on record since it began, and is not recorded again at each try. */
function isWaiting(error: unknown): boolean {
  return error instanceof EnrollmentError && error.code === 'APPROVAL_PENDING'
}
