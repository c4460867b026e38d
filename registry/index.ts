export type { Admission } from './admission.js'
export type { Attested } from './attestations.js'
export type { Replay } from './catch-up.js'
export type { NewDevice, NewToken, RevokeOrder } from './checks.js'
export type {
  EnrollmentIssue,
  EnrollmentPlan,
  EnrollmentRepeat,
  JoinContext,
  TokenCredential,
} from './enrollment-plan.js'
export { type NewInvitation, type OperatorIssue, Operators } from './operators.js'
export { LockedError, RegistryError, type RegistryErrorCode } from './errors.js'
export { addressOf, holdsAddress } from './locks/address-range.js'
export type { LockChange, LockHold, LockProgress, Renewal } from './locks/lock-feed.js'
export type { RolesOf } from './locks/lock-index.js'
export { checkLockTarget, type LockOrder } from './locks/lock-order.js'
export { defaultLease, type LeaseMode, type LeaseTerms, leaseTerms } from './locks/lease-terms.js'
export type { Locking, PolicyAnswers } from './locks/locks.js'
export { bindingOf } from './token-binding.js'
export { ourselves } from './ourselves.js'
export type { RegistryChange } from './registrar.js'
export { Registry, type RegistryOptions } from './registry.js'
export type { OfflineTerms } from './renewal/offline.js'
export type { RenewalAsked } from './renewal/asked.js'
export type { RenewalClone, RenewalIssue, RenewalPlan, RenewalRepeat } from './renewal/plan.js'
export type { RunJoin, RunPlan } from './runs/run-plan.js'
export type {
  Attestation,
  CertificateRecord,
  CertificateState,
  Device,
  Instance,
  Invitation,
  Lock,
  Revocation,
  Token,
} from './state.js'
