import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Authorization } from '../commands/authorization.js'
import type { CommandFacts } from '../commands/command-table.js'
import type { Entity } from '../commands/command.js'
import { TpmError } from '../errors.js'
import { kdfA } from '../secrets/kdf.js'
import type { HashName } from '../structures/algorithms.js'
import { TpmReader, TpmWriter } from '../structures/codec.js'

/** What both ends know once a session has begun. */
export interface SessionState {
  readonly handle: number
  readonly hash: HashName
  readonly key: Uint8Array
  readonly nonceCaller: Uint8Array
  readonly nonceTpm: Uint8Array
}

/** As long as SHA-256, and as those of the TPM then are (Part 3 §11.1). */
export const nonceBytes = 32

/** TPMA_SESSION (Part 2 §8.4). */
const attributeBits = { continueSession: 1 << 0, decrypt: 1 << 5, encrypt: 1 << 6 } as const
const maxHmacBytes = 64
const aesKeyBytes = 16
const ivBytes = 16

/**
 * A session with a key that the bus never sees (Part 1 §19.6). Its HMACs prove every command to the TPM and every
 * response to us, each with fresh nonces, so that nothing can be changed, swapped or said again; the first parameter
 * of either goes encrypted where it can be. It speaks for entities whose authorization value is empty, as all here are:
 * for others that value would follow the key (Part 1 §19.6.5).
 */
export class Session implements Authorization, Entity {
  readonly handle: number
  readonly #hash: HashName
  readonly #key: Uint8Array
  #nonceCaller: Uint8Array
  #nonceTpm: Uint8Array
  #attributes = 0

  constructor({ handle, hash, key, nonceCaller, nonceTpm }: SessionState) {
    this.handle = handle
    this.#hash = hash
    this.#key = key
    this.#nonceCaller = nonceCaller
    this.#nonceTpm = nonceTpm
  }

  conceal(parameters: Uint8Array, { hidesCommand, hidesResponse }: CommandFacts): Uint8Array {
    this.#nonceCaller = randomBytes(nonceBytes)
    this.#attributes =
      attributeBits.continueSession |
      (hidesCommand ? attributeBits.decrypt : 0) | // the TPM shall decrypt it
      (hidesResponse ? attributeBits.encrypt : 0)
    return hidesCommand ? this.#crypt(createCipheriv, parameters, this.#nonceCaller, this.#nonceTpm) : parameters
  }

  authorize(covered: Uint8Array): Uint8Array {
    return new TpmWriter()
      .uint32(this.handle)
      .sized(this.#nonceCaller)
      .uint8(this.#attributes)
      .sized(this.#hmac(covered, this.#nonceCaller, this.#nonceTpm))
      .encoded()
  }

  accept(reader: TpmReader, covered: Uint8Array): void {
    const nonceTpm = reader.sized(nonceBytes)
    const attributes = reader.uint8()
    const hmac = reader.sized(maxHmacBytes)
    const expected = this.#hmac(covered, nonceTpm, this.#nonceCaller)
    const isGenuine = hmac.length === expected.length && timingSafeEqual(hmac, expected)
    if (!isGenuine || attributes !== this.#attributes) {
      throw new TpmError('TPM_RESPONSE_FORGED', 'what came is not what the TPM has sent: somebody sits on its bus')
    }
    this.#nonceTpm = nonceTpm
  }

  reveal(parameters: Uint8Array): Uint8Array {
    if ((this.#attributes & attributeBits.encrypt) === 0) return parameters
    return this.#crypt(createDecipheriv, parameters, this.#nonceTpm, this.#nonceCaller)
  }

  /** Part 1 §19.6.5: over the hash of what is covered, the newer nonce, the older one, and the attributes. */
  #hmac(covered: Uint8Array, newer: Uint8Array, older: Uint8Array): Uint8Array {
    return createHmac(this.#hash, this.#key)
      .update(createHash(this.#hash).update(covered).digest())
      .update(newer)
      .update(older)
      .update(Uint8Array.of(this.#attributes))
      .digest()
  }

  /** Part 1 §21.3: the contents of the first parameter, a TPM2B, with a key and an IV of their own; its size stays readable. */
  #crypt(
    create: typeof createCipheriv | typeof createDecipheriv,
    parameters: Uint8Array,
    newer: Uint8Array,
    older: Uint8Array,
  ): Uint8Array {
    const reader = new TpmReader(parameters)
    const first = reader.bytes(reader.uint16())
    const secret = kdfA(this.#hash, this.#key, 'CFB', newer, older, aesKeyBytes + ivBytes)
    const cipher = create('aes-128-cfb', secret.subarray(0, aesKeyBytes), secret.subarray(aesKeyBytes))
    const crypted = Buffer.concat([cipher.update(first), cipher.final()])
    return new TpmWriter().sized(crypted).bytes(reader.rest()).encoded()
  }
}
