import { ekTemplates, encodePublic, qualifiedNameOf, type TpmPublic } from '#tpm'
import { EnrollmentError } from '../errors.js'
import type { KeyEvidence } from './key-evidence.js'
import { isSame } from './refusing.js'

/**
 * The EK is what its maker's certificate is about, and its certificate names the key only: so everything else about it
 * is held to the TCG's templates (EK Credential Profile §B), by which every agent makes it. Among it are restricted,
 * decrypt, fixedTPM and fixedParent, and the hash and AES size that the credential is sealed with.
 * @throws EnrollmentError EK_UNSUITABLE
 */
export function requireEndorsementKey(ek: TpmPublic): void {
  if (!ekTemplates.some((template) => isSame(shapeOf(ek), shapeOf(template.public)))) {
    throw new EnrollmentError('EK_UNSUITABLE', 'the endorsement key is of none of the TCG’s templates')
  }
}

/** The public area without the key itself. */
function shapeOf(area: TpmPublic): Uint8Array {
  const none = new Uint8Array(0)
  return encodePublic(area.type === 'rsa' ? { ...area, exponent: 0, modulus: none } : { ...area, x: none, y: none })
}

/**
 * As a primary there or as a child of the EK; elsewhere the TPM obfuscates its counters (Part 1 §36.7).
 * @throws EnrollmentError AK_HIERARCHY_INVALID
 */
export function requireEndorsementHierarchy(ek: TpmPublic, { ak, certify, quote }: KeyEvidence): void {
  const asPrimary = qualifiedNameOf(ak, 'endorsement')
  const asChild = qualifiedNameOf(ak, qualifiedNameOf(ek, 'endorsement'))
  const signers = [certify.qualifiedSigner, ...(quote ? [quote.attest.qualifiedSigner] : [])]
  if (!signers.every((signer) => isSame(signer, asPrimary)) && !signers.every((signer) => isSame(signer, asChild))) {
    throw new EnrollmentError('AK_HIERARCHY_INVALID', 'the attestation key is not in the endorsement hierarchy')
  }
}
