import {
  type AttestationResult,
  type Fingerprint,
  formatOidcAudience,
  type OidcJoinRequest,
  type RunName,
  type TrustDomain,
} from '#protocol'
import type { Registry, RunJoin } from '#registry'
import { keySetHash } from '#x509'
import { EnrollmentError } from '../errors.js'
import { attestSimulator } from '../evidence.js'
import type { EnrollmentProfile } from '../profile.js'
import type { Verifier } from '../verifier/verifier.js'
import { type AskedKey, ofCsr, readAskedKeys } from './asked-keys.js'
import { type Claims, ruleFor } from './claims.js'
import type { FetchDocument } from './fetch-document.js'
import { type TrustedIssuer, type VerifiedToken, verifyIdToken } from './id-token.js'
import { InTurn } from './in-turn.js'
import { IssuerKeys } from './issuer-keys.js'
import { nameRun, type NamedRun } from './run-name.js'
import type { OidcIssuer, OidcRule } from './settings.js'

/** Which CI is taken at its word. */
export interface OidcOptions {
  readonly issuers: readonly OidcIssuer[]
  /** Default: over HTTPS */
  readonly fetchDocument?: FetchDocument
  /** Told when an issuer's keys cannot be had, and why. */
  readonly warn?: (sentence: string) => void
}

export interface OidcJoinsOptions extends OidcOptions {
  readonly trustDomain: TrustDomain
  readonly registry: Pick<Registry, 'runs'>
  readonly verifier: Pick<Verifier, 'verify'>
  readonly now: () => number
}

/** A job whose token is good, made for these keys, and let in by a rule; that it holds the keys is yet to be proven. */
export interface Job extends NamedRun {
  readonly token: VerifiedToken
  readonly rule: OidcRule
  readonly profile: EnrollmentProfile
  readonly keys: readonly AskedKey[]
  readonly keySet: Fingerprint
}

/** What is to be issued for a job, and for how long. */
export interface AppraisedJob {
  readonly join: RunJoin
  readonly lifetimeSeconds: number
}

/** Knows CI jobs by the tokens of their issuers (spec §4). */
export class OidcJoins {
  readonly #options: OidcJoinsOptions
  readonly #issuers: ReadonlyMap<string, TrustedIssuer>
  readonly #runs = new InTurn()

  constructor(options: OidcJoinsOptions) {
    const trust = (issuer: OidcIssuer) => [issuer.url, { issuer, keys: new IssuerKeys(issuer, options) }] as const
    this.#options = options
    this.#issuers = new Map(options.issuers.map(trust))
  }

  /** Whether there is anybody whose tokens are taken. */
  get isOpen(): boolean {
    return this.#issuers.size > 0
  }

  /**
   * The token comes first: one signature, after which a stranger is none. A spent one is told from one for other keys.
   * @throws EnrollmentError, RegistryError TOKEN_SPENT
   */
  async identify({ idToken, csrs }: OidcJoinRequest, profile: EnrollmentProfile): Promise<Job> {
    const { registry, trustDomain, now } = this.#options
    const token = await verifyIdToken(idToken, this.#issuers, now())
    const { issuer, claims, jobToken } = token
    const rule = ruleFor(issuer, claims, profile.name)
    const keys = await readAskedKeys(csrs)
    const keySet = keySetHash(keys.map(({ spkiHash }) => spkiHash))
    registry.runs.requireUnspent({ jobToken, keySet })
    requireAudience(claims, formatOidcAudience(trustDomain, { profile: profile.name, keySet }))
    return { ...nameRun(issuer, claims, jobToken), token, rule, profile, keys, keySet }
  }

  /** Every CSR is checked before anything is made of the first. @throws EnrollmentError CSR_INVALID */
  async appraise({ run, anchor, token, rule, profile, keys, keySet }: Job): Promise<AppraisedJob> {
    const { verifier } = this.#options
    const attestations: AttestationResult[] = []
    for (const [at, { csr }] of keys.entries()) {
      attestations.push(attestSimulator(await ofCsr(at, () => verifier.verify('csr', csr, 'proven')), anchor, profile))
    }
    const { issuer, claims, jobToken, notAfter: tokenNotAfter } = token
    const { labels, devices: most, lifetimeSeconds } = rule
    const facts = { issuerUrl: issuer.url, subject: spokenSubject(claims), profile: profile.name }
    const join = { run, anchor, ...facts, jobToken, tokenNotAfter, keySet, labels, most, attestations }
    return { join, lifetimeSeconds }
  }

  /** Two requests for one run would count the same devices. */
  inTurn<T>(run: RunName, work: () => Promise<T>): Promise<T> {
    return this.#runs.do(run, work)
  }
}

/** Just this one, and no other beside it, by which somebody else could have been meant too. */
function requireAudience({ aud }: Claims, expected: string): void {
  const audience: unknown = Array.isArray(aud) && aud.length === 1 ? aud[0] : aud
  if (audience === expected) return
  throw new EnrollmentError('OIDC_AUDIENCE_MISMATCH', `the token is not for these keys: expected aud ${expected}`)
}

/** For the record only. */
function spokenSubject({ sub }: Claims): string {
  return typeof sub === 'string' ? sub.slice(0, 512) : ''
}
