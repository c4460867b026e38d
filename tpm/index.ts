export type { CurveName, HashName, SchemeName } from './algorithms.js'
export type { CertifyAttest, ClockInfo, QuoteAttest, TpmAttest } from './attest.js'
export { decodeAttest, encodeAttest } from './attest.js'
export type { AttributeName, ObjectAttributes } from './attributes.js'
export { makeCredential, openCredential } from './credential.js'
export { encodeEcdsaSigValue } from './ecdsa-der.js'
export { TpmError, type TpmErrorCode } from './errors.js'
export { type HierarchyName, nameOf, qualifiedNameOf } from './names.js'
export { openTpm } from './open-tpm.js'
export { pcrDigest, type PcrSelection } from './pcrs.js'
export {
  decodePublic,
  type EccPublic,
  encodePublic,
  type RsaPublic,
  type SignatureScheme,
  type TpmPublic,
} from './public-area.js'
export { type AttestationPurpose, qualifyingData } from './qualifying-data.js'
export { decodeSignature, encodeSignature, type TpmSignature, verifySignature } from './signature.js'
export { toKeyObject, toSpki } from './spki.js'
export { attestationKey, type EkTemplate, ekTemplates, signingKey, storageRootKey } from './templates.js'
export type {
  CredentialBlob,
  EkTemplateName,
  EndorsementKey,
  Quote,
  SignedAttestation,
  StoredSigningKey,
  Tpm,
  TpmKey,
} from './tpm.js'
export type { TransportOptions } from './transport.js'
