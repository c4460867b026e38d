import { CodedError } from '#protocol'

export type X509ErrorCode =
  | 'MALFORMED' //                 not the DER structure that it should be
  | 'TOO_LARGE' //                 over the size that we are willing to read
  | 'KEY_UNSUPPORTED' //           an algorithm, curve or key size outside our list
  | 'KEY_WEAK' //                  an RSA key with the ROCA fingerprint (CVE-2017-15361)
  | 'SIGNATURE_UNSUPPORTED' //     SHA-1 and whatever else is not on our list
  | 'SIGNATURE_INVALID'
  | 'IDENTITY_INVALID' //          a certificate that is not of the profile it is read as
  | 'ISSUER_UNKNOWN' //            no path to an anchor
  | 'SELF_SIGNED' //             no path to an anchor, from a leaf that vouches for itself
  | 'PATH_LIMIT' //                finding a path would take more certificates or signatures than we allow
  | 'NOT_YET_VALID'
  | 'EXPIRED'
  | 'NOT_A_CA'
  | 'PATH_LENGTH_EXCEEDED'
  | 'PURPOSE_MISMATCH'
  | 'CRITICAL_EXTENSION_UNKNOWN'
  | 'NAME_NOT_PERMITTED'

export class X509Error extends CodedError<X509ErrorCode> {}
