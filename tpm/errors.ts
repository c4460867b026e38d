import { CodedError } from '#protocol'

export type TpmErrorCode =
  | 'STRUCTURE_INVALID' //      truncated, trailing bytes, or fields that contradict one another
  | 'STRUCTURE_UNSUPPORTED' //  well-formed perhaps, but an algorithm, curve or type that no identity here may use
  | 'KEY_UNSUITABLE' //         a key of a kind that cannot do what was asked of it
  | 'SIGNATURE_INVALID'
  | 'TPM_SPEC_INVALID' //       the text that names a TPM cannot be read
  | 'TPM_UNREACHABLE' //        no such device or socket, or it went away
  | 'TPM_TIMEOUT'
  | 'TPM_BUSY' //               it has too much to do, or says so; later it may not
  | 'TPM_RESPONSE_INVALID' //   the TPM answered what no TPM may answer
  | 'TPM_RESPONSE_FORGED' //    somebody between us and the TPM changed its answer, or answered in its place
  | 'TPM_COMMAND_FAILED' //     the TPM refused; the message explains its response code
  | 'TPM_OUT_OF_MEMORY' //      no room for another key or session
  | 'TPM_IN_LOCKOUT' //         too many wrong authorizations, whoever's they were
  | 'TPM_IN_FAILURE_MODE' //    its self-test failed

export class TpmError extends CodedError<TpmErrorCode> {}
