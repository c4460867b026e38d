import { createHmac, timingSafeEqual } from 'node:crypto'
import { encodeHex, type JoinNonce, joinLimits } from '#protocol'
import { EnrollmentError } from './errors.js'
import { Spent } from './spent.js'

/** How long a nonce and a cookie are good for. */
export const challengeLifeMs = 120_000

const timeBytes = 6
const randomPartBytes = 10
const macBytes = 16

export interface NoncesOptions {
  readonly key: Uint8Array
  readonly now: () => number
  readonly random: (bytes: number) => Uint8Array
}

/**
 * One-time values for those who cannot export from their TLS connection: expiry ‖ random ‖ MAC. Asking for one costs us
 * no memory, however many ask; only one that is used must be remembered.
 */
export class Nonces {
  readonly #options: NoncesOptions
  readonly #spent: Spent

  constructor(options: NoncesOptions) {
    this.#options = options
    this.#spent = new Spent(options.now)
  }

  create(): JoinNonce {
    const expires = this.#options.now() + challengeLifeMs
    const time = Buffer.alloc(timeBytes)
    time.writeUIntBE(expires, 0, timeBytes)
    const body = Buffer.concat([time, this.#options.random(randomPartBytes)])
    return { nonce: Uint8Array.from(Buffer.concat([body, this.#mac(body)])), expires: new Date(expires) }
  }

  /** When it was given. @throws EnrollmentError NONCE_INVALID when it is not ours, expired or used before; BUSY */
  spend(nonce: Uint8Array): number {
    const body = Buffer.from(nonce.subarray(0, timeBytes + randomPartBytes))
    const isOurs = nonce.length === joinLimits.nonceBytes && timingSafeEqual(this.#mac(body), nonce.subarray(-macBytes))
    if (!isOurs) throw new EnrollmentError('NONCE_INVALID', 'this nonce was not given here')
    const expires = body.readUIntBE(0, timeBytes)
    if (expires <= this.#options.now()) throw new EnrollmentError('NONCE_INVALID', 'this nonce has expired')
    if (!this.#spent.spend(encodeHex(nonce), expires)) {
      throw new EnrollmentError('NONCE_INVALID', 'this nonce was used before')
    }
    return expires - challengeLifeMs
  }

  #mac(body: Uint8Array): Uint8Array {
    return createHmac('sha256', this.#options.key)
      .update('touchmark join nonce')
      .update(body)
      .digest()
      .subarray(0, macBytes)
  }
}
