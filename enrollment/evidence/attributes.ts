import type { AttributeName, TpmPublic } from '#tpm'
import { EnrollmentError, type EnrollmentErrorCode } from '../errors.js'

/** Made in its TPM, and bound to it. */
const madeAndKeptInTpm = ['fixedTPM', 'fixedParent', 'sensitiveDataOrigin'] as const

/** Restricted, so it signs only what its TPM has made; bound to its TPM, so it is that TPM's word. @throws EnrollmentError AK_UNSUITABLE */
export function requireAttestationKey(ak: TpmPublic): void {
  const set = ['restricted', 'sign', ...madeAndKeptInTpm] as const
  requireAttributes(ak, set, ['decrypt', 'encryptedDuplication'], 'AK_UNSUITABLE')
  requireScheme(ak, 'AK_UNSUITABLE')
}

/** Not restricted: it signs TLS handshakes, which its TPM has not made. @throws EnrollmentError KEY_UNSUITABLE */
export function requireTlsKey(key: TpmPublic): void {
  const set = ['sign', ...madeAndKeptInTpm] as const
  requireAttributes(key, set, ['restricted', 'decrypt', 'encryptedDuplication'], 'KEY_UNSUITABLE')
  requireScheme(key, 'KEY_UNSUITABLE')
  if (key.type !== 'ecc' || key.curve !== 'P-256') throw new EnrollmentError('KEY_UNSUITABLE', 'expected a P-256 key')
}

function requireAttributes(
  area: TpmPublic,
  set: readonly AttributeName[],
  clear: readonly AttributeName[],
  code: EnrollmentErrorCode,
): void {
  const lacking = set.find((name) => !area.attributes[name])
  const excess = clear.find((name) => area.attributes[name])
  if (lacking !== undefined) throw new EnrollmentError(code, `the key lacks the attribute ${lacking}`)
  if (excess !== undefined) throw new EnrollmentError(code, `the key has the attribute ${excess}`)
}

/** A key that leaves the scheme to each command says too little about what it signs. */
function requireScheme(area: TpmPublic, code: EnrollmentErrorCode): void {
  if (area.scheme === undefined) throw new EnrollmentError(code, 'the key is bound to no signature scheme')
}
