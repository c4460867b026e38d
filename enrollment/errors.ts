import { CodedError } from '#protocol'

/** What is wrong with a request for a certificate. Codes of evidence speak of what the sender sent, never of what we know. */
export type EnrollmentErrorCode =
  // the request
  | 'PROFILE_UNKNOWN'
  | 'TPM_REQUIRED' //             the profile takes no key in a file
  | 'BINDING_REQUIRED' //         the profile insists on the exporter, or the connection cannot export it
  | 'NONCE_INVALID' //            not ours, expired, or used before
  | 'CSR_INVALID'
  | 'CSR_NAME_MISMATCH' //        at a renewal by EST: it names somebody else than the certificate
  | 'TOKEN_MALFORMED'
  // the evidence, in the order of its checks
  | 'EVIDENCE_MALFORMED'
  | 'EK_UNSUITABLE'
  | 'EK_CERTIFICATE_MISSING'
  | 'EK_CERTIFICATE_INVALID' //   not what an EK's certificate, or one above it, has to be
  | 'EK_CERTIFICATE_EXPIRED' //   this one or one above it, or not valid yet
  | 'EK_CERTIFICATE_SELF_SIGNED'
  | 'EK_MAKER_UNKNOWN' //         no path to a manufacturer's root that is trusted here
  | 'EK_CERTIFICATE_MISMATCH'
  | 'AK_UNSUITABLE'
  | 'KEY_UNSUITABLE'
  | 'CSR_KEY_MISMATCH'
  | 'CERTIFY_INVALID'
  | 'CERTIFY_STALE'
  | 'CERTIFY_KEY_MISMATCH'
  | 'CERTIFY_SIGNATURE_INVALID'
  | 'AK_HIERARCHY_INVALID'
  | 'AK_MISMATCH' //            at a renewal: not the attestation key of the join
  | 'QUOTE_MISSING'
  | 'QUOTE_INVALID'
  | 'QUOTE_STALE'
  | 'QUOTE_SIGNATURE_INVALID'
  | 'PCR_SELECTION_MISMATCH'
  | 'PCR_DIGEST_MISMATCH'
  | 'PCR_MISMATCH'
  | 'EVENT_LOG_MISSING'
  | 'EVENT_LOG_INVALID'
  | 'EVENT_LOG_MISMATCH' //       it does not lead to the quoted values, or is not the one that was judged
  | 'SECURE_BOOT_OFF'
  | 'EVENT_REQUIRED'
  | 'EVENT_FORBIDDEN'
  | 'PCR_POLICY_INVALID' //       of an operator: a document that cannot be read as one
  | 'IDEVID_INVALID' //           not what a maker's certificate for a machine, or one above it, has to be
  | 'IDEVID_EXPIRED' //           this one or one above it, or not valid yet
  | 'IDEVID_MAKER_UNKNOWN' //     no path to a manufacturer's root that the profile trusts
  | 'IDEVID_KEY_REUSED' //        the CSR is for the IDevID's own key
  // the activation
  | 'COOKIE_INVALID'
  | 'COOKIE_EXPIRED'
  | 'COOKIE_SPENT'
  | 'CHANNEL_MISMATCH'
  | 'ACTIVATION_FAILED'
  // what the sender is told when more would tell a stranger what we know
  | 'TOKEN_REFUSED'
  | 'JOIN_REFUSED'
  | 'RENEWAL_REFUSED'
  // what one who has proven a secret or a certificate is told
  | 'TOKEN_SPENT'
  | 'TOKEN_EXPIRED'
  | 'TOKEN_REVOKED'
  | 'DEVICE_REVOKED'
  | 'SUPERSEDED'
  | 'CERTIFICATE_EXPIRED'
  | 'NOT_RENEWABLE' //          a simulated device, which lives as long as its run
  | 'KEY_NOT_CERTIFIED'
  | 'TPM_HISTORY_BROKEN' //     the TPM was cleared or copied since: a new TPM join is due
  | 'EVIDENCE_OVERTAKEN' //     other evidence of this TPM came in between, so that nobody can say which is newer: ask again
  // what waits for an operator
  | 'APPROVAL_PENDING'
  | 'APPROVAL_DENIED'
  | 'APPROVAL_UNKNOWN' //       of an operator: nothing waits by that name
  | 'APPROVAL_INVALID' //       of an operator: not terms on which it can be let in
  // the token of a CI job, and its keys
  | 'OIDC_ISSUER_UNKNOWN'
  | 'OIDC_TOKEN_INVALID' //       not a token, an algorithm that is not taken, or a signature that is not the issuer's
  | 'OIDC_TOKEN_EXPIRED'
  | 'OIDC_TOKEN_EARLY' //         not valid yet
  | 'OIDC_AUDIENCE_MISMATCH' //   made for other keys, another profile or another installation
  | 'OIDC_NOT_ALLOWED' //         no rule takes the job, or takes it for this profile
  | 'OIDC_KEYS_UNAVAILABLE' //    the issuer's keys cannot be had now
  | 'CSR_REPEATED'
  | 'RUN_OVER'
  | 'RUN_FULL'
  // our own bounds and faults
  | 'BUSY'
  | 'VERIFIER_FAILED' //          it ended or took too long over this very request

export class EnrollmentError extends CodedError<EnrollmentErrorCode> {
  /** When to try again; only with BUSY, VERIFIER_FAILED, EVIDENCE_OVERTAKEN, APPROVAL_PENDING and OIDC_KEYS_UNAVAILABLE. */
  readonly retryAfterSeconds?: number

  constructor(
    code: EnrollmentErrorCode,
    message: string,
    options: ErrorOptions & { readonly retryAfterSeconds?: number } = {},
  ) {
    super(code, message, options)
    if (options.retryAfterSeconds !== undefined) this.retryAfterSeconds = options.retryAfterSeconds
  }
}

/** Over a bound: the caller may come again, a second from now at the earliest. */
export function busy(problem: string, retryAfterSeconds: number): EnrollmentError {
  return new EnrollmentError('BUSY', problem, { retryAfterSeconds: Math.max(1, retryAfterSeconds) })
}
