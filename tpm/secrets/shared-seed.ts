import {
  constants,
  createECDH,
  diffieHellman,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from 'node:crypto'
import { TpmError } from '../errors.js'
import { curves, hashBytes } from '../structures/algorithms.js'
import { TpmReader, TpmWriter } from '../structures/codec.js'
import type { EccPublic, TpmPublic } from '../structures/public-area.js'
import { toKeyObject } from '../structures/spki.js'
import { kdfE } from './kdf.js'

/** What a seed is for; it is mixed in, so that none of one kind can be passed off as one of the other (Part 1 §B.10, §C.6). */
export type SeedUse = 'IDENTITY' | 'SECRET'

/** A seed that only the TPM which holds a key can recover from what is sent to it (contents of TPM2B_ENCRYPTED_SECRET). */
export interface SharedSeed {
  readonly seed: Uint8Array
  readonly encryptedSecret: Uint8Array
}

/** RSA-OAEP, or one-pass ECDH, with the hash of the key's Name. @throws TpmError KEY_UNSUITABLE unless the key decrypts */
export function shareSeed(key: TpmPublic, use: SeedUse): SharedSeed {
  if (!key.attributes.decrypt)
    throw new TpmError('KEY_UNSUITABLE', 'nothing can be encrypted for a key that only signs')
  switch (key.type) {
    case 'rsa': {
      const seed = Uint8Array.from(randomBytes(hashBytes[key.nameAlg]))
      const encrypted = publicEncrypt({ key: toKeyObject(key), ...oaep(key, use) }, seed)
      return { seed, encryptedSecret: Uint8Array.from(encrypted) }
    }
    case 'ecc': {
      const { openssl, bytes } = curves[key.curve]
      const ephemeral = createECDH(openssl)
      const point = ephemeral.generateKeys().subarray(1)
      const [x, y] = [point.subarray(0, bytes), point.subarray(bytes)]
      const sharedX = ephemeral.computeSecret(Buffer.concat([Uint8Array.of(4), key.x, key.y]))
      return { seed: ecdhSeed(key, use, sharedX, x), encryptedSecret: new TpmWriter().sized(x).sized(y).encoded() }
    }
  }
}

/** For TPMs in software, which have the key's private half at hand. */
export function recoverSeed(
  key: TpmPublic,
  privateKey: KeyObject,
  use: SeedUse,
  encryptedSecret: Uint8Array,
): Uint8Array {
  switch (key.type) {
    case 'rsa':
      return privateDecrypt({ key: privateKey, ...oaep(key, use) }, encryptedSecret)
    case 'ecc': {
      const reader = new TpmReader(encryptedSecret)
      const { bytes } = curves[key.curve]
      const point = { type: 'ecc', curve: key.curve, x: reader.sized(bytes), y: reader.sized(bytes) } as const
      reader.end()
      return ecdhSeed(key, use, diffieHellman({ privateKey, publicKey: toKeyObject(point) }), point.x)
    }
  }
}

/** Part 1 §B.10.4: the label is closed by a zero byte. */
function oaep({ nameAlg }: TpmPublic, use: SeedUse): { padding: number; oaepHash: string; oaepLabel: Buffer } {
  return { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: nameAlg, oaepLabel: Buffer.from(`${use}\0`) }
}

/** Part 1 §C.6.4: one-pass ECDH; what travels is the ephemeral point (TPMS_ECC_POINT). */
function ecdhSeed(key: EccPublic, use: SeedUse, sharedX: Uint8Array, ephemeralX: Uint8Array): Uint8Array {
  return kdfE(key.nameAlg, sharedX, use, ephemeralX, key.x, hashBytes[key.nameAlg])
}
