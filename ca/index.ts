export {
  CertificateAuthority,
  type CertificateAuthorityOptions,
  type IssueContext,
  type IssuedOperator,
  type OperatorRequest,
  type RenewContext,
  type RunContext,
  type ServerCredential,
} from './authority.js'
export { CaError, type CaErrorCode } from './errors.js'
export type { CaCertificate } from './issuer.js'
export { renewalWindow } from './validity.js'
