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
