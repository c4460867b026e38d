import { CodedError } from '#protocol'

/** What is wrong with a request for a certificate. Codes of evidence speak of what the sender sent, never of what we know. */
export type EnrollmentErrorCode =
  // the request
  | 'PROFILE_UNKNOWN'
  | 'TPM_REQUIRED' //             the profile takes no key in a file
  | 'BINDING_REQUIRED' //         the profile insists on the exporter, or the connection cannot export it
  | 'NONCE_INVALID' //            not ours, expired, or used before
  | 'CSR_INVALID'
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
  | 'KEY_NOT_CERTIFIED'
  | 'TPM_HISTORY_BROKEN' //     the TPM was cleared or copied since: a new TPM join is due
  // our own bounds
  | 'BUSY'

export class EnrollmentError extends CodedError<EnrollmentErrorCode> {
  /** When to try again; only with BUSY. */
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
