import {
  constants,
  createCipheriv,
  createDecipheriv,
  createECDH,
  createHmac,
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
import type { CredentialBlob } from '../tpm.js'
import { kdfA, kdfE } from './kdf.js'

/**
 * TPM2_MakeCredential in software (Part 1 §24): seals `secret` so that it opens only in the TPM that holds the EK, and
 * there only beside the key named `akName`. Hash and AES size are the EK's own, from its public area.
 * @throws TpmError KEY_UNSUITABLE when the EK is no storage key.
 */
export function makeCredential(
  { ekPublic }: { readonly ekPublic: TpmPublic },
  akName: Uint8Array,
  secret: Uint8Array,
): CredentialBlob {
  if (secret.length > hashBytes[ekPublic.nameAlg]) {
    throw new TpmError('KEY_UNSUITABLE', `a secret of ${secret.length} bytes does not fit under ${ekPublic.nameAlg}`)
  }
  const { seed, encryptedSecret } = shareSeed(ekPublic)
  const { algorithm, encryptionKey, integrityKey } = protection(ekPublic, seed, akName)
  const cipher = createCipheriv(algorithm, encryptionKey, zeroIv)
  const sealed = Buffer.concat([cipher.update(new TpmWriter().sized(secret).encoded()), cipher.final()])
  const integrity = createHmac(ekPublic.nameAlg, integrityKey).update(sealed).update(akName).digest()
  return { credentialBlob: new TpmWriter().sized(integrity).bytes(sealed).encoded(), encryptedSecret }
}

/**
 * What TPM2_ActivateCredential computes, for TPMs in software, which have the EK's private half at hand.
 * @throws TpmError TPM_COMMAND_FAILED when the credential is for another EK or another name.
 */
export function openCredential(
  ek: { readonly ekPublic: TpmPublic; readonly ekPrivate: KeyObject },
  akName: Uint8Array,
  { credentialBlob, encryptedSecret }: CredentialBlob,
): Uint8Array {
  const { nameAlg } = ek.ekPublic
  try {
    const seed = recoverSeed(ek, encryptedSecret)
    const { algorithm, encryptionKey, integrityKey } = protection(ek.ekPublic, seed, akName)
    const reader = new TpmReader(credentialBlob)
    const integrity = reader.sized(hashBytes[nameAlg])
    const sealed = reader.rest()
    const expected = createHmac(nameAlg, integrityKey).update(sealed).update(akName).digest()
    if (Buffer.compare(integrity, expected) !== 0) throw new TpmError('STRUCTURE_INVALID', 'TPM_RC_INTEGRITY')
    const decipher = createDecipheriv(algorithm, encryptionKey, zeroIv)
    const opened = new TpmReader(Buffer.concat([decipher.update(sealed), decipher.final()]))
    const secret = opened.sized(hashBytes[nameAlg])
    opened.end()
    return secret
  } catch (cause) {
    throw new TpmError('TPM_COMMAND_FAILED', 'the credential is for another EK or another name', { cause })
  }
}

/** A seed that only the EK's TPM can recover from what is sent to it. */
interface SharedSeed {
  readonly seed: Uint8Array
  readonly encryptedSecret: Uint8Array
}

const identity = 'IDENTITY'
const nothing = new Uint8Array(0)
/** Each seed is used once, so the IV need not vary (Part 1 §24.3). */
const zeroIv = Buffer.alloc(16)

function protection(
  { nameAlg, symmetricBits, attributes }: TpmPublic,
  seed: Uint8Array,
  akName: Uint8Array,
): { readonly algorithm: string; readonly encryptionKey: Uint8Array; readonly integrityKey: Uint8Array } {
  if (symmetricBits === undefined || !attributes.restricted || !attributes.decrypt) {
    throw new TpmError('KEY_UNSUITABLE', 'a credential can be made for a restricted decryption key only')
  }
  return {
    algorithm: `aes-${symmetricBits}-cfb`,
    encryptionKey: kdfA(nameAlg, seed, 'STORAGE', akName, nothing, symmetricBits / 8),
    integrityKey: kdfA(nameAlg, seed, 'INTEGRITY', nothing, nothing, hashBytes[nameAlg]),
  }
}

function shareSeed(ekPublic: TpmPublic): SharedSeed {
  switch (ekPublic.type) {
    case 'rsa': {
      const seed = randomBytes(hashBytes[ekPublic.nameAlg])
      const encrypted = publicEncrypt({ key: toKeyObject(ekPublic), ...oaep(ekPublic) }, seed)
      return { seed, encryptedSecret: Uint8Array.from(encrypted) }
    }
    case 'ecc': {
      const { openssl, bytes } = curves[ekPublic.curve]
      const ephemeral = createECDH(openssl)
      const point = ephemeral.generateKeys().subarray(1)
      const [x, y] = [point.subarray(0, bytes), point.subarray(bytes)]
      const sharedX = ephemeral.computeSecret(Buffer.concat([Uint8Array.of(4), ekPublic.x, ekPublic.y]))
      return { seed: ecdhSeed(ekPublic, sharedX, x), encryptedSecret: new TpmWriter().sized(x).sized(y).encoded() }
    }
  }
}

function recoverSeed(
  { ekPublic, ekPrivate }: { readonly ekPublic: TpmPublic; readonly ekPrivate: KeyObject },
  encryptedSecret: Uint8Array,
): Uint8Array {
  switch (ekPublic.type) {
    case 'rsa':
      return privateDecrypt({ key: ekPrivate, ...oaep(ekPublic) }, encryptedSecret)
    case 'ecc': {
      const reader = new TpmReader(encryptedSecret)
      const { bytes } = curves[ekPublic.curve]
      const point = { type: 'ecc', curve: ekPublic.curve, x: reader.sized(bytes), y: reader.sized(bytes) } as const
      reader.end()
      return ecdhSeed(ekPublic, diffieHellman({ privateKey: ekPrivate, publicKey: toKeyObject(point) }), point.x)
    }
  }
}

/** Part 1 §B.10.4: the label is closed by a zero byte. */
function oaep({ nameAlg }: TpmPublic): { padding: number; oaepHash: string; oaepLabel: Buffer } {
  return { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: nameAlg, oaepLabel: Buffer.from(`${identity}\0`) }
}

/** Part 1 §C.6.4: one-pass ECDH; what travels is the ephemeral point (TPMS_ECC_POINT). */
function ecdhSeed(ekPublic: EccPublic, sharedX: Uint8Array, ephemeralX: Uint8Array): Uint8Array {
  return kdfE(ekPublic.nameAlg, sharedX, identity, ephemeralX, ekPublic.x, hashBytes[ekPublic.nameAlg])
}
