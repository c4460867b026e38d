import { createCipheriv, createDecipheriv, createHash } from 'node:crypto'
import {
  boolean,
  bytes,
  decodeBase64url,
  type Decoder,
  decodeJson,
  encodeBase64url,
  encodeJson,
  integer,
  list,
  object,
  optional,
  parsed,
  parseFingerprint,
  parseProfileName,
  parseTokenId,
  pcrOutcomes,
  pcrPolicyModes,
  record,
  text,
  word,
} from '#protocol'
import type { TokenCredential } from '#registry'
import { EnrollmentError } from './errors.js'
import type { AppraisedTpm } from './evidence.js'

/** All that the service has to know again when the activated secret comes back; it keeps nothing in between. */
export interface ChallengeState {
  readonly id: Uint8Array
  /** Milliseconds since 1970. */
  readonly expires: number
  readonly appraised: AppraisedTpm
  /** The channel value that the evidence was made for. */
  readonly channel: Uint8Array
  /** SHA-256 of the secret that only the TPM with both keys can recover. */
  readonly secretHash: Uint8Array
  /** As the device presented it; whether it is good is asked when the EK has been proven. */
  readonly token?: TokenCredential
  /** Left out where the cookie would grow too large. */
  readonly reported?: Readonly<Record<string, string>>
}

const version = 'tmc1'
const nonceBytes = 12
const tagBytes = 16
/** As base64url, with all that stands around it, it fits into `joinLimits.maxCookieBytes`. */
const maxStateJson = 3000

/** Seals challenge states for strangers to keep (AES-256-GCM): `tmc1.<key id>.<nonce ‖ ciphertext ‖ tag>`. */
export class CookieJar {
  readonly #key: Uint8Array
  readonly #keyId: string
  readonly #random: (bytes: number) => Uint8Array

  /** `key`: 32 bytes. Nodes that answer each other's devices share it. */
  constructor(key: Uint8Array, random: (bytes: number) => Uint8Array) {
    this.#key = key
    this.#keyId = createHash('sha256').update('touchmark cookie key id').update(key).digest('hex').slice(0, 8)
    this.#random = random
  }

  seal(state: ChallengeState): string {
    const nonce = this.#random(nonceBytes)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(this.#context())
    const sealed = Buffer.concat([nonce, cipher.update(encodeState(state)), cipher.final(), cipher.getAuthTag()])
    return `${version}.${this.#keyId}.${encodeBase64url(sealed)}`
  }

  /** @throws EnrollmentError COOKIE_INVALID */
  open(cookie: string): ChallengeState {
    const [format, keyId, body, ...rest] = cookie.split('.')
    if (format !== version || keyId !== this.#keyId || body === undefined || rest.length > 0) throw invalid()
    try {
      const sealed = decodeBase64url(body)
      if (sealed.length < nonceBytes + tagBytes) throw invalid()
      const decipher = createDecipheriv('aes-256-gcm', this.#key, sealed.subarray(0, nonceBytes))
      decipher.setAAD(this.#context()).setAuthTag(sealed.subarray(-tagBytes))
      const json = Buffer.concat([decipher.update(sealed.subarray(nonceBytes, -tagBytes)), decipher.final()])
      return decodeJson(json.toString('utf8'), decodeState, 'cookie')
    } catch (cause) {
      throw invalid(cause)
    }
  }

  #context(): Buffer {
    return Buffer.from(`${version}.${this.#keyId}`)
  }
}

function encodeState(state: ChallengeState): Uint8Array {
  const { reported: _, ...rest } = state
  const whole = Buffer.from(encodeJson(state))
  return whole.length <= maxStateJson ? whole : Buffer.from(encodeJson(rest))
}

const count = integer(0, Number.MAX_SAFE_INTEGER)
const appraised: Decoder<AppraisedTpm> = object({
  profile: parsed(parseProfileName),
  tier: word('tpm', 'tpm-unvouched', 'tpm+pcr'),
  ekHash: parsed(parseFingerprint),
  spki: bytes(512),
  spkiHash: parsed(parseFingerprint),
  binding: word('exporter', 'nonce'),
  tpm: object({
    akName: bytes(66),
    resetCount: count,
    restartCount: count,
    clock: count,
    safe: boolean,
    firmware: text(64),
  }),
  madeAfter: optional(count),
  maker: optional(text(64)),
  pcr: optional(
    object({
      policy: optional(object({ name: text(64), version: count, mode: word(...pcrPolicyModes) })),
      outcome: word(...pcrOutcomes),
      reasons: list(text(256), 8),
      pcrs: record(bytes(64), 24),
      eventLog: optional(parsed(parseFingerprint)),
    }),
  ),
})
const decodeState: Decoder<ChallengeState> = object({
  id: bytes(16),
  expires: count,
  appraised,
  channel: bytes(32),
  secretHash: bytes(32),
  token: optional(object({ id: parsed(parseTokenId), secretHash: parsed(parseFingerprint) })),
  reported: optional(record(text(1024), 32)),
})

function invalid(cause?: unknown): EnrollmentError {
  return new EnrollmentError('COOKIE_INVALID', 'this cookie was not made here', { cause })
}
