import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { CodedError, type Problem, type ProtocolErrorCode } from '#protocol'
import type { AuditErrorCode } from '#audit'
import type { CaErrorCode } from '#ca'
import { EnrollmentError, type EnrollmentErrorCode } from '#enrollment'
import type { PolicyErrorCode } from '#policy'
import type { RegistryErrorCode } from '#registry'
import type { StoreErrorCode } from '#store'
import { ServerError, type ServerErrorCode } from '../errors.js'

type KnownCode =
  | ServerErrorCode
  | RegistryErrorCode
  | EnrollmentErrorCode
  | CaErrorCode
  | PolicyErrorCode
  | AuditErrorCode
  | StoreErrorCode
  | ProtocolErrorCode

/** The one place where codes become HTTP statuses. A code that is missing here does not compile. */
const statuses: Readonly<Record<KnownCode, number>> = {
  // no refusal, and no answer yet
  APPROVAL_PENDING: 202,
  // the request
  REQUEST_INVALID: 400,
  INVALID_ID: 400,
  INVALID_MESSAGE: 400,
  INVALID_JOIN_URI: 400,
  INVALID_TOPIC: 400,
  INVALID_ENCODING: 400,
  QUERY_INVALID: 400,
  LABEL_INVALID: 400,
  LOCK_INVALID: 400,
  INVITATION_INVALID: 400,
  OPERATOR_RESERVED: 400,
  TOKEN_INVALID: 400,
  TOKEN_MALFORMED: 400,
  PROFILE_UNKNOWN: 400,
  BINDING_REQUIRED: 400,
  CSR_INVALID: 400,
  CSR_REPEATED: 400,
  EVIDENCE_MALFORMED: 400,
  REQUEST_TOO_LARGE: 413,
  MEDIA_TYPE_UNSUPPORTED: 415,
  NOT_ACCEPTABLE: 406,
  APPROVAL_INVALID: 400,
  // who asks
  TOKEN_REQUIRED: 401,
  OPERATOR_UNKNOWN: 401,
  DEVICE_CERTIFICATE_REQUIRED: 401,
  OPERATOR_NOT_ADMITTED: 403,
  ACT_NOT_ALLOWED: 403,
  DEVICE_NOT_ADMITTED: 403,
  DISCOVERY_NOT_GRANTED: 403,
  DISCOVERY_BUSY: 429,
  LABELS_LOCKED: 403,
  ORIGIN_FOREIGN: 403,
  HOST_FOREIGN: 421, // RFC 9110 §15.5.20
  NOT_REGISTERED: 403,
  UNKNOWN_CERTIFICATE: 403,
  CERTIFICATE_EXPIRED: 403,
  NOT_RENEWABLE: 403,
  SUPERSEDED: 403,
  CLONE_SUSPECTED: 403,
  KEY_NOT_CERTIFIED: 403,
  TPM_HISTORY_BROKEN: 403,
  LOCKED: 403,
  INVITATION_REFUSED: 403,
  INVITATION_UNCOVERED: 403,
  INVITATION_UNKNOWN: 403,
  INVITATION_MISMATCH: 403,
  INVITATION_EXPIRED: 403,
  TOKEN_EXPIRED: 403,
  TOKEN_REVOKED: 403,
  TOKEN_MISMATCH: 403,
  TOKEN_BOUND: 403,
  PROFILE_MISMATCH: 403,
  // evidence that does not show what it should
  TPM_REQUIRED: 403,
  NONCE_INVALID: 403,
  EK_UNSUITABLE: 403,
  EK_CERTIFICATE_MISSING: 403,
  EK_CERTIFICATE_INVALID: 403,
  EK_CERTIFICATE_EXPIRED: 403,
  EK_CERTIFICATE_SELF_SIGNED: 403,
  EK_MAKER_UNKNOWN: 403,
  EK_CERTIFICATE_MISMATCH: 403,
  AK_UNSUITABLE: 403,
  KEY_UNSUITABLE: 403,
  CSR_KEY_MISMATCH: 403,
  CSR_NAME_MISMATCH: 403,
  CERTIFY_INVALID: 403,
  CERTIFY_STALE: 403,
  CERTIFY_KEY_MISMATCH: 403,
  CERTIFY_SIGNATURE_INVALID: 403,
  AK_HIERARCHY_INVALID: 403,
  AK_MISMATCH: 403,
  QUOTE_MISSING: 403,
  QUOTE_INVALID: 403,
  QUOTE_STALE: 403,
  QUOTE_SIGNATURE_INVALID: 403,
  PCR_SELECTION_MISMATCH: 403,
  PCR_DIGEST_MISMATCH: 403,
  PCR_MISMATCH: 403,
  EVENT_LOG_MISSING: 403,
  EVENT_LOG_INVALID: 403,
  EVENT_LOG_MISMATCH: 403,
  SECURE_BOOT_OFF: 403,
  EVENT_REQUIRED: 403,
  EVENT_FORBIDDEN: 403,
  IDEVID_INVALID: 403,
  IDEVID_EXPIRED: 403,
  IDEVID_MAKER_UNKNOWN: 403,
  IDEVID_KEY_REUSED: 403,
  COOKIE_INVALID: 403,
  COOKIE_EXPIRED: 403,
  COOKIE_SPENT: 403,
  CHANNEL_MISMATCH: 403,
  ACTIVATION_FAILED: 403,
  TOKEN_REFUSED: 403,
  JOIN_REFUSED: 403,
  RENEWAL_REFUSED: 403,
  APPROVAL_DENIED: 403,
  OIDC_ISSUER_UNKNOWN: 403,
  OIDC_TOKEN_INVALID: 403,
  OIDC_TOKEN_EXPIRED: 403,
  OIDC_TOKEN_EARLY: 403,
  OIDC_AUDIENCE_MISMATCH: 403,
  OIDC_NOT_ALLOWED: 403,
  // what is asked for
  ROUTE_UNKNOWN: 404,
  NOT_FOUND: 404,
  DEVICE_UNKNOWN: 404,
  APPROVAL_UNKNOWN: 404,
  LOCK_UNKNOWN: 404,
  OPERATOR_LIMIT: 409,
  INVITATION_LIMIT: 409,
  OPERATOR_UNBOUND: 409,
  TOKEN_UNKNOWN: 404,
  RECORD_UNKNOWN: 404,
  TOKEN_SPENT: 409,
  DEVICE_REVOKED: 409,
  RUN_OVER: 409,
  RUN_FULL: 409,
  ID_TAKEN: 409,
  ANCHOR_TAKEN: 409,
  CONFLICT: 409,
  KEY_CHANGING: 409,
  BACKUP_UNDER_WAY: 409,
  BACKUP_NOT_READ: 503,
  POLICY_VERSION: 409,
  POLICY_LOCKS_OUT: 409,
  PCR_POLICY_OVERLAP: 409,
  PCR_POLICY_LIMIT: 409,
  NOTHING_QUOTED: 409,
  SESSION_AWAY: 409,
  PAYLOAD_UNKNOWN: 404,
  PAYLOAD_ERASED: 410,
  AUDIT_GONE: 410,
  // a policy that is refused as a whole
  POLICY_EMPTY: 422,
  POLICY_SYNTAX: 422,
  POLICY_DUPLICATE: 422,
  POLICY_UNKNOWN_KEY: 422,
  POLICY_INVALID_VALUE: 422,
  POLICY_INVALID_TOPIC: 422,
  POLICY_UNKNOWN_ROLE: 422,
  POLICY_NO_RECEIVE: 422,
  POLICY_NO_EFFECT: 422,
  POLICY_LIMIT: 422,
  POLICY_TESTS_FAILED: 422,
  PCR_POLICY_INVALID: 422,
  // what we cannot do now
  NOT_READY: 503,
  AUDIT_CLOSED: 503,
  AUDIT_FULL: 503,
  AUDIT_BUSY: 503,
  AUDIT_FAILED: 503,
  RECORD_UNCOVERED: 503,
  REGISTRY_FAILED: 503,
  STORE_FAILED: 503,
  STORE_FULL: 503,
  STORE_CLOSED: 503,
  BUSY: 503,
  VERIFIER_FAILED: 503,
  EVIDENCE_OVERTAKEN: 503,
  OIDC_KEYS_UNAVAILABLE: 503,
  CA_STORAGE_FAILED: 503,
  ROOT_KEY_ABSENT: 503,
  ISSUER_EXPIRED: 503,
  // what never happens while it runs
  CA_INCOMPLETE: 500,
  CA_UNREADABLE: 500,
  CA_MISMATCH: 500,
  LIFETIME_INVALID: 500,
  HOST_INVALID: 500,
  CONFIG_INVALID: 500,
  FOLDER_UNUSABLE: 500,
  PORT_IN_USE: 500,
  CANNOT_LISTEN: 500,
  POLICY_MISSING: 500,
  RESTORE_UNFINISHED: 500,
  RESTORE_NOT_EMPTY: 500,
  RESTORE_LOG_UNFIT: 500,
  PCR_POLICY_UNREADABLE: 500,
  AUDIT_INVALID: 500,
  AUDIT_ROLLED_BACK: 500,
  AUDIT_UNREACHABLE: 500,
  AUDIT_UNWITNESSED: 500,
  AUDIT_CORRUPT: 500,
  STORE_LOCKED: 500,
  STORE_DAMAGED: 500,
  REGISTRY_AHEAD_OF_LOG: 500,
  REGISTRY_CORRUPT: 500,
  INTERNAL: 500,
}

const titles: Readonly<Record<number, string>> = {
  202: 'Waiting for an operator',
  400: 'The request cannot be understood',
  401: 'A credential is missing',
  403: 'Refused',
  404: 'Not found',
  406: 'Nothing of that type is here',
  409: 'The present state does not allow it',
  410: 'Gone for ever',
  413: 'The request is too large',
  415: 'A body of another type is needed',
  421: 'Sent to another name',
  422: 'The policy is refused',
  500: 'Internal error',
  503: 'Not available now',
}

/** Any error as RFC 9457 `application/problem+json`. What is not ours tells its cause to the log only. */
export function answerProblem(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): void {
  const problem = reportProblem(error, request)
  if (problem.status === 503 || problem.status === 202)
    void reply.header('retry-after', String(retryAfterSeconds(error)))
  void reply.code(problem.status).type('application/problem+json').send(JSON.stringify(problem))
}

/** Answers by design, for which to come again is all that is to be done; each is counted or recorded where it is made. */
const expected: ReadonlySet<string> = new Set<KnownCode>(['BUSY', 'EVIDENCE_OVERTAKEN'])

/** What is told to the caller; to the log goes what went wrong here. */
export function reportProblem(error: FastifyError | Error, request: FastifyRequest): Problem {
  const problem = problemOf(asCoded(error))
  if (problem.status >= 500 && !expected.has(problem.code)) request.log.error({ event: 'http.failed', err: error })
  return problem
}

export function answerUnknownRoute(request: FastifyRequest, reply: FastifyReply): void {
  answerProblem(new ServerError('ROUTE_UNKNOWN', 'nothing is served at this path; see /openapi.json'), request, reply)
}

export function problemOf(error: CodedError): Problem {
  const status = isKnown(error.code) ? statuses[error.code] : 500
  return {
    type: `urn:touchmark:problem:${error.code.toLowerCase().replaceAll('_', '-')}`,
    title: titles[status] ?? 'Refused',
    status,
    code: error.code,
    detail: error.message,
  }
}

function retryAfterSeconds(error: Error): number {
  return (error instanceof EnrollmentError ? error.retryAfterSeconds : undefined) ?? 2
}

function isKnown(code: string): code is KnownCode {
  return Object.hasOwn(statuses, code)
}

/** The error under a code of ours; what has none is our own failure. */
export function asCoded(error: FastifyError | Error): CodedError {
  if (error instanceof CodedError && isKnown(error.code)) return error
  if ('validation' in error && error.validation) return new ServerError('REQUEST_INVALID', error.message)
  const status = 'statusCode' in error ? (error.statusCode ?? 500) : 500
  if (status === 413) return new ServerError('REQUEST_TOO_LARGE', 'the request is larger than this route takes')
  if (status >= 400 && status < 500) return new ServerError('REQUEST_INVALID', error.message)
  return new ServerError('INTERNAL', 'something went wrong here; the log says what', { cause: error })
}
