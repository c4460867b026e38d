import {
  type CompactJWSHeaderParameters,
  createLocalJWKSet,
  type CryptoKey,
  errors,
  type FlattenedJWSInput,
  type LocalJWKSet,
} from 'jose'
import { messageOf } from '#protocol'
import { EnrollmentError } from '../errors.js'
import { fetchDocument, type FetchDocument } from './fetch-document.js'
import type { OidcIssuer } from './settings.js'

/** How long keys serve, and how often their issuer is asked. */
export const keyTimes = {
  /** Older ones are fetched anew before they are used. */
  freshMs: 10 * 60_000,
  /** So old they serve while the issuer cannot be asked: for longer than most outages, and for no thief's lifetime. */
  mostMs: 4 * 3_600_000,
  /** So long nobody is asked again, whatever tokens come: when it has answered, and when it has not. */
  restMs: 30_000,
  restAfterFailureMs: 5_000,
} as const

const maxKeys = 100

export interface IssuerKeysOptions {
  readonly now: () => number
  /** Default: over HTTPS */
  readonly fetchDocument?: FetchDocument
  /** Told when they cannot be had, and why: strangers hear of the first only. */
  readonly warn?: (sentence: string) => void
}

interface Known {
  readonly keys: LocalJWKSet
  readonly at: number
}

/** The keys of one issuer. Where they are its configuration says, or its own discovery document, and never a token. */
export class IssuerKeys {
  readonly #issuer: OidcIssuer
  readonly #now: () => number
  readonly #fetch: FetchDocument
  readonly #warn: (sentence: string) => void
  #known: Known | undefined
  #asking: Promise<void> | undefined
  #restUntil = -Infinity
  #isWarned = false

  constructor(issuer: OidcIssuer, options: IssuerKeysOptions) {
    this.#issuer = issuer
    this.#now = options.now
    this.#fetch = options.fetchDocument ?? fetchDocument
    this.#warn = options.warn ?? (() => undefined)
  }

  /**
   * The key that a token says it is signed with; one that is not known is asked for, since issuers change theirs.
   * @throws EnrollmentError OIDC_KEYS_UNAVAILABLE; JOSEError where the issuer has no such key
   */
  async keyFor(header: CompactJWSHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> {
    if (!this.#isYounger(keyTimes.freshMs)) await this.#ask()
    try {
      return await this.#usable()(header, token)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
      await this.#ask()
      return this.#usable()(header, token)
    }
  }

  #usable(): LocalJWKSet {
    if (this.#known !== undefined && this.#isYounger(keyTimes.mostMs)) return this.#known.keys
    const rest = Math.max(1, Math.ceil((this.#restUntil - this.#now()) / 1000))
    const problem = `the keys of ${this.#issuer.name} cannot be had now`
    throw new EnrollmentError('OIDC_KEYS_UNAVAILABLE', problem, { retryAfterSeconds: rest })
  }

  /** Never of keys that a clock which was set back says are from the future. */
  #isYounger(mostMs: number): boolean {
    const age = this.#known === undefined ? Infinity : this.#now() - this.#known.at
    return age >= 0 && age < mostMs
  }

  /** All who wait share one question. What goes wrong is told by what can be used afterwards. */
  async #ask(): Promise<void> {
    const rest = this.#restUntil - this.#now()
    if (this.#asking === undefined && rest > 0 && rest <= keyTimes.restMs) return
    this.#asking ??= this.#fetchKeys().finally(() => (this.#asking = undefined))
    return this.#asking
  }

  async #fetchKeys(): Promise<void> {
    try {
      const keys = createLocalJWKSet({ keys: [...readKeys(await this.#fetch(await this.#keysUrl(), this.#issuer.ca))] })
      this.#known = { keys, at: this.#now() }
      this.#restUntil = this.#now() + keyTimes.restMs
      this.#isWarned = false
    } catch (error) {
      this.#restUntil = this.#now() + keyTimes.restAfterFailureMs
      if (!this.#isWarned) this.#warn(`the keys of ${this.#issuer.name} cannot be had: ${messageOf(error)}`)
      this.#isWarned = true
    }
  }

  /** OpenID Connect Discovery 1.0 §4.3: a document that names another issuer is not about this one. */
  async #keysUrl(): Promise<string> {
    const { url, keysUrl, ca } = this.#issuer
    if (keysUrl !== undefined) return keysUrl
    const place = `${url.replace(/\/$/, '')}/.well-known/openid-configuration`
    const document = await this.#fetch(place, ca)
    if (!isObject(document) || document['issuer'] !== url) throw new TypeError(`${place} is not about ${url}`)
    const { jwks_uri: found } = document
    if (typeof found === 'string') return found
    throw new TypeError(`${place} does not say where the keys are`)
  }
}

/** Public keys only: a secret in a key set would be known to everybody. */
function readKeys(document: unknown): readonly { readonly kty: string }[] {
  const keys = isObject(document) ? document['keys'] : undefined
  if (!Array.isArray(keys)) throw new TypeError('the document at jwks_uri is no key set')
  if (keys.length > maxKeys) throw new TypeError(`a key set of ${keys.length} keys, and at most ${maxKeys} are read`)
  return keys.filter(isPublicKey)
}

function isPublicKey(key: unknown): key is { readonly kty: string } {
  return isObject(key) && ['RSA', 'EC', 'OKP'].includes(String(key['kty'])) && !('d' in key) && !('k' in key)
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
