export type { CurveName, HashName, SchemeName } from './structures/algorithms.js'
export type { CertifyAttest, ClockInfo, QuoteAttest, TpmAttest } from './structures/attest.js'
export { decodeAttest, encodeAttest } from './structures/attest.js'
export type { AttributeName, ObjectAttributes } from './structures/attributes.js'
export { makeCredential, openCredential } from './secrets/credential.js'
export { encodeEcdsaSigValue } from './structures/ecdsa-der.js'
export { TpmError, type TpmErrorCode } from './errors.js'
export { encodeEventLog } from './event-log/encode.js'
export { decodeEventLog, type EventLog, eventLogLimits, type LoggedEvent } from './event-log/event-log.js'
export { eventTypeName, type EventTypeName, eventTypeOf, isEventTypeName } from './event-log/event-types.js'
export { measuredData } from './event-log/measured.js'
export { replayEventLog } from './event-log/replay.js'
export { decodeUefiVariable, encodeUefiVariable, globalVariable, type UefiVariable } from './event-log/uefi-variable.js'
export { describeEvent, type EventWords } from './event-log/words.js'
export { type HierarchyName, nameOf, qualifiedNameOf } from './structures/names.js'
export { openTpm } from './device/open-tpm.js'
export { pcrDigest, type PcrSelection } from './structures/pcrs.js'
export {
  decodePublic,
  type EccPublic,
  encodePublic,
  type RsaPublic,
  type SignatureScheme,
  type TpmPublic,
} from './structures/public-area.js'
export { type AttestationPurpose, qualifyingData } from './qualifying-data.js'
export { decodeSignature, encodeSignature, type TpmSignature, verifySignature } from './structures/signature.js'
export { toKeyObject, toSpki } from './structures/spki.js'
export { attestationKey, type EkTemplate, ekTemplates, signingKey, storageRootKey } from './templates.js'
export type {
  Chip,
  CredentialBlob,
  EkTemplateName,
  EndorsementKey,
  Quote,
  SignedAttestation,
  StoredSigningKey,
  Tpm,
  TpmKey,
} from './tpm.js'
export type { TransportOptions } from './transport/transport.js'
