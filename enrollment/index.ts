export type { Channel } from './channel.js'
export {
  type CertificateIssuer,
  Enrollment,
  type EnrollmentOptions,
  type IssueContext,
  type KnownDevices,
} from './enrollment.js'
export { EnrollmentError, type EnrollmentErrorCode } from './errors.js'
export { createJoinToken } from './join-token.js'
export type { LimitOptions } from './limits.js'
export type { EnrollmentProfile } from './profile.js'
