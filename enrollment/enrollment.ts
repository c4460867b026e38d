import type {
  JoinAnswer,
  JoinNonce,
  JoinTerms,
  OidcJoinAnswer,
  OidcJoinRequest,
  ProfileName,
  RenewalInfo,
  RenewRequest,
  TokenJoinRequest,
  TpmActivateRequest,
  TpmChallenge,
  TpmJoinRequest,
} from '#protocol'
import type { Channel } from './channel.js'
import { type Desk, openDesk } from './desk.js'
import type { CsrReading } from './evidence/csr-claims.js'
import type { EnrollmentOptions } from './options.js'
import type { JoinMethod } from './refusal.js'
import { type IdevidJoinRequest, joinWithIdevid } from './ways/idevid-join.js'
import { joinWithOidc } from './ways/oidc-join.js'
import { renew, renewalInfo } from './ways/renewal.js'
import { joinWithToken } from './ways/token-join.js'
import { activateTpmJoin, beginTpmJoin, termsOf } from './ways/tpm-join.js'

/**
 * Turns an unknown machine into a known device: by a token, by a TPM, or by the certificate that it has. Every refusal
 * stands in the audit log with its real reason; strangers hear of it only what they sent themselves.
 */
export class Enrollment {
  readonly #desk: Desk

  constructor(options: EnrollmentOptions) {
    this.#desk = openDesk(options)
  }

  /** For those who cannot export from their TLS connection. Giving one costs us nothing to remember. */
  createNonce(): JoinNonce {
    return this.#desk.challenges.createNonce()
  }

  termsOf(name: ProfileName): JoinTerms {
    return termsOf(this.#desk, name)
  }

  joinWithToken(
    bearer: string,
    request: TokenJoinRequest,
    channel: Channel,
    reading: CsrReading = 'key',
  ): Promise<JoinAnswer> {
    return joinWithToken(this.#desk, bearer, request, channel, reading)
  }

  beginTpmJoin(request: TpmJoinRequest, channel: Channel): Promise<TpmChallenge> {
    return beginTpmJoin(this.#desk, request, channel)
  }

  activateTpmJoin(request: TpmActivateRequest, channel: Channel): Promise<JoinAnswer> {
    return activateTpmJoin(this.#desk, request, channel)
  }

  joinWithIdevid(
    chain: readonly Uint8Array[],
    request: IdevidJoinRequest,
    channel: Channel,
    reading: CsrReading = 'key',
  ): Promise<JoinAnswer> {
    return joinWithIdevid(this.#desk, chain, request, channel, reading)
  }

  /** Whether a CI is taken at its word. */
  get takesJobs(): boolean {
    return this.#desk.oidc.isOpen
  }

  joinWithOidc(request: OidcJoinRequest, channel: Channel): Promise<OidcJoinAnswer> {
    return joinWithOidc(this.#desk, request, channel)
  }

  renew(
    peerDer: Uint8Array,
    request: RenewRequest,
    channel: Channel,
    reading: CsrReading = 'key',
  ): Promise<JoinAnswer> {
    return renew(this.#desk, peerDer, request, channel, reading)
  }

  renewalInfo(peerDer: Uint8Array, id: string, channel: Channel): Promise<RenewalInfo> {
    return renewalInfo(this.#desk, peerDer, id, channel)
  }

  /** Writes down a request that could not be read, and so never came to a join: too large, not JSON, of another form. */
  turnAway(method: JoinMethod, reason: string, channel: Pick<Channel, 'peer'>): void {
    this.#desk.reception.turnAway(method, reason, channel)
  }

  /** Refuses what is still to be verified, and writes the refusals that are still being counted. */
  async close(): Promise<void> {
    await this.#desk.verifier.close()
    this.#desk.reception.close()
  }
}
