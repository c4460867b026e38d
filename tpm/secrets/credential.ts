import { createCipheriv, createDecipheriv, createHmac, type KeyObject } from 'node:crypto'
import { TpmError } from '../errors.js'
import { hashBytes } from '../structures/algorithms.js'
import { TpmReader, TpmWriter } from '../structures/codec.js'
import type { TpmPublic } from '../structures/public-area.js'
import type { CredentialBlob } from '../tpm.js'
import { kdfA } from './kdf.js'
import { recoverSeed, shareSeed } from './shared-seed.js'

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
  const { seed, encryptedSecret } = shareSeed(ekPublic, 'IDENTITY')
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
    const seed = recoverSeed(ek.ekPublic, ek.ekPrivate, 'IDENTITY', encryptedSecret)
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
