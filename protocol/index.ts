export type { Act } from './api/act.js'
export { type ActLimit, type ActName, actNames, isActName, isLimitedBy } from './api/acts.js'
export {
  type ApprovalReason,
  approvalReasons,
  type ApprovalView,
  type ApproveRequest,
  type DenyAnswer,
  type DenyRequest,
} from './api/approvals.js'
export type {
  ApplyPcrPolicyAnswer,
  AttestationView,
  EventView,
  LearnPcrsAnswer,
  LearnPcrsRequest,
  PcrPolicySourceView,
  PcrPolicyView,
  QuotedPcrView,
  TpmFactsView,
  TpmMakerView,
  TpmRootView,
  VerdictView,
} from './api/attest.js'
export type {
  AuditCheckpoint,
  ErasePayloadsAnswer,
  ErasePayloadsRequest,
  PayloadDisclosureView,
  RotateKeyAnswer,
  RotateKeyRequest,
} from './api/audit.js'
export {
  type CertificateView,
  type DeviceOrder,
  deviceOrders,
  type DevicePage,
  type DeviceState,
  type DeviceView,
  type ExpectedDevice,
  type IdevidSerial,
  type ImportDevicesAnswer,
  type ImportDevicesRequest,
  type CloneView,
  type InstanceView,
  type RefusedDevice,
  type RegisterDeviceRequest,
  type RevokeAnswer,
  type RevokeRequest,
  type RotateAnswer,
  type RotateRequest,
} from './api/devices.js'
export type { Enforcement } from './api/enforcement.js'
export type { LockAnswer, LockRequest, LockView } from './api/locks.js'
export type {
  ApplyPolicyAnswer,
  ExplainRequest,
  Explanation,
  KeptPolicyView,
  PolicyVersionView,
  PolicyView,
  RollbackPolicyAnswer,
  RollbackPolicyRequest,
} from './api/policies.js'
export {
  type AffectedView,
  type DiffPolicyRequest,
  type PolicyDifference,
  type PolicyDiff,
  type PolicyPart,
  policyParts,
} from './api/policy-diff.js'
export type {
  DecisionsImpact,
  GainsAndLosses,
  LiveImpact,
  PolicyChange,
  PolicyImpact,
  PolicyMark,
  Verdict,
} from './api/policy-impact.js'
export type {
  InviteOperatorAnswer,
  InviteOperatorRequest,
  OperatorCertificateAnswer,
  OperatorCertificateView,
  OperatorCsrRequest,
  OperatorView,
  OwnView,
  RevokeOperatorAnswer,
} from './api/operators.js'
export type { LookedAt, PolicySuggestion, RuleSuggestion } from './api/policy-suggestion.js'
export type { Problem } from './api/problem.js'
export type { KickAnswer, KickRequest, MqttVersion, Refusal, SessionView, Traffic, Transport } from './api/sessions.js'
export type { OutsideCheckpointView, StatusView } from './api/status.js'
export type { CreateTokenAnswer, CreateTokenRequest, TokenView } from './api/tokens.js'
export { type Route, type RouteName, routes } from './api/routes.js'
export { parseByteSize } from './byte-size.js'
export { encodeWorkLine, type WorkLine, type WorkProgress } from './work-line.js'
export { encodeProblemLine, isProblemLine } from './problem-line.js'
export type { AuditEvent, AuditEventName, AuditRecord } from './audit.js'
export type { OperatorFacts } from './events/operator-facts.js'
export type { CertificateFacts, CertificateOfOperator, RegistryEvent } from './events/registry-event.js'
export type { RetentionReason, ServiceEvent } from './events/service-event.js'
export {
  type DropReason,
  type SessionEndReason,
  type SessionEvent,
  type SessionFacts,
  type TopicDecisionFacts,
  sessionNameBytes,
} from './events/session-event.js'
export {
  type PcrOutcome,
  pcrOutcomes,
  type PcrPolicyMode,
  pcrPolicyModes,
  type PcrPolicyRef,
  type PcrVerdict,
} from './attestation.js'
export type { AuditMode, AuditTrail } from './audit-trail.js'
export type { Brand } from './brand.js'
export {
  boolean,
  bytes,
  type Decoder,
  decodeJson,
  integer,
  list,
  object,
  optional,
  parsed,
  record,
  text,
  word,
} from './decode.js'
export { crc32c } from './crc32c.js'
export { decodeBase64, decodeBase64url, decodeHex, encodeBase64url, encodeHex, encodeJson } from './encoding.js'
export { isDiskFull } from './disk-full.js'
export { asError, CodedError, messageOf, ProtocolError, type ProtocolErrorCode } from './errors.js'
export {
  type Anchor,
  type AttestationResult,
  type CertificateHolder,
  type ChannelBinding,
  type CloneSign,
  cloneSigns,
  type Decision,
  type DenyReason,
  denyReasons,
  denyReasonTexts,
  type DeviceIdentity,
  type IssuedCertificate,
  type Labels,
  type RenewalAttestation,
  type RevocationReason,
  revocationReasons,
  type Tier,
  tiers,
  type TopicAction,
  type TpmState,
} from './identity.js'
export {
  type CertificateSerial,
  type DeviceId,
  type Fingerprint,
  type InstanceId,
  isName,
  type KeyIdentifier,
  maxRunNameLength,
  type OperatorName,
  parseCertificateSerial,
  parseDeviceId,
  parseFingerprint,
  parseInstanceId,
  parseKeyIdentifier,
  parseName,
  parseOperatorName,
  parseProfileName,
  parseRunName,
  parseTokenId,
  parseTrustDomain,
  type ProfileName,
  type RunName,
  type TokenId,
  type TrustDomain,
} from './ids.js'
export {
  channelBindingLabel,
  decodeJoinAnswer,
  decodeJoinNonce,
  decodeJoinTerms,
  decodeJoinTermsRequest,
  decodeRenewalInfo,
  decodeRenewRequest,
  decodeTokenJoinRequest,
  decodeTpmActivateRequest,
  decodeTpmChallenge,
  decodeTpmJoinRequest,
  type JoinAnswer,
  joinLimits,
  type JoinNonce,
  type JoinTerms,
  type JoinTermsRequest,
  type RenewalInfo,
  parseTime,
  type RenewRequest,
  type TokenJoinRequest,
  type TpmActivateRequest,
  type TpmChallenge,
  type TpmJoinRequest,
  type TpmKeyEvidence,
  type TpmRenewRequest,
} from './join.js'
export {
  decodeOidcJoinAnswer,
  decodeOidcJoinRequest,
  formatOidcAudience,
  type OidcJoinAnswer,
  oidcJoinLimits,
  type OidcJoinRequest,
} from './oidc-join.js'
export { encodeInvitation, type InvitationText, parseInvitation } from './invitation.js'
export { encodeJoinUri, type JoinUri, parseJoinUri } from './join-uri.js'
export {
  formatLockTarget,
  type LockId,
  type LockMode,
  lockModes,
  type LockTarget,
  parseLockId,
  parseLockTarget,
} from './lock.js'
export { hasLabels, ownLabel } from './labels.js'
export { patternOf } from './pattern.js'
export { type QueryWord, queryWords } from './query-words.js'
export { parseShare, type SubscriptionName } from './share.js'
export {
  asksForServices,
  decodeServicePage,
  formatServicePlace,
  type FoundService,
  type OfferChange,
  type OfferedService,
  type ReportedService,
  type ServicePage,
  servicePageLimits,
  servicesIn,
  serviceTopicRoot,
  topicOfService,
} from './services.js'
export { addressIn, sourceOf } from './source.js'
export { parseSpan } from './span.js'
export {
  filterMatches,
  parseTopicFilter,
  parseTopicName,
  type TopicFilter,
  topicLevels,
  topicLimits,
  type TopicName,
} from './topics.js'
