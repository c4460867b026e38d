import { createCipheriv, createDecipheriv, createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { type KeyObject, randomBytes } from 'node:crypto'
import { TpmError, type TpmPublic } from '#tpm'

const ivBytes = 12
const tagBytes = 16

/** A new private key of the kind that the template asks for, as PKCS#8. */
export function generateKey(template: TpmPublic): Uint8Array {
  const { privateKey } =
    template.type === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: template.keyBits })
      : generateKeyPairSync('ec', { namedCurve: template.curve })
  return Uint8Array.from(privateKey.export({ type: 'pkcs8', format: 'der' }))
}

export function importKey(pkcs8: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.from(pkcs8), type: 'pkcs8', format: 'der' })
}

/** The template with the key's public half where the template holds its placeholder. */
export function publicAreaOf(template: TpmPublic, privateKey: KeyObject): TpmPublic {
  const { n = '', x = '', y = '' } = createPublicKey(privateKey).export({ format: 'jwk' })
  return template.type === 'rsa'
    ? { ...template, modulus: fromBase64url(n) }
    : { ...template, x: fromBase64url(x), y: fromBase64url(y) }
}

/** A private key on its way out of the TPM, tied to its public area (Part 1 §23.3 in spirit, with AES-GCM). */
export function wrapKey(storageSecret: Uint8Array, publicArea: Uint8Array, pkcs8: Uint8Array): Uint8Array {
  const iv = randomBytes(ivBytes)
  const cipher = createCipheriv('aes-256-gcm', storageSecret, iv).setAAD(publicArea)
  const wrapped = Buffer.concat([cipher.update(pkcs8), cipher.final()])
  return Uint8Array.from(Buffer.concat([iv, cipher.getAuthTag(), wrapped]))
}

/** @throws TpmError TPM_COMMAND_FAILED when another TPM has wrapped it, or for another public area. */
export function unwrapKey(storageSecret: Uint8Array, publicArea: Uint8Array, wrapped: Uint8Array): KeyObject {
  const [iv, tag] = [wrapped.subarray(0, ivBytes), wrapped.subarray(ivBytes, ivBytes + tagBytes)]
  try {
    const decipher = createDecipheriv('aes-256-gcm', storageSecret, iv, { authTagLength: tagBytes })
    decipher.setAAD(publicArea).setAuthTag(tag)
    return importKey(Buffer.concat([decipher.update(wrapped.subarray(ivBytes + tagBytes)), decipher.final()]))
  } catch (cause) {
    throw new TpmError('TPM_COMMAND_FAILED', 'TPM_RC_INTEGRITY: the blob is another TPM’s or was changed', { cause })
  }
}

function fromBase64url(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'base64url'))
}
