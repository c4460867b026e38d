import { createHash, hkdfSync, timingSafeEqual } from 'node:crypto'
import {
  type AttestationResult,
  encodeHex,
  type JoinNonce,
  type TpmActivateRequest,
  type TpmChallenge,
  type TpmJoinRequest,
  type TrustDomain,
} from '#protocol'
import type { TokenCredential } from '#registry'
import { bindChannel, type BoundChannel, type Channel } from './channel.js'
import { type ChallengeState, CookieJar } from './cookie.js'
import { EnrollmentError } from './errors.js'
import { attestTpmJoin, type TpmJoinEvidence } from './evidence.js'
import type { Caller } from './limits.js'
import { challengeLifeMs, Nonces } from './nonces.js'
import { hashOfLog } from './pcr-policy/appraise.js'
import type { PcrPolicyFor } from './pcr-policy/policy.js'
import type { EnrollmentProfile } from './profile.js'
import { Spent } from './spent.js'
import type { Verifier } from './verifier/verifier.js'

export interface ChallengesOptions {
  readonly trustDomain: TrustDomain
  readonly verifier: Verifier
  /** By which the PCRs of a profile's devices are judged now. */
  readonly pcrPolicyFor: PcrPolicyFor
  readonly cookieKey: Uint8Array
  readonly now: () => number
  readonly random: (bytes: number) => Uint8Array
}

/** Who is challenged, and by which rules. */
export interface ChallengeContext {
  readonly profile: EnrollmentProfile
  readonly token: TokenCredential | undefined
  readonly channel: Channel
  readonly caller: Caller
}

const secretBytes = 32
const cookieIdBytes = 16

/**
 * Credential activation (TPM 2.0 Part 1 §24): a secret is sealed to the EK and the Name of the AK, so that only the TPM
 * with both can bring it back. Between the two requests the device keeps our state, sealed.
 */
export class Challenges {
  readonly #options: ChallengesOptions
  readonly #nonces: Nonces
  readonly #cookies: CookieJar
  readonly #spent: Spent

  constructor(options: ChallengesOptions) {
    const { cookieKey, now, random } = options
    this.#options = options
    this.#nonces = new Nonces({ key: derivedKey(cookieKey, 'touchmark nonces'), now, random })
    this.#cookies = new CookieJar(derivedKey(cookieKey, 'touchmark cookies'), random)
    this.#spent = new Spent(now)
  }

  createNonce(): JoinNonce {
    return this.#nonces.create()
  }

  /** What the evidence of a renewal must have been made for; a nonce is spent. @throws EnrollmentError */
  bind(request: Parameters<typeof bindChannel>[0], channel: Channel, profile: EnrollmentProfile): BoundChannel {
    return bindChannel(request, channel, profile, this.#nonces)
  }

  /** Spec §2 step 1: appraises the evidence, and challenges whoever sent it. @throws EnrollmentError */
  async begin(request: TpmJoinRequest, { profile, token, channel, caller }: ChallengeContext): Promise<TpmChallenge> {
    const { trustDomain, verifier, pcrPolicyFor, now, random } = this.#options
    const bound = bindChannel(request, channel, profile, this.#nonces)
    const at = new Date(now())
    const reference = { profile, trustDomain, channel: bound, at, pcrPolicy: pcrPolicyFor(profile.name) }
    const secret = random(secretBytes)
    const given = { evidence: evidenceOf(request), reference, secret }
    const { appraised, ...credential } = await verifier.verify('tpmJoin', given, caller)
    const cookie = this.#cookies.seal({
      id: random(cookieIdBytes),
      expires: now() + challengeLifeMs,
      appraised,
      channel: bound.value,
      secretHash: sha256(secret),
      ...(token !== undefined && { token }),
      ...(request.reported !== undefined && { reported: request.reported }),
    })
    return { cookie, ...credential }
  }

  /** What we sealed, for what it says only. @throws EnrollmentError COOKIE_INVALID */
  open(cookie: string): ChallengeState {
    return this.#cookies.open(cookie)
  }

  /**
   * Spec §2 step 2. The cookie is spent before the answer is looked at, so that a wrong answer cannot be retried.
   * @throws EnrollmentError COOKIE_EXPIRED, COOKIE_SPENT, CHANNEL_MISMATCH, ACTIVATION_FAILED, EVENT_LOG_MISMATCH, BUSY
   */
  conclude(state: ChallengeState, { secret, eventLog }: TpmActivateRequest, channel: Channel): AttestationResult {
    if (state.expires <= this.#options.now()) throw new EnrollmentError('COOKIE_EXPIRED', 'the challenge took too long')
    if (!this.#spent.spend(encodeHex(state.id), state.expires)) {
      throw new EnrollmentError('COOKIE_SPENT', 'this challenge was answered before')
    }
    requireSameChannel(state, channel)
    if (!timingSafeEqual(sha256(secret), state.secretHash)) {
      throw new EnrollmentError('ACTIVATION_FAILED', 'the secret is not the one that was sealed')
    }
    requireSameLog(state, eventLog)
    return attestTpmJoin(state.appraised, state.token?.id)
  }
}

/** The token's secret is for us alone. */
function evidenceOf({ token: _token, reported: _reported, ...evidence }: TpmJoinRequest): TpmJoinEvidence {
  return evidence
}

/** Only the log that was judged is kept. */
function requireSameLog({ appraised }: ChallengeState, eventLog: Uint8Array | undefined): void {
  if (eventLog === undefined || appraised.pcr?.eventLog === hashOfLog(eventLog)) return
  throw new EnrollmentError('EVENT_LOG_MISMATCH', 'this is another event log than the one that was judged')
}

/** A nonce has no connection of its own to be compared with; the cookie holds it all the same. */
function requireSameChannel({ appraised, channel: expected }: ChallengeState, channel: Channel): void {
  if (appraised.binding === 'nonce') return
  if (channel.exporter === undefined || Buffer.compare(channel.exporter, expected) !== 0) {
    throw new EnrollmentError('CHANNEL_MISMATCH', 'the challenge was given on another connection')
  }
}

function derivedKey(key: Uint8Array, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key, '', purpose, 32))
}

function sha256(data: Uint8Array): Uint8Array {
  return createHash('sha256').update(data).digest()
}
